"""Training and checking from a stand-alone configuration: `train`, `run_cv` and `sanity_check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from segwheel.params.train_config import TrainConfig

Config = Annotated[Path, typer.Option(help="Training configuration.")]
PRODUCTION = Path("configs/production_train.yaml")


def train_config(
    config: Annotated[
        Path | None, typer.Option(help="Training configuration.", show_default=f"{PRODUCTION}; that of a resumed run")
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on from this checkpoint of an earlier run.")] = None,
) -> None:
    """Train from a configuration into runs/train_<date>_<time>/ (also the program `train`)."""
    import shutil
    from datetime import datetime

    from segwheel.errors import SegwheelError
    from segwheel.learning.experiment import CONFIG, new_run_folder, resume_config, resumed_run_folder, run_config
    from segwheel.params.train_config import read_train_config
    from segwheel.processes import leader_folder

    earlier = resumed_run_folder(resume) if resume else None
    values = read_train_config(config or (earlier / CONFIG if earlier else PRODUCTION))
    same = values.data.val_manifest in (None, values.data.train_manifest)
    if same:
        typer.echo("note: validation images are the training images; val_dice is training performance")
        values = values.model_copy(update={"data": values.data.model_copy(update={"val_manifest": None})})
    if resume:
        typer.echo(f"run folder: {earlier}")
        result = resume_config(values, resume)
    else:
        folder = leader_folder(lambda: new_run_folder(values.output.runs_dir, datetime.now()))
        typer.echo(f"run folder: {folder}")
        try:
            result = run_config(values, folder)
        except SegwheelError:
            if not any((folder / "checkpoints").glob("*")):  # no training began
                shutil.rmtree(folder, ignore_errors=True)
            raise
    kind = "training performance" if same else "validation"
    typer.echo(f"best {result.chosen_by} {result.best_score:.4f} ({kind}); model: {result.final}")


def sanity_check(config: Config = PRODUCTION) -> None:
    """Train five epochs on few patches: does the loss fall, are predictions spatially coherent?"""
    import tempfile

    from segwheel.errors import SegwheelError
    from segwheel.formats.tiff import read_image
    from segwheel.learning.checkpoint import load_model
    from segwheel.learning.experiment import coherence, run_config, samples_of
    from segwheel.learning.inference import predict_array
    from segwheel.params.train_config import read_train_config

    values = _shortened(read_train_config(config))
    with tempfile.TemporaryDirectory() as folder:
        result = run_config(values, Path(folder))
        losses = result.history["train_loss"]
        sample = samples_of(values)[0]
        probability = predict_array(load_model(result.final), read_image(sample.image_path))
    found = coherence(probability)
    checks = {
        f"loss falls: {losses[0]:.4f} to {losses[-1]:.4f}": losses[-1] < losses[0],
        f"predictions of {sample.basename} are spatially coherent: {found:.3f} (noise: 0.3)": found > 0.8,
    }
    for text, passed in checks.items():
        typer.echo(f"{'pass' if passed else 'FAIL'}  {text}")
    if not all(checks.values()):
        raise SegwheelError("sanity check failed; look at the images, the masks and the learning rate")


def run_cv(
    config: Config = PRODUCTION,
    folds: Annotated[str | None, typer.Option(help="Which folds, as 0,1,2.", show_default="all")] = None,
    k: Annotated[int | None, typer.Option(help="How many folds.", min=2, show_default="leave one group out")] = None,
    output_dir: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("runs/cv"),
    tracking_uri: Annotated[
        str, typer.Option(envvar="MLFLOW_TRACKING_URI", help="Where MLflow keeps the runs.")
    ] = "sqlite:///mlflow.db",
) -> None:
    """Cross-validate a configuration, scored on full images that the fold's model never saw."""
    from segwheel.integrations.cross_validation import cross_validate, write_report
    from segwheel.params.train_config import read_train_config

    values = read_train_config(config)
    chosen = _numbers(folds) if folds else None
    rows = cross_validate(values, chosen, k, output_dir, tracking_uri, Path())
    write_report(rows, output_dir)
    typer.echo((output_dir / "REPORT.md").read_text(encoding="utf-8"))


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"--folds {text}: expected numbers separated by commas") from None


def _shortened(config: TrainConfig) -> TrainConfig:
    """Five epochs of a few patches, validated at the end only."""
    dataset = config.dataset.model_copy(update={"patches_per_image": 8, "validation_patches_per_image": 2})
    training = config.training.model_copy(update={"epochs": 5, "num_workers": 0, "learning_rate": 1e-3})
    data = config.data.model_copy(update={"val_manifest": None})
    validation = config.validation.model_copy(update={"every_n_epochs": 5})
    return config.model_copy(update={"dataset": dataset, "training": training, "data": data, "validation": validation})
