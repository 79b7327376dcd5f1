"""The verbs of dvc.yaml: one for each stage. Paths come from the command line, values from params.yaml."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segwheel.cli.intake import failures_told, print_findings
from segwheel.cli.progress import bar, shown_by_name

if TYPE_CHECKING:
    from segwheel.integrations.mlflow_tracker import MlflowRun
    from segwheel.tracking import Run

Flywheel = Annotated[str, typer.Argument(help="Name of the flywheel in params.yaml.")]
Params = Annotated[Path, typer.Option(help="File with the parameters.")]
Output = Annotated[Path, typer.Option(help="Folder that is made or replaced.")]
Manifest = Annotated[Path, typer.Option(help="CSV of samples.")]
Corrections = Annotated[Path, typer.Option(help="Table of corrections.")]
Checkpoint = Annotated[Path, typer.Option(help="Trained model.")]
Record = Annotated[Path, typer.Option(help="File that names the iteration's MLflow run.")]
TrackingUri = Annotated[str, typer.Option(envvar="MLFLOW_TRACKING_URI", help="Where MLflow keeps the runs.")]

PARAMS = Path("params.yaml")
TRACKING = "sqlite:///mlflow.db"


def ingest(
    flywheel: Flywheel,
    index: Annotated[Path, typer.Option(help="Table of the imported files, in git.")],
    corrections: Corrections,
    samples: Annotated[Path, typer.Option(help="Folder for generated samples and the table of all.")],
    manifest: Manifest,
    qc: Annotated[Path, typer.Option(help="Table of everything that was found.")],
    params: Params = PARAMS,
) -> None:
    """Check every image, volume and label and write the manifest; generate the samples of a flywheel without data."""
    from segwheel.params.flywheels import read_flywheel
    from segwheel.stages import ingest as stage

    values = read_flywheel(params, flywheel)
    with bar() as lines:
        result = stage.ingest(index, corrections, samples, manifest, qc, values.ingest, shown_by_name(lines))
    print_findings(result.findings)
    result.raise_for_errors("ingest")


def split(flywheel: Flywheel, manifest: Manifest, output: Output, params: Params = PARAMS) -> None:
    """Divide the samples into training, validation, test and pool."""
    from segwheel.params.flywheels import read_flywheel
    from segwheel.stages import split as stage

    result = stage.split(manifest, output, read_flywheel(params, flywheel).split)
    for remark in result.remarks:
        typer.echo(remark)
    typer.echo(", ".join(f"{name} {count}" for name, count in sorted(result.counts.items())))


def patches(
    flywheel: Flywheel,
    splits: Annotated[Path, typer.Option(help="Folder with train.csv and val.csv.")],
    output: Output,
    params: Params = PARAMS,
) -> None:
    """Cut training patches into one patch store per split."""
    from segwheel.params.flywheels import read_flywheel
    from segwheel.stages import patches as stage

    values = read_flywheel(params, flywheel)
    stage.patches(splits, output, values.targets, values.patches)


def train(
    flywheel: Flywheel,
    patches: Annotated[Path, typer.Option(help="Folder with the patch stores.")],
    corrections: Corrections,
    output: Output,
    work: Annotated[Path, typer.Option(help="Folder for checkpoints, kept by nobody else.")],
    record: Record,
    params: Params = PARAMS,
    tracking_uri: TrackingUri = TRACKING,
) -> None:
    """Train the model of this iteration; a killed training goes on where it stopped."""
    from segwheel.domain.corrections import iteration, read_corrections
    from segwheel.domain.effort import effort
    from segwheel.integrations.mlflow_tracker import start_run
    from segwheel.params.flywheels import read_flywheel
    from segwheel.processes import follows
    from segwheel.stages import train as stage
    from segwheel.tracking import NullRun

    values, corrected = read_flywheel(params, flywheel), read_corrections(corrections)
    started = start_run(tracking_uri, flywheel, iteration(corrected), record, root=Path())
    with nullcontext(NullRun()) if follows() else started as run, timed("train", run):
        run.dataset("patches", patches, "training")
        run.params(values.model_dump(include={"targets", "split", "patches"}))
        result = stage.train(patches, output, work, values.train, run)
        # What correcting cost that made this iteration: of the predictions of the one before.
        run.metrics({"corrections": len(corrected), **effort(corrected, iteration(corrected) - 1)})
    kind = "validation" if (patches / "val.zarr").is_dir() else "training performance: no validation images"
    typer.echo(f"best {result.chosen_by} {result.best_score:.4f} ({kind})")


def evaluate(
    flywheel: Flywheel,
    checkpoint: Checkpoint,
    manifest: Manifest,
    output: Output,
    metrics: Annotated[Path, typer.Option(help="JSON file for the mean scores.")],
    record: Record,
    params: Params = PARAMS,
    tracking_uri: TrackingUri = TRACKING,
) -> None:
    """Score the model on the full test images or volumes."""
    from segwheel.domain.scores import means
    from segwheel.params.flywheels import read_flywheel
    from segwheel.stages import evaluate as stage

    values = read_flywheel(params, flywheel)
    with _open(flywheel, record, tracking_uri) as run, timed("evaluate", run), failures_told():
        run.dataset("test", manifest, "test")
        run.params(values.model_dump(include={"predict", "quantify", "evaluate"}))
        rows = stage.evaluate(
            checkpoint, manifest, output, metrics, values.predict, values.quantify, values.evaluate, run
        )
    typer.echo(", ".join(f"{name} {value:.4f}" for name, value in means(rows).items()) or "no test samples")


def predict(
    flywheel: Flywheel,
    checkpoint: Checkpoint,
    manifest: Manifest,
    output: Output,
    work: Annotated[Path, typer.Option(help="Folder for what is unfinished, kept by nobody else.")],
    record: Record,
    params: Params = PARAMS,
    tracking_uri: TrackingUri = TRACKING,
) -> None:
    """Predict the images or volumes that nobody has labelled yet; killed volumes go on where they stopped."""
    from segwheel.params.flywheels import read_flywheel
    from segwheel.stages import predict as stage

    values = read_flywheel(params, flywheel)
    with _open(flywheel, record, tracking_uri) as run, timed("predict", run), bar() as lines, failures_told():
        count = stage.predict(checkpoint, manifest, output, work, values.predict, shown_by_name(lines))
    typer.echo(f"{count} samples predicted")


def quantify(
    flywheel: Flywheel,
    predictions: Annotated[Path, typer.Option(help="Folder with predicted masks.")],
    manifest: Manifest,
    output: Output,
    params: Params = PARAMS,
) -> None:
    """Separate, measure and count the objects or faults of the predictions."""
    from segwheel.params.flywheels import read_flywheel
    from segwheel.stages import quantify as stage

    values = read_flywheel(params, flywheel)
    with failures_told():
        found = stage.quantify(predictions, manifest, output, values.predict.threshold, values.quantify)
    typer.echo(f"{found} objects")


def select(
    flywheel: Flywheel,
    manifest: Manifest,
    predictions: Annotated[Path, typer.Option(help="Folder with predictions.")],
    output: Output,
    params: Params = PARAMS,
) -> None:
    """Rank the predictions for correction."""
    from segwheel.params.flywheels import read_flywheel
    from segwheel.stages import select as stage

    values = read_flywheel(params, flywheel)
    count = stage.select(manifest, predictions, output, values.predict.threshold, values.select)
    typer.echo(f"{count} to correct" if count else "nothing left to correct")


@contextmanager
def timed(stage: str, run: Run) -> Iterator[None]:
    """Record how many seconds the block took."""
    start = time.perf_counter()
    yield
    run.metrics({f"seconds/{stage}": time.perf_counter() - start})


@contextmanager
def _open(flywheel: str, record: Path, tracking_uri: str) -> Iterator[MlflowRun]:
    """The run that the train stage started."""
    from segwheel.integrations.mlflow_tracker import open_run, read_record

    with open_run(tracking_uri, flywheel, read_record(record).iteration, record, root=Path()) as run:
        yield run
