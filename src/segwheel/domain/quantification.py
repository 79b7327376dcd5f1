"""Measure the objects of predicted masks and, where truth is known, compare them with the true objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from segwheel.domain.manifest import Sample, read_manifest
from segwheel.domain.matching import judged, match_objects
from segwheel.domain.measure import measure_objects
from segwheel.domain.objects import Labels, ObjectSettings, Surface, components, drop_small, label_objects
from segwheel.domain.overlap import mean_interval, pixel_overlap
from segwheel.errors import FormatError, ManifestError, MissingError, PartialError, SegwheelError
from segwheel.formats import prediction_files
from segwheel.formats.files import replacing, write_text
from segwheel.formats.tiff import read_image, read_mask, write_image
from segwheel.params.images import QuantifyParams

PREDICTED = prediction_files.MASK
MASK_ENDINGS = (PREDICTED, "_mask.tif")  # what predict writes; else masks as people name them
MAP_ENDINGS = {"probability": prediction_files.MAPS["mask"], "distance_output": prediction_files.MAPS["distance"]}
ALL = "all"  # the summary row over every group

EVAL_COLUMNS = (
    *("basename", "group", "tp", "fp", "fn", "precision", "recall", "f1", "mean_matched_iou"),
    *("pixel_dice", "pixel_iou", "pixel_precision", "pixel_recall"),
)
AVERAGED = {  # column of instance_eval.csv -> its name in summary.csv
    "pixel_dice": "dice",
    "pixel_iou": "iou",
    "precision": "object_precision",
    "recall": "object_recall",
    "f1": "object_f1",
    "mean_matched_iou": "mean_matched_iou",
}


@dataclass(frozen=True)
class Quantified:
    """What `quantify_folder` found."""

    objects: pd.DataFrame  # all_objects.csv
    evaluation: pd.DataFrame  # instance_eval.csv, without rows when no truth is known
    summary: pd.DataFrame  # summary.csv
    unpredicted: tuple[str, ...]  # images of the manifest with truth and without a prediction


def quantify_folder(
    pred_mask_dir: Path,
    gt_manifest: Path | None,
    output_dir: Path,
    *,
    settings: ObjectSettings,
    iou_threshold: float = 0.5,
    pixel_size_um: float | None = None,
    data_root: Path | None = None,
) -> Quantified:
    """Label and measure the objects of every `<image>_pred_mask.tif` (or else `<image>_mask.tif`) of a folder.

    Writes `all_objects.csv`, `per_image/<image>_objects.csv`, `labels/<image>_labels.tif` (instance numbers, 0 is
    background), `summary.csv`, `plots/summary_plots.png` and, for the images whose truth the manifest names,
    `instance_eval.csv`. True objects are the instance numbers of the target `labels` if the manifest has it, else
    the components of the target `mask`. Objects below the minimum area count on neither side; unlabelled pixels
    are left out. `pixel_size_um` is for images whose size the manifest doesn't give.

    Raises MissingError without masks, ManifestError when the manifest knows none of them, and PartialError, after
    the other images are done, when some cannot be used.
    """
    masks = find_masks(pred_mask_dir)
    samples = _samples(gt_manifest, data_root, masks)
    tables: dict[str, pd.DataFrame] = {}
    scores: list[dict[str, Any]] = []
    failures: dict[str, str] = {}
    with replacing(output_dir / "per_image") as tables_dir, replacing(output_dir / "labels") as labels_dir:
        tables_dir.mkdir()
        labels_dir.mkdir()
        for name, mask_path in masks.items():
            sample = samples.get(name)
            try:
                mask, labels = _label(mask_path, name, settings)
                score = _evaluate(mask, labels, sample, settings, iou_threshold) if sample else None
            except SegwheelError as error:
                failures[name] = str(error)
                continue
            size = (sample.pixel_size_um if sample else None) or pixel_size_um
            tables[name] = measure_objects(labels, size)
            tables[name].to_csv(tables_dir / f"{name}_objects.csv", index=False)
            write_image(labels_dir / f"{name}_labels.tif", _storable(labels))
            scores += [score] if score else []
    groups = {name: samples[name].group if name in samples else "" for name in tables}
    found = _collect(tables, groups, scores, [name for name in samples if name not in masks])
    _write(found, output_dir)
    if failures:
        raise PartialError("quantify", failures, len(masks))
    return found


def object_settings(params: QuantifyParams) -> ObjectSettings:
    """The parameters of the quantify section as settings of object labelling."""
    return ObjectSettings(
        method=params.separation.method,
        smoothing=params.separation.smoothing,
        depth=params.separation.depth,
        min_area=params.min_object_area,
        max_hole_area=params.fill_holes,
        connectivity=params.connectivity,
        background=params.objects == "background",
    )


def find_masks(folder: Path) -> dict[str, Path]:
    """Masks of a folder by image name, in the order of names; raises MissingError when there are none."""
    for ending in MASK_ENDINGS:
        masks = {path.name.removesuffix(ending): path for path in sorted(folder.glob(f"*{ending}"))}
        if masks:
            return masks
    raise MissingError(folder / f"*{PREDICTED}", what="mask", hint="segwheel predict writes them")


def _samples(manifest: Path | None, data_root: Path | None, masks: Mapping[str, Path]) -> dict[str, Sample]:
    """Samples of the manifest by name: those with a prediction, and those with truth."""
    if manifest is None:
        return {}
    samples = {sample.basename: sample for sample in read_manifest(manifest, data_root)}
    if not samples.keys() & masks.keys():
        some = ", ".join(list(samples)[:3]) or "no rows"
        raise ManifestError(manifest, expected=f"rows for the predicted images, as {next(iter(masks))}", found=some)
    return {name: sample for name, sample in samples.items() if name in masks or "mask" in sample.targets}


def _label(mask_path: Path, name: str, settings: ObjectSettings) -> tuple[npt.NDArray[np.bool_], Labels]:
    """The mask of one image and its objects."""
    mask = read_mask(mask_path) == 1
    return mask, label_objects(mask, settings, _predicted_map(mask_path.parent, name, mask.shape, settings))


def _predicted_map(folder: Path, name: str, shape: tuple[int, ...], settings: ObjectSettings) -> Surface | None:
    """The map that the separation method looks at, if it looks at one."""
    if settings.method not in MAP_ENDINGS:
        return None
    path = folder / f"{name}{MAP_ENDINGS[settings.method]}"
    if not path.is_file():
        raise MissingError(path, what=f"map for separation by {settings.method}")
    surface = read_image(path)
    if surface.shape != shape:
        raise FormatError(path, expected=f"the size of its mask, {shape}", found=f"{surface.shape}")
    return surface.astype(np.float32, copy=False)


def _evaluate(
    mask: npt.NDArray[np.bool_], labels: Labels, sample: Sample, settings: ObjectSettings, iou_threshold: float
) -> dict[str, Any] | None:
    """One row of instance_eval.csv, None without truth."""
    if "mask" not in sample.targets:
        return None
    truth = _sized(read_mask(sample.targets["mask"]), sample.targets["mask"], mask.shape)
    matching = match_objects(judged(labels, truth), _true_objects(truth, sample, settings), iou_threshold)
    counts, pixels = matching.counts, pixel_overlap(mask, truth)
    values = (
        *(sample.basename, sample.group, counts.tp, counts.fp, counts.fn),
        *(counts.precision, counts.recall, counts.f1, matching.mean_iou),
        *(pixels.f1, pixels.iou, pixels.precision, pixels.recall),
    )
    return dict(zip(EVAL_COLUMNS, values, strict=True))


def _true_objects(truth: npt.NDArray[np.uint8], sample: Sample, settings: ObjectSettings) -> Labels:
    if "labels" in sample.targets and not settings.background:
        path = sample.targets["labels"]
        numbers = _sized(read_image(path), path, truth.shape)
        if numbers.dtype.kind != "u":
            raise FormatError(path, expected="whole instance numbers, 8-bit or 16-bit", found=f"{numbers.dtype}")
        return drop_small(numbers, settings.min_area)
    return drop_small(components(truth == (0 if settings.background else 1), settings.connectivity), settings.min_area)


def _sized(array: npt.NDArray[Any], path: Path, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    if array.shape != shape:
        raise FormatError(path, expected=f"the size of the prediction, {shape}", found=f"{array.shape}")
    return array


def _storable(labels: Labels) -> npt.NDArray[Any]:
    """Instance numbers in a type that a TIFF holds exactly."""
    return labels.astype(np.uint16 if labels.max(initial=0) < 2**16 else np.float32)


def _collect(
    tables: Mapping[str, pd.DataFrame],
    groups: Mapping[str, str],
    scores: list[dict[str, Any]],
    unpredicted: list[str],
) -> Quantified:
    rows = [table.assign(basename=name, group=groups[name]) for name, table in tables.items()]
    objects = pd.concat([row for row in rows if len(row)] or rows[:1] or [pd.DataFrame(columns=["basename", "group"])])
    objects = objects[["basename", "group", *objects.columns.drop(["basename", "group"])]]
    evaluation = pd.DataFrame(scores, columns=list(EVAL_COLUMNS))
    names = list(dict.fromkeys(groups.values()))
    summary = [_summarise(ALL, list(tables), objects, evaluation)]
    if len(names) > 1:
        members = {group: [name for name in tables if groups[name] == group] for group in names}
        summary += [_summarise(group, members[group], objects, evaluation) for group in names]
    return Quantified(objects, evaluation, pd.DataFrame(summary), tuple(unpredicted))


def _summarise(group: str, names: list[str], objects: pd.DataFrame, evaluation: pd.DataFrame) -> dict[str, Any]:
    """One row of summary.csv: object numbers and sizes; mean scores per image with their 95 % intervals."""
    objects = objects[objects["basename"].isin(names)]
    evaluation = evaluation[evaluation["basename"].isin(names)]
    row: dict[str, Any] = {"group": group, "images": len(names), "objects": len(objects)}
    row["objects_per_image"] = len(objects) / len(names) if names else np.nan
    for column in ("area", "area_um2", "circularity", "eccentricity"):
        if column in objects:
            row[f"{column}_mean"], row[f"{column}_median"] = objects[column].mean(), objects[column].median()
    row["evaluated"] = len(evaluation)
    for column, name in AVERAGED.items() if len(evaluation) else ():
        interval = mean_interval(evaluation[column].to_numpy(dtype=np.float64))
        row |= {name: interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high}
    return row


def _write(found: Quantified, output_dir: Path) -> None:
    write_text(output_dir / "all_objects.csv", found.objects.to_csv(index=False))
    write_text(output_dir / "summary.csv", found.summary.to_csv(index=False))
    evaluation = output_dir / "instance_eval.csv"
    if len(found.evaluation):
        write_text(evaluation, found.evaluation.to_csv(index=False))
    else:
        evaluation.unlink(missing_ok=True)  # an earlier run's, of other masks
    with replacing(output_dir / "plots" / "summary_plots.png") as beside:
        _plot(found).savefig(beside, dpi=110)


def _plot(found: Quantified) -> Figure:
    """Sizes, shapes and numbers of the objects and, with truth, the scores of each image."""
    figure = Figure(figsize=(11, 7), layout="constrained")
    axes = figure.subplots(2, 2)
    area, unit = ("area_um2", "um²") if "area_um2" in found.objects else ("area", "pixels")
    _histogram(axes[0, 0], found.objects, area, f"area ({unit})")
    _histogram(axes[0, 1], found.objects, "circularity", "circularity")
    per_image = found.objects.groupby("basename", sort=False).size()
    _bars(axes[1, 0], {"objects": per_image}, "objects in the image")
    if len(found.evaluation):
        scores = found.evaluation.set_index("basename")
        _bars(axes[1, 1], {"Dice": scores["pixel_dice"], "object F1": scores["f1"]}, "score")
        axes[1, 1].set_ylim(0, 1)
    else:
        _histogram(axes[1, 1], found.objects, "eccentricity", "eccentricity")
    return figure


def _histogram(axes: Axes, objects: pd.DataFrame, column: str, title: str) -> None:
    if column in objects:
        for group, part in objects.groupby("group", sort=False):
            axes.hist(part[column].dropna(), bins=30, alpha=0.6, label=str(group) or None)
    axes.set(xlabel=title, ylabel="objects")
    if "group" in objects and objects["group"].nunique() > 1:
        axes.legend()


def _bars(axes: Axes, series: Mapping[str, pd.Series[Any]], title: str) -> None:
    width = 0.8 / len(series)
    for place, (name, values) in enumerate(series.items()):
        axes.bar(np.arange(len(values)) + place * width, values.to_numpy(), width, label=name)
        axes.set_xticks(np.arange(len(values)), [str(label) for label in values.index], rotation=90, fontsize=6)
    axes.set_ylabel(title)
    if len(series) > 1:
        axes.legend()
