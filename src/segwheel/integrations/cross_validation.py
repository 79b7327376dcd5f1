"""Cross-validation: one model for each fold, scored on the full images that it never saw, recorded in MLflow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ruamel.yaml import YAML

from segwheel.domain.manifest import read_manifest, write_manifest
from segwheel.domain.objects import ObjectSettings
from segwheel.domain.overlap import mean_interval
from segwheel.domain.quantification import quantify_folder
from segwheel.errors import InputError
from segwheel.formats.files import replacing, write_text
from segwheel.integrations.mlflow_tracker import start_run
from segwheel.learning.checkpoint import load_model
from segwheel.learning.experiment import folds_of, run_config, samples_of, write_fold
from segwheel.learning.inference import DEFAULTS
from segwheel.learning.prediction import write_predictions
from segwheel.params.train_config import TrainConfig

SCORES = {"dice": "pixel_dice", "iou": "pixel_iou", "object_f1": "f1"}
COLUMNS = ("fold", "basename", "group", *SCORES)
EXPERIMENT = "cross-validation"
Row = dict[str, object]


def cross_validate(
    config: TrainConfig,
    chosen: Sequence[int] | None,
    count: int | None,
    output_dir: Path,
    tracking_uri: str,
    root: Path,
) -> list[Row]:
    """Train and score the `chosen` folds (default: all) of `count` (default: one for each group).

    Every fold is a nested MLflow run. Returns one row for each held-out image. Raises InputError for a fold that
    does not exist or when there is only one group.
    """
    samples = samples_of(config)
    folds = folds_of(samples, count)
    numbers = list(range(len(folds))) if chosen is None else list(chosen)
    wrong = [number for number in numbers if not 0 <= number < len(folds)]
    if wrong or len(folds) < 2:
        raise InputError(f"fold {wrong or 0}: {len(samples)} labelled images make folds 0 to {len(folds) - 1}")
    rows: list[Row] = []
    with start_run(tracking_uri, EXPERIMENT, 1, output_dir / "run.json", root=root) as run:
        run.params(config.model_dump(mode="json"))
        for number in numbers:
            with run.child(f"fold {number}") as fold_run:
                found = _fold(config, number, write_fold(samples, folds[number], output_dir / f"fold_{number}"))
                fold_run.metrics(
                    {f"image/{row['basename']}/{name}": float(str(row[name])) for row in found for name in SCORES}
                )
                rows += found
        run.metrics({f"test_{name}": mean_interval([float(str(row[name])) for row in rows]).mean for name in SCORES})
    return rows


def _fold(config: TrainConfig, number: int, manifests: tuple[Path, Path]) -> list[Row]:
    """Train on one manifest and score the other, with the defaults of `predict_full` and `quantify_objects`."""
    train, test = manifests
    folder = train.parent
    data = config.data.model_copy(update={"train_manifest": train, "val_manifest": None, "data_root": Path("/")})
    result = run_config(config.model_copy(update={"data": data}), folder)
    predictions = folder / "predictions"
    predict = DEFAULTS.model_copy(update={"threshold": config.validation.prediction_threshold})
    write_predictions(load_model(result.final), read_manifest(test, Path("/")), predictions, predict)
    found = quantify_folder(predictions, test, folder / "objects", settings=ObjectSettings(), data_root=Path("/"))
    return [
        {"fold": number, "basename": row["basename"], "group": row["group"]}
        | {name: row[column] for name, column in SCORES.items()}
        for row in found.evaluation.to_dict("records")
    ]


def write_report(rows: Sequence[Row], output_dir: Path) -> None:
    """Write fold_metrics.csv, summary.yaml and REPORT.md."""
    write_manifest(output_dir / "fold_metrics.csv", rows, COLUMNS)
    intervals = {name: mean_interval([float(str(row[name])) for row in rows]) for name in SCORES}
    summary = {
        name: {"mean": one.mean, "low": one.low, "high": one.high, "images": one.n} for name, one in intervals.items()
    }
    with replacing(output_dir / "summary.yaml") as beside:
        YAML().dump(summary, beside)
    lines = [
        "# Cross-validation",
        "",
        f"{len(rows)} full images, each scored by a model that never saw its group. Intervals are 95 % t-intervals "
        "over images.",
        "",
        "| score | mean | 95 % interval |",
        "|---|---|---|",
        *(f"| {name} | {one.mean:.4f} | {one.low:.4f} to {one.high:.4f} |" for name, one in intervals.items()),
        "",
        "| fold | image | " + " | ".join(SCORES) + " |",
        "|---|---|" + "---|" * len(SCORES),
        *(
            f"| {row['fold']} | {row['basename']} | "
            + " | ".join(f"{float(str(row[name])):.4f}" for name in SCORES)
            + " |"
            for row in rows
        ),
        "",
    ]
    write_text(output_dir / "REPORT.md", "\n".join(lines))
