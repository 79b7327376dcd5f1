"""How good a multi-task network is on the volumes of a manifest: predictions, scores and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from segwheel.domain.manifest import Sample
from segwheel.domain.scores import extremes
from segwheel.domain.slice_selection import clearest_slice
from segwheel.domain.volume_scores import score_volume
from segwheel.domain.volume_slices import read_slice
from segwheel.domain.volume_views import IMAGE, views
from segwheel.formats import volume
from segwheel.formats.picture import save_overlay
from segwheel.formats.seismic_picture import save_figure, seismic_figure
from segwheel.formats.volume import Volume, require_same_grid
from segwheel.learning.multitask_checkpoint import MultitaskModel
from segwheel.learning.volume_prediction import predict_image
from segwheel.params.volumes import VolumeEvaluateParams, VolumePredictParams

Row = dict[str, object]


def evaluate_volumes(
    model: MultitaskModel,
    samples: Sequence[Sample],
    output_dir: Path,
    predict: VolumePredictParams,
    params: VolumeEvaluateParams,
) -> list[Row]:
    """Predict and score every sample where it is labelled; a row of `domain.scores.VOLUMES` for each.

    Writes `predictions/<sample>/<attribute>.zarr`, and to `pictures`, of the best and of the worst, the clearest slice
    with its faults judged and the slices that `segwheel show` draws.
    Raises FormatError for a label on another grid than its image.
    """
    rows: list[Row] = []
    for sample in samples:
        image, labels = volume.open(sample.image_path), _opened(sample.targets)
        for label in labels.values():
            require_same_grid(image, label)
        predicted = _opened(predict_image(model, image, output_dir / "predictions" / sample.basename, predict))
        scores = score_volume(predicted, labels, predict.threshold, params.tolerance)
        rows.append({"basename": sample.basename, "group": sample.group, **scores})
    by_name = {sample.basename: sample for sample in samples}
    for name, place in extremes(rows, params.pictures):
        _save_pictures(output_dir, place, by_name[name], predict.threshold)
    return rows


def _opened(paths: Mapping[str, Path]) -> dict[str, Volume]:
    return {name: volume.open(path) for name, path in paths.items()}


def _save_pictures(output_dir: Path, place: str, sample: Sample, threshold: float) -> None:
    predictions = sorted((output_dir / "predictions" / sample.basename).glob("*.zarr"))
    image, predicted = volume.open(sample.image_path), _opened({path.stem: path for path in predictions})
    path = output_dir / "pictures" / f"{place}_{sample.basename}.png"
    if "fsem" in predicted and "fsem" in sample.targets:
        _save_overlay(path, image, predicted["fsem"], volume.open(sample.targets["fsem"]), threshold)
    figure = seismic_figure(views({IMAGE: image, **predicted}, {}), threshold)
    save_figure(path.with_name(f"{path.stem}_slices.png"), figure)


def _save_overlay(path: Path, image: Volume, fsem: Volume, label: Volume, threshold: float) -> None:
    """The slice with the most labelled faults: the image with found, false and missed faults over it."""
    place = clearest_slice(label)
    shown, probability, truth = (read_slice(one, place.axis, place.index) for one in (image, fsem, label))
    save_overlay(path, shown, (probability >= threshold).astype(np.uint8), truth)
