"""Verbs that look at data before anything learns from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segwheel.errors import PartialError

if TYPE_CHECKING:
    from segwheel.domain.quality import Finding


def validate_dataset(
    input_dir: Annotated[Path, typer.Option(help="Folder with images/<name>.tif and masks/<name>_mask.tif.")] = Path(
        "data/working/"
    ),
    output_dir: Annotated[Path, typer.Option(help="Where all.csv and qc_summary.csv go.")] = Path("data/splits/"),
) -> None:
    """Check every image and mask, name each problem, and write the manifest of the sound ones."""
    from segwheel.stages.ingest import validate

    result = validate(input_dir, output_dir)
    print_findings(result.findings)
    typer.echo(f"{output_dir / 'all.csv'}: {len(result.rows)} of {result.total} samples")
    result.raise_for_errors("validate_dataset")


def make_splits(
    manifest: Annotated[Path, typer.Option(help="The all.csv of validate_dataset.")] = Path("data/splits/all.csv"),
    seed: Annotated[int, typer.Option(min=0, help="Decides what the rules leave open.")] = 42,
    output_dir: Annotated[Path, typer.Option(help="Where train.csv, val.csv, test.csv and pool.csv go.")] = Path(
        "data/splits/"
    ),
    train_ratio: Annotated[float, typer.Option(min=0, max=1)] = 0.6,
    val_ratio: Annotated[float, typer.Option(min=0, max=1)] = 0.2,
    test_ratio: Annotated[float, typer.Option(min=0, max=1)] = 0.2,
) -> None:
    """Divide the samples: whole groups, alike in mask coverage; a test set that is there already stays as it is."""
    from segwheel.params.sections import SplitParams
    from segwheel.stages.split import split

    params = SplitParams(seed=seed, train_ratio=train_ratio, val_ratio=val_ratio, test_ratio=test_ratio)
    result = split(manifest, output_dir, params)
    for remark in result.remarks:
        typer.echo(f"note: {remark}")
    typer.echo(f"{output_dir}: " + ", ".join(f"{count} {name}" for name, count in sorted(result.counts.items())))


def print_findings(findings: Iterable[Finding]) -> None:
    """One line for each thing that was found, to standard error."""
    for finding in findings:
        typer.echo(f"{finding.status}: {finding.message}", err=True)


@contextmanager
def failures_told() -> Iterator[None]:
    """A line on standard error for each item of the block that failed; the error that counts them goes on."""
    try:
        yield
    except PartialError as error:
        for problem in error.failures.values():
            typer.echo(f"error: {problem}", err=True)
        raise
