"""`segwheel compare`: the iterations of a flywheel side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segwheel.domain.scores import KNOWN, less_is_better

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from segwheel.integrations.comparison import Difference, Iteration

_HEADINGS = {"count": "trained on", "mean": "test, mean", "image": "test, per image", "seconds": "seconds"}
_COUNTS = {"train_images": "labelled images", "corrections": "of them corrections"}
_LESS = " ↓"


def compare(
    flywheel: Annotated[str, typer.Argument(help="Name of the flywheel in params.yaml.")],
    csv: Annotated[bool, typer.Option("--csv", help="Print the numbers as CSV.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print numbers and differences as JSON.")] = False,
    tracking_uri: Annotated[
        str, typer.Option(envvar="MLFLOW_TRACKING_URI", help="Where MLflow keeps the runs.")
    ] = "sqlite:///mlflow.db",
) -> None:
    """Show the iterations of a flywheel side by side: scores, images, what changed and seconds of each stage."""
    if csv and json:
        raise typer.BadParameter("--csv and --json exclude each other")
    from segwheel.integrations.comparison import differences, iterations, table

    rows = iterations(flywheel, tracking_uri, Path.cwd())
    lines, changes = table(rows), differences(rows)
    if csv:
        typer.echo(_as_csv(lines), nl=False)
    elif json:
        typer.echo(_as_json(flywheel, rows, lines, changes))
    else:
        from rich.console import Console

        console = Console()
        console.print(_numbers(flywheel, rows, lines))
        if changes:
            console.print(_changes(changes))


def _as_csv(lines: Sequence[dict[str, Any]]) -> str:
    from csv import DictWriter
    from io import StringIO

    text = StringIO()
    writer = DictWriter(text, list(lines[0]) if lines else ["kind", "name", "score"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def _as_json(
    flywheel: str, rows: Sequence[Iteration], lines: Sequence[dict[str, Any]], changes: Sequence[Difference]
) -> str:
    import json
    from dataclasses import asdict

    content = {
        "flywheel": flywheel,
        "iterations": [{"iteration": row.iteration, "run_id": row.run_id} for row in rows],
        "numbers": list(lines),
        "differences": [asdict(change) for change in changes],
    }
    return json.dumps(content, indent=2, ensure_ascii=False)


def _numbers(flywheel: str, rows: Sequence[Iteration], lines: Sequence[dict[str, Any]]) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=f"{escape(flywheel)}: iterations side by side", title_justify="left")
    table.add_column("")
    for row in rows:
        table.add_column(f"iteration {row.iteration}", justify="right")
    kind = ""
    for line in lines:
        if line["kind"] != kind:
            kind = line["kind"]
            table.add_section()
            table.add_row(f"[bold]{_HEADINGS[kind]}[/bold]")
        if less_is_better(line["score"]):
            table.caption = f"{_LESS.strip()} less is better"
        values = [_number(kind, line[f"iteration_{row.iteration}"]) for row in rows]
        table.add_row(escape(_label(line)), *values)
    return table


def _label(line: dict[str, Any]) -> str:
    name = _COUNTS.get(line["name"], line["name"])
    return " ".join(word for word in (_words(line["score"]), name) if word)


def _words(score: str) -> str:
    """What people call a score; an arrow down says that less of it is better."""
    if score not in KNOWN:
        return score
    return KNOWN[score].words + (_LESS if less_is_better(score) else "")


def _number(kind: str, value: float | None) -> str:
    if value is None:
        return "-"
    return {"count": f"{value:.0f}", "seconds": f"{value:.1f}"}.get(kind, f"{value:.3f}")


def _changes(changes: Sequence[Difference]) -> Table:
    from rich.table import Table

    table = Table(title="differences, paired by test image", title_justify="left")
    for heading in ("iterations", "score", "mean", "95 % t-interval", "images"):
        table.add_column(heading, justify="left" if heading in ("iterations", "score") else "right")
    for change in changes:
        known = change.low is not None and change.high is not None
        interval = f"{change.low:+.3f} to {change.high:+.3f}" if known else "-"
        step = f"{change.earlier} to {change.later}"
        table.add_row(step, _words(change.score), f"{change.mean:+.3f}", interval, str(change.images))
    return table
