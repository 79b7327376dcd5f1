"""`segwheel synth seismic`: made-up seismic volumes or sections with exact attributes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

Counts = tuple[int, int]
Range = tuple[float, float]

LOW_HIGH = "LOW HIGH"


def synth_seismic(
    output: Annotated[Path, typer.Option(help="Folder to make, or to continue.")],
    shape: Annotated[
        int, typer.Option(help="Samples along each axis, depth first: --shape 128 128 128, or two in 2D.")
    ],
    more: Annotated[list[int] | None, typer.Argument(metavar="", hidden=True)] = None,
    count: Annotated[int, typer.Option(help="How many samples.", min=1)] = 1,
    seed: Annotated[int, typer.Option(help="The same seed makes the same files.", min=0)] = 0,
    recipe: Annotated[str, typer.Option(help="published (the method's own), or field (more like real surveys).")] = (
        "published"
    ),
    refinement: Annotated[bool, typer.Option(help="Also write damaged attributes, to train the refinement on.")] = True,
    workers: Annotated[int, typer.Option(help="Processes.", min=1)] = 1,
    faults: Annotated[Counts | None, typer.Option(metavar=LOW_HIGH, help="Faults in a sample.")] = None,
    displacement: Annotated[Range | None, typer.Option(metavar=LOW_HIGH, help="Voxels along a fault.")] = None,
    layer_thickness: Annotated[Range | None, typer.Option(metavar=LOW_HIGH, help="Voxels.")] = None,
    frequency: Annotated[Range | None, typer.Option(metavar=LOW_HIGH, help="Cycles per sample of depth.")] = None,
    noise: Annotated[Range | None, typer.Option(metavar=LOW_HIGH, help="Greatest noise over greatest signal.")] = None,
    unconformities: Annotated[Counts | None, typer.Option(metavar=LOW_HIGH, help="Unconformities in a sample.")] = None,
    amplitude_decay: Annotated[
        Range | None, typer.Option(metavar=LOW_HIGH, help="ln(amplitude at the top / at the bottom).")
    ] = None,
    listric_share: Annotated[float | None, typer.Option(help="Share of faults that flatten with depth.")] = None,
) -> None:
    """Make data/<i>.bin and target/<i>_{rgt,dhr,fsem,fdip,fstrike}.bin, in the published layout.

    Samples that are there already are kept: the same command with a larger --count makes the folder longer.
    """
    from dataclasses import replace

    from rich.console import Console
    from rich.progress import track

    from segwheel.domain.synthesis.cubes import SeismicSet, write_set
    from segwheel.domain.synthesis.recipe import RECIPES
    from segwheel.errors import InputError

    if recipe not in RECIPES:
        raise InputError(f"--recipe: expected one of {', '.join(RECIPES)}, found {recipe}")
    given: dict[str, Any] = {
        "faults": faults,
        "displacement": displacement,
        "layer_thickness": layer_thickness,
        "frequency": frequency,
        "noise": noise,
        "unconformities": unconformities,
        "amplitude_decay": amplitude_decay,
        "listric_share": listric_share,
    }
    changed = replace(RECIPES[recipe], **{name: value for name, value in given.items() if value is not None})
    wanted = SeismicSet((shape, *(more or ())), seed, changed, refinement)
    numbers = write_set(output, wanted, count, workers)
    for _ in track(numbers, "generating", count, console=Console(stderr=True), transient=True):
        pass
    typer.echo(f"{output}: {count} samples of {' x '.join(map(str, wanted.shape))}")
