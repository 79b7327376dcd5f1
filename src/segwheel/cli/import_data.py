"""The verb that makes a flywheel of a folder of images or volumes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segwheel.cli.convert import IlineByte, Length, Line, SampleFormat, Unit, XlineByte, read_as, shape_of
from segwheel.cli.intake import print_findings

if TYPE_CHECKING:
    from segwheel.integrations.importing import Plan


def import_data(
    name: Annotated[str, typer.Argument(help="What the new flywheel is called.")],
    folder: Annotated[
        Path,
        typer.Argument(
            help="Folder with images/<name>.tif and masks/<name>_mask.tif, or with volumes/<name>.sgy (.npy, .bin, "
            ".zarr) and labels/<name>_fsem.sgy (_rgt, _dhr, _fdip, _fstrike), or one such volume. "
            "What has no labels waits in the pool."
        ),
    ],
    splits: Annotated[
        Path | None,
        typer.Option(
            help="CSV with name, split (labelled, val, pool, test; anything else: unused), group, pixel_size_um."
        ),
    ] = None,
    pixel_size: Annotated[float | None, typer.Option(help="Size of a pixel in um, where splits has none.")] = None,
    n1: Length = None,
    n2: Length = None,
    n3: Length = None,
    iline_byte: IlineByte = None,
    xline_byte: XlineByte = None,
    line: Line = False,
    unit: Unit = "ms",
    sample_format: SampleFormat = None,
) -> None:
    """Make a new flywheel of your images or volumes: checked, copied, under DVC, and named in params.yaml."""
    from segwheel.domain.manifest import parse_pixel_size
    from segwheel.domain.volume_files import RawReading, holds_volumes
    from segwheel.integrations import dvc, importing, volume_importing

    size = parse_pixel_size("--pixel-size", "" if pixel_size is None else str(pixel_size))
    root = Path()
    if holds_volumes(folder):
        reading = RawReading(read_as(iline_byte, xline_byte, line, unit, sample_format), shape_of(n1, n2, n3))
        plan = volume_importing.plan_volume_import(root, name, folder, reading, splits)
    else:
        plan = importing.plan_import(root, name, folder, splits)
    print_findings(plan.findings)
    paths = importing.carry_out(root, plan, dvc.add, size)
    typer.echo(f"flywheel {name}: {_summary(plan)}")
    if splits is None and (folder / "splits.csv").is_file():
        typer.echo(f"note: {folder / 'splits.csv'} was not used; only --splits makes it count")
    typer.echo("next:")
    typer.echo(f"  git add {' '.join(path.as_posix() for path in paths)} && git commit -m 'Import {name}'")
    typer.echo("  dvc repro")
    typer.echo(f"  segwheel compare {name}")


def _summary(plan: Plan) -> str:
    words = [pair.split or "to be divided" for pair in plan.pairs]
    counts = ", ".join(f"{words.count(word)} {word}" for word in sorted(set(words)))
    return f"{len(words)} {plan.kind.samples} ({counts})"
