"""`segwheel predict-volume`: one seismic volume in, its attributes and faults out, without a repository."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segwheel.cli.convert import IlineByte, Length, Line, SampleFormat, Unit, XlineByte, read_as, shape_of
from segwheel.cli.progress import bar, shown, shown_by_name

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from segwheel.domain.volume_files import RawReading
    from segwheel.formats.segy_scan import Reading
    from segwheel.formats.volume import Volume

SHIPPED = {2: "section_light", 3: "seismic_light"}  # weights that come with segwheel, by the number of axes


def predict_volume(
    source: Annotated[
        Path, typer.Argument(metavar="INPUT", help="A stacked seismic volume: .sgy, .zarr, .npy, or a raw cube .bin.")
    ],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT_DIR", help="Folder for the attributes; it may be there.")],
    model: Annotated[
        str | None,
        typer.Option(
            help="A model file, or the name of weights that ship with segwheel.",
            show_default=f"{SHIPPED[3]}, or {SHIPPED[2]} for a line",
        ),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Probability from which on a voxel is a fault [the model's].")
    ] = None,
    overlap: Annotated[float, typer.Option(min=0, max=0.9, help="Of neighbouring tiles, as a part of a tile.")] = 0.25,
    batch_size: Annotated[int, typer.Option(min=1, help="Tiles that go through the network together.")] = 1,
    like: Annotated[
        Path | None, typer.Option(help="SEG-Y file whose headers the attributes get, where INPUT is none itself.")
    ] = None,
    n1: Length = None,
    n2: Length = None,
    n3: Length = None,
    iline_byte: IlineByte = None,
    xline_byte: XlineByte = None,
    line: Line = False,
    unit: Unit = "ms",
    sample_format: SampleFormat = None,
) -> None:
    """Predict RGT, DHR and faults with dip and strike of one volume; a killed run goes on where it stopped.

    Writes each attribute as .zarr, and as .sgy with the headers of a SEG-Y file; faults.csv has a row for each fault,
    fault_sticks.txt its surface. Dip and strike are angles / 180 times the fault probability.
    """
    from segwheel.domain.fault_tables import write_faults
    from segwheel.domain.volume_files import RawReading
    from segwheel.formats import volume
    from segwheel.learning.multitask_checkpoint import find_model, load_multitask
    from segwheel.learning.volume_prediction import DEFAULTS, predict_image
    from segwheel.params.volumes import VolumeQuantifyParams

    reading = read_as(iline_byte, xline_byte, line, unit, sample_format)
    # Before a conversion that may be long.
    named = load_multitask(find_model(model), refine=False) if model else None
    params = DEFAULTS.model_copy(update={"overlap": overlap, "batch_size": batch_size})
    with bar() as lines:
        image = image_volume(source, output, RawReading(reading, shape_of(n1, n2, n3)), lines)
        loaded = named or load_multitask(find_model(SHIPPED[len(image.shape)]), refine=False)
        paths = predict_image(loaded, image, output, params, shown_by_name(lines))
        _write_segy(paths, source, like, reading, lines)
    typer.echo(f"{output}: {', '.join(path.name for path in paths.values())}")
    if "fsem" in paths:
        least = loaded.threshold if threshold is None else threshold
        opened = {name: volume.open(path) for name, path in paths.items()}
        measured = VolumeQuantifyParams(min_fault_voxels=100, stick_spacing=5)
        rows = write_faults(opened, output / "faults.csv", output / "fault_sticks.txt", least, measured)
        typer.echo(f"faults of probability {least:g} and more: {len(rows)}")


def image_volume(source: Path, output: Path, reading: RawReading, lines: Bar) -> Volume:
    """The input as a volume, converted to `output` if it isn't one."""
    from segwheel.domain.volume_conversion import convert_image
    from segwheel.formats import volume

    if source.suffix.lower() == ".zarr":
        return volume.open(source)
    made = convert_image(source, output / "image.zarr", reading, shown(lines, f"converting {source.name}"))
    for text in made.oddities(source):
        typer.echo(f"note: {text}", err=True)
    return made.volume


def _write_segy(paths: dict[str, Path], source: Path, like: Path | None, reading: Reading, lines: Bar) -> None:
    """Write each attribute beside its volume with the headers of `like`, or of the input if it is SEG-Y."""
    from segwheel.domain.volume_files import SEGY
    from segwheel.formats import segy_export, volume

    headers = like or (source if source.suffix.lower() in SEGY else None)
    if headers is None:
        return
    note = ""  # the same for all of them
    for path in paths.values():
        target = path.with_suffix(".sgy")
        progress = shown(lines, f"writing {target.name}")
        note = segy_export.export(volume.open(path), path, headers, target, reading, progress)
    if note:
        typer.echo(f"SEG-Y: {note}")
