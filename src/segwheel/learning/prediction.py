"""Predicting the samples of a manifest and writing what was predicted, one image in memory at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from segwheel.domain.manifest import Sample, write_manifest
from segwheel.domain.objects import components, drop_small, fill_holes
from segwheel.domain.overlap import pixel_overlap
from segwheel.errors import FormatError, PartialError, SegwheelError
from segwheel.formats.prediction_files import MAPS, MASK
from segwheel.formats.tiff import read_image, read_mask, write_float, write_mask
from segwheel.learning.checkpoint import Model
from segwheel.learning.inference import Map, predict_targets
from segwheel.params.images import PredictParams

METRICS = "pixel_metrics.csv"


@dataclass(frozen=True)
class Prediction:
    """What a model says about one sample, at the resolution of its image."""

    sample: Sample
    maps: dict[str, Map]  # every target, 0..1
    mask: npt.NDArray[np.bool_]


def predict_sample(model: Model, sample: Sample, params: PredictParams) -> Prediction:
    """Predict one image. Raises what reading it raises."""
    maps = predict_targets(model, read_image(sample.image_path), params, sample.pixel_size_um)
    return Prediction(sample, maps, clean_mask(maps["mask"] > params.threshold, params))


def clean_mask(mask: npt.NDArray[np.bool_], params: PredictParams) -> npt.NDArray[np.bool_]:
    """Fill holes of up to `fill_holes` pixels, then drop components below `min_object_area`."""
    filled = fill_holes(mask, params.fill_holes, params.connectivity)
    return drop_small(components(filled, params.connectivity), params.min_object_area) > 0


def write_predictions(
    model: Model,
    samples: Iterable[Sample],
    output_dir: Path,
    params: PredictParams,
) -> None:
    """Write `<image>_pred_mask.tif`, `<image>_pred_prob.tif` and the maps of other targets for every sample.

    `pixel_metrics.csv` has a row for every sample whose mask is known. An image that cannot be used is left out and
    the others are done; PartialError then says how many failed and why.
    """
    output_dir.mkdir(parents=True, exist_ok=True)
    failures: dict[str, str] = {}
    rows: list[dict[str, object]] = []
    count = 0
    for sample in samples:
        count += 1
        try:
            prediction = predict_sample(model, sample, params)
            rows += pixel_metrics(prediction)
            _write(prediction, output_dir)
        except SegwheelError as error:
            failures[sample.basename] = str(error)
    write_manifest(output_dir / METRICS, rows, ("basename", "dice", "iou", "precision", "recall"))
    if failures:
        raise PartialError("predict", failures, count)


def pixel_metrics(prediction: Prediction) -> Iterator[dict[str, object]]:
    """The row of pixel_metrics.csv, none without truth. Raises FormatError when the mask does not fit its image."""
    path = prediction.sample.targets.get("mask")
    if path is None:
        return
    truth = read_mask(path)
    if truth.shape != prediction.mask.shape:
        raise FormatError(path, expected=f"a mask of {prediction.mask.shape}, as its image", found=f"{truth.shape}")
    counts = pixel_overlap(prediction.mask, truth)
    scores = {"dice": counts.f1, "iou": counts.iou, "precision": counts.precision, "recall": counts.recall}
    yield {"basename": prediction.sample.basename, **scores}


def _write(prediction: Prediction, output_dir: Path) -> None:
    name = prediction.sample.basename
    for target, values in prediction.maps.items():
        write_float(output_dir / f"{name}{MAPS[target]}", values)
    write_mask(output_dir / f"{name}{MASK}", prediction.mask.astype(np.uint8))
