"""`segwheel report`: one page about the last iteration of a flywheel."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    flywheel: Annotated[str, typer.Argument(help="Name of the flywheel in params.yaml.")],
    output: Annotated[
        Path | None, typer.Option(help="The page.", show_default="reports/<flywheel>/report.html")
    ] = None,
) -> None:
    """Write a page with the scores, curves, best and worst test images and the review queue."""
    import json

    from segwheel.domain.manifest import read_table
    from segwheel.errors import MissingError
    from segwheel.integrations.mlflow_tracker import read_record
    from segwheel.review.report import write_report

    data, models, reports = (Path(name) / flywheel for name in ("data", "models", "reports"))
    scores = reports / "evaluation.json"
    if not scores.is_file():
        raise MissingError(scores, what="evaluation", hint="run `dvc repro`")
    curves = [models / "loss_plot.png", *models.glob("accuracy_plot.png")]  # the latter of volumes only
    page = output or reports / "report.html"
    write_report(
        page,
        title=f"{flywheel}, iteration {read_record(models / 'run.json').iteration}",
        metrics=json.loads(scores.read_text(encoding="utf-8")),
        per_image=[row for _, row in read_table(data / "evaluation" / "per_image.csv", ("basename",))],
        pictures=[*curves, *sorted((data / "evaluation" / "pictures").glob("*.png"))],
        queue=[row for _, row in read_table(data / "queue" / "review_queue.csv", ("basename",))],
    )
    typer.echo(f"report: {page}")
