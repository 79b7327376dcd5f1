"""`segwheel import-checkpoint`: weights of the reference multi-task network become a segwheel model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def import_checkpoint(
    checkpoint: Annotated[Path, typer.Argument(help="Lightning checkpoint (.ckpt) of the reference implementation.")],
    output: Annotated[Path, typer.Argument(help="Model file to write, weights only.")],
    tile: Annotated[
        str | None, typer.Option(help="Shape of what it was trained on, such as 128x128x128 [as published].")
    ] = None,
) -> None:
    """Take over weights that the reference implementation of the multi-task network trained."""
    from segwheel.learning.reference_weights import import_reference

    found = import_reference(checkpoint, output, _shape(tile) if tile else None)
    typer.echo(f"{output}: {found.text()}")


def _shape(text: str) -> tuple[int, ...]:
    from segwheel.errors import InputError

    sides = text.split("x")
    if not all(side.isdecimal() and int(side) for side in sides):
        raise InputError(f"--tile: expected lengths such as 128x128x128, found {text}")
    return tuple(map(int, sides))
