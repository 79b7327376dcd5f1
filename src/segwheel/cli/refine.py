"""`segwheel refine`: predict a seismic volume, then refine what was found, again and again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from segwheel.cli.convert import Length, shape_of
from segwheel.cli.predict_volume import image_volume
from segwheel.cli.progress import bar, shown_by_name

RAW = ".bin"


def refine(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="A seismic volume: .zarr, .sgy, .npy, or raw .bin.")],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT_DIR", help="Folder for the attributes; it may be there.")],
    model: Annotated[str, typer.Option(help="Model that takes the image: a file, or weights that ship.")],
    refinement: Annotated[str, typer.Option(help="Model that takes and gives attributes, likewise.")],
    iterations: Annotated[int, typer.Option(min=1, help="How often what was found is refined.")] = 3,
    overlap: Annotated[float, typer.Option(min=0, max=0.9, help="Of neighbouring tiles, as a part of a tile.")] = 0.25,
    n1: Length = None,
    n2: Length = None,
    n3: Length = None,
) -> None:
    """Predict RGT, DHR and faults, and refine them; a killed run goes on where it stopped.

    Writes iter0/<attribute>.zarr (as predicted), iter1 and so on; of a raw cube also iter0.<attribute> and so on.
    """
    from segwheel.domain.volume_files import RawReading
    from segwheel.formats import raw_cube
    from segwheel.learning import volume_prediction
    from segwheel.learning.multitask_application import refine_repeatedly
    from segwheel.learning.multitask_checkpoint import find_model, load_multitask

    first = load_multitask(find_model(model), refine=False)
    second = load_multitask(find_model(refinement), refine=True, ndim=first.ndim)
    params = volume_prediction.DEFAULTS.model_copy(update={"overlap": overlap})
    tilings = (volume_prediction.tiling(first.tile, params), volume_prediction.tiling(second.tile, params))
    with bar() as lines:
        image = image_volume(source, output, RawReading(shape=shape_of(n1, n2, n3)), lines)
        steps = refine_repeatedly((first, second), image, output, tilings, iterations, shown_by_name(lines))
        for i, found in steps:
            if source.suffix.lower() == RAW:
                raw_cube.write_each(output / f"iter{i}", found)
            typer.echo(f"{output}: iter{i}: {', '.join(found)}")
