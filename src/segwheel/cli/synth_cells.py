"""`segwheel synth cells`: made-up microscopy images with known truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def synth_cells(
    output: Annotated[Path, typer.Option(help="Folder to make.")],
    count: Annotated[int, typer.Option(help="How many images.", min=1)] = 24,
    size: Annotated[int, typer.Option(help="Height and width (pixels).", min=64)] = 256,
    seed: Annotated[int, typer.Option(help="The same seed makes the same files.", min=0)] = 0,
    bits: Annotated[Literal["8", "16"], typer.Option(help="Bits of a pixel.")] = "8",
) -> None:
    """Make images/<name>.tif, masks/<name>_mask.tif, labels/<name>_labels.tif and splits.csv.

    The first quarter (at most 6) is labelled and shows two of the four conditions, the last quarter is for testing.
    """
    from segwheel.domain.synthesis.cells import cell_images, write_cells

    written = write_cells(output, cell_images(count, size, seed, int(bits)))
    typer.echo(f"{output}: {written} images")
