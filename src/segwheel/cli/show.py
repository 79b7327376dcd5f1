"""`segwheel show`: a picture of slices through a seismic volume and its attributes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segwheel.cli.convert import IlineByte, Length, Line, SampleFormat, Unit, XlineByte, read_as, shape_of
from segwheel.cli.progress import bar, shown

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from segwheel.domain.volume_files import Raw, RawReading
    from segwheel.formats.volume import Placed

Index = Annotated[int | None, typer.Option(min=0, help="Which slice, counted from 0 [the middle one].")]
_IMAGE = "image"


def show(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="INPUT", help="The image: .zarr, .sgy, .npy or .bin; or what predict-volume made of it."
        ),
    ],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT.png", help="The picture to make.")],
    attributes: Annotated[
        Path | None,
        typer.Option(
            help="Attributes of the image: a folder with rgt.zarr, dhr.zarr, fsem.zarr, ... (or .sgy, .npy, .bin), or "
            "how such files begin: 'result' for result.rgt, 'target/0' for target/0_rgt.bin."
        ),
    ] = None,
    inline: Index = None,
    crossline: Index = None,
    depth: Index = None,
    threshold: Annotated[float, typer.Option(min=0, max=1, help="Probability from which on a voxel is a fault.")] = 0.5,
    n1: Length = None,
    n2: Length = None,
    n3: Length = None,
    iline_byte: IlineByte = None,
    xline_byte: XlineByte = None,
    line: Line = False,
    unit: Unit = "ms",
    sample_format: SampleFormat = None,
) -> None:
    """Show an inline, a crossline and a depth slice: image, DHR, contours of RGT, and faults coloured by strike.

    A section is shown whole, its faults coloured by dip.
    """
    from segwheel.domain.volume_files import RawReading
    from segwheel.domain.volume_views import views
    from segwheel.errors import FormatError
    from segwheel.formats.seismic_picture import save_figure, seismic_figure

    if output.suffix.lower() != ".png":
        raise FormatError(output, expected="a name that ends in .png", found=output.suffix or "no suffix")
    reading = RawReading(read_as(iline_byte, xline_byte, line, unit, sample_format), shape_of(n1, n2, n3))
    asked = {"inline": inline, "crossline": crossline, "depth": depth}
    with ExitStack() as stack:
        work, lines = Path(stack.enter_context(tempfile.TemporaryDirectory())), stack.enter_context(bar())
        files = _files(source, attributes)
        image = _open(files.pop(_IMAGE), work, reading, None, lines)
        volumes = {_IMAGE: image} | {name: _open(path, work, reading, image, lines) for name, path in files.items()}
        slices = views(volumes, {axis: index for axis, index in asked.items() if index is not None})
        save_figure(output, seismic_figure(slices, threshold))
    typer.echo(f"{output}: {', '.join(volumes)} of {source}")


def _files(source: Path, attributes: Path | None) -> dict[str, Path]:
    """The image and the attributes that there are. Raises MissingError when attributes were named and none is there."""
    from segwheel.errors import MissingError
    from segwheel.formats.raw_cube import ATTRIBUTES

    if source.is_dir() and source.suffix.lower() != ".zarr":
        attributes, source = attributes or source, source / "image.zarr"
    found = {_IMAGE: source}
    if attributes is None:
        return found
    for name in ATTRIBUTES:
        there = next((path for path in _candidates(attributes, name) if path.exists()), None)
        if there:
            found[name] = there
    if len(found) == 1:
        hint = f"expected {attributes}/rgt.zarr, {attributes}.rgt or {attributes}_rgt.bin, or another attribute"
        raise MissingError(attributes, what="attributes", hint=hint)
    return found


def _candidates(attributes: Path, name: str) -> Iterator[Path]:
    from segwheel.domain.volume_files import SUFFIXES

    for suffix in reversed(SUFFIXES):  # volumes first
        yield attributes / f"{name}{suffix}"
        yield attributes.with_name(f"{attributes.name}_{name}{suffix}")
    yield attributes.with_name(f"{attributes.name}.{name}")  # a raw cube, as main3_infer.py writes it


def _open(path: Path, work: Path, reading: RawReading, image: Placed | None, lines: Bar) -> Raw:
    """The image, or an attribute of `image`, to read slices from; SEG-Y is converted to `work` first."""
    from segwheel.domain.volume_files import SEGY, open_raw
    from segwheel.formats import segy_import, volume

    if path.suffix.lower() in SEGY:
        target = work / f"{path.stem}.zarr"
        progress = shown(lines, f"reading {path.name}")
        segy_import.convert(path, target, reading.segy, silent_is_dead=image is None, progress=progress)
        return volume.open(target)
    return open_raw(path, reading, image)
