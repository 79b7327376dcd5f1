"""Stage `evaluate`: how good the model is on the test images or volumes, which it never saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from segwheel.domain.manifest import Sample, read_manifest, write_manifest
from segwheel.domain.quantification import object_settings, quantify_folder
from segwheel.domain.scores import IMAGES, VOLUMES, extremes, means, score_names
from segwheel.formats.files import replacing, write_json
from segwheel.formats.picture import save_overlay
from segwheel.formats.prediction_files import MASK
from segwheel.formats.tiff import read_image, read_mask
from segwheel.learning.checkpoint import load_model
from segwheel.learning.multitask_checkpoint import load_multitask
from segwheel.learning.prediction import write_predictions
from segwheel.learning.volume_evaluation import evaluate_volumes
from segwheel.params.images import EvaluateParams, PredictParams, QuantifyParams
from segwheel.params.volumes import VolumeEvaluateParams, VolumePredictParams, VolumeQuantifyParams
from segwheel.tracking import Run

COLUMNS = {"dice": "pixel_dice", "iou": "pixel_iou", "object_f1": "f1"}  # score -> column of instance_eval.csv
Row = dict[str, object]


def evaluate(
    checkpoint: Path,
    manifest: Path,
    output_dir: Path,
    metrics: Path,
    predict: PredictParams | VolumePredictParams,
    quantify: QuantifyParams | VolumeQuantifyParams,
    params: EvaluateParams | VolumeEvaluateParams,
    run: Run,
) -> list[Row]:
    """Predict and score the full images or volumes of the test manifest; returns one row for each.

    Writes predictions, `per_image.csv`, pictures of the best and the worst and, of images, object tables to
    `output_dir`, which is replaced whole, and the means to `metrics`. Without test samples both hold nothing.
    """
    with replacing(output_dir) as beside:
        if isinstance(params, VolumeEvaluateParams):
            assert isinstance(predict, VolumePredictParams), "one flywheel is of one kind"
            rows = evaluate_volumes(load_multitask(checkpoint), read_manifest(manifest), beside, predict, params)
        else:
            assert isinstance(predict, PredictParams), "one flywheel is of one kind"
            assert isinstance(quantify, QuantifyParams), "one flywheel is of one kind"
            rows = _evaluate_images(checkpoint, manifest, beside, predict, quantify, params)
        known = VOLUMES if isinstance(params, VolumeEvaluateParams) else IMAGES
        write_manifest(beside / "per_image.csv", rows, ("basename", "group", *known))
    _record(rows, output_dir, metrics, run)
    return rows


def _evaluate_images(
    checkpoint: Path,
    manifest: Path,
    output_dir: Path,
    predict: PredictParams,
    quantify: QuantifyParams,
    params: EvaluateParams,
) -> list[Row]:
    samples = read_manifest(manifest, targets=["mask"])
    predictions = output_dir / "predictions"
    write_predictions(load_model(checkpoint), samples, predictions, predict)
    if not samples:
        return []
    found = quantify_folder(
        predictions,
        manifest,
        output_dir / "objects",
        settings=object_settings(quantify),
        iou_threshold=quantify.iou_threshold,
    )
    rows = [_row(record) for record in found.evaluation.to_dict("records")]
    _save_pictures(samples, rows, output_dir, params.pictures)
    return rows


def _row(record: Mapping[Any, Any]) -> Row:
    scores = {name: record[column] for name, column in COLUMNS.items()}
    return {"basename": record["basename"], "group": record["group"], **scores}


def _save_pictures(samples: Sequence[Sample], rows: Sequence[Row], output_dir: Path, count: int) -> None:
    paths = {sample.basename: (sample.image_path, sample.targets["mask"]) for sample in samples}
    for name, label in extremes(rows, count):
        image, mask = paths[name]
        prediction = read_mask(output_dir / "predictions" / f"{name}{MASK}")
        save_overlay(output_dir / "pictures" / f"{label}_{name}.png", read_image(image), prediction, read_mask(mask))


def _record(rows: Sequence[Row], output_dir: Path, metrics: Path, run: Run) -> None:
    scores = means(rows)
    write_json(metrics, scores)
    run.metrics({f"test_{name}": value for name, value in scores.items()})
    values = {(str(row["basename"]), name): row.get(name) for row in rows for name in score_names(rows)}
    run.metrics({f"image/{of}/{name}": float(str(one)) for (of, name), one in values.items() if one is not None})
    for picture in sorted((output_dir / "pictures").glob("*.png")):
        run.artifact(picture, "test pictures")
    run.artifact(output_dir / "per_image.csv")
