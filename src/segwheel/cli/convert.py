"""The verbs that turn seismic files into volumes and volumes into files for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segwheel.cli.progress import bar, shown

if TYPE_CHECKING:
    from segwheel.formats.segy_scan import Reading
    from segwheel.formats.volume import Readable

SEGY = (".sgy", ".segy")
_HEADERS = "SEG-Y is written with the headers of another SEG-Y file"

Line = Annotated[bool, typer.Option("--line", help="The SEG-Y file is a 2D line; take it as a 2D image.")]
Unit = Annotated[str, typer.Option(help="What samples are counted in along a trace: ms, m or ft.")]
IlineByte = Annotated[int | None, typer.Option(help="Byte of the inline number in the trace header, from 1 [189].")]
XlineByte = Annotated[int | None, typer.Option(help="Byte of the crossline number in the trace header, from 1 [193].")]
SampleFormat = Annotated[
    int | None, typer.Option(help="Sample format code, where the file gives a wrong one (1 IBM, 5 IEEE, ...).")
]
Length = Annotated[int | None, typer.Option(min=1, help="Of raw cubes (.bin): samples along this axis, depth first.")]


def convert(
    source: Annotated[Path, typer.Argument(metavar="INPUT.sgy", help="A stacked SEG-Y file.")],
    target: Annotated[Path, typer.Argument(metavar="OUTPUT.zarr", help="The volume to make.")],
    iline_byte: IlineByte = None,
    xline_byte: XlineByte = None,
    line: Line = False,
    labels: Annotated[
        bool, typer.Option("--labels", help="Samples are labels: 0, 1, 255 (unlabelled); zeros are not dead.")
    ] = False,
    unit: Unit = "ms",
    sample_format: SampleFormat = None,
) -> None:
    """Convert a SEG-Y file, once, into a chunked volume that the other verbs read from."""
    from segwheel.formats import segy_import

    reading = read_as(iline_byte, xline_byte, line, unit, sample_format)
    with bar() as lines:
        conversion = segy_import.convert(
            source, target, reading, labels=labels, progress=shown(lines, f"converting {source.name}")
        )
    typer.echo(f"{target}: {conversion.text()}")


def export(
    volume: Annotated[Path, typer.Argument(metavar="VOLUME", help="A volume (.zarr), .npy, or a raw cube.")],
    output: Annotated[
        Path, typer.Argument(metavar="OUTPUT", help="Its suffix says what it will be: .sgy, .vti, .npy, .bin, .txt.")
    ],
    like: Annotated[Path | None, typer.Option(help="SEG-Y file whose headers and dimensions the volume has.")] = None,
    n1: Length = None,
    n2: Length = None,
    n3: Length = None,
    threshold: Annotated[float, typer.Option(help=".txt: from which probability on a voxel is a fault.")] = 0.5,
    every: Annotated[int, typer.Option(min=1, help=".txt: lines from one section with fault sticks to the next.")] = 5,
    iline_byte: IlineByte = None,
    xline_byte: XlineByte = None,
    line: Annotated[bool, typer.Option("--line", help="The SEG-Y file is a 2D line.")] = False,
    sample_format: SampleFormat = None,
) -> None:
    """Export a volume: SEG-Y, VTK image data, NumPy, a raw cube, or fault sticks as text."""
    from segwheel.formats import fault_sticks, numpy_file, raw_cube, segy_export, vti

    reading = read_as(iline_byte, xline_byte, line, "ms", sample_format)
    suffix = _known_suffix(output)
    opened, note = _open(volume, like, reading, shape_of(n1, n2, n3)), ""
    with bar() as lines:
        progress = shown(lines, f"writing {output.name}")
        if suffix in SEGY:
            note = segy_export.export(opened, volume, _required(like, output, _HEADERS), output, reading, progress)
        elif suffix == ".vti":
            vti.write_volume(output, opened, volume.stem, progress)
        elif suffix == ".npy":
            numpy_file.write_volume(output, opened, progress)
        elif suffix == ".bin":
            raw_cube.write_volume(output, opened, progress)
        else:
            sticks = fault_sticks.find_sticks(opened, threshold=threshold, every=every)
            fault_sticks.write_sticks(output, sticks, opened.geometry)
            typer.echo(f"{len({stick.fault for stick in sticks})} faults, {len(sticks)} sticks")
    shape = " x ".join(map(str, opened.shape))
    typer.echo(f"{output}: {shape} ({', '.join(opened.geometry.names)})" + (f"; {note}" if note else ""))


def _known_suffix(output: Path) -> str:
    from segwheel.errors import FormatError

    suffix = output.suffix.lower()
    known = [*SEGY, ".vti", ".npy", ".bin", ".txt"]
    if suffix not in known:
        raise FormatError(output, expected=f"a name that ends in {', '.join(known)}", found=suffix or "no suffix")
    return suffix


def _open(path: Path, like: Path | None, reading: Reading, shape: tuple[int, ...] | None) -> Readable:
    """A volume by its name. Raw cubes say nothing about their dimensions: they are those of `like`, or `shape`, or all
    edges of a cube are equal."""
    from segwheel.errors import InputError
    from segwheel.formats import volume
    from segwheel.formats.numpy_file import NumpyFile
    from segwheel.formats.raw_cube import RawCube, infer_shape
    from segwheel.formats.segy_scan import scan

    if path.suffix.lower() in SEGY:
        raise InputError(
            f"{path}: expected a volume, found SEG-Y: `segwheel convert {path} {path.stem}.zarr` makes one"
        )
    if path.is_dir() or path.suffix == ".zarr":
        return volume.open(path)
    if path.suffix == ".npy":
        return NumpyFile(path, scan(like, reading).geometry if like else None)
    if like is None:
        return RawCube(path, shape or infer_shape(path, 3))
    survey = scan(like, reading)
    return RawCube(path, survey.shape, survey.geometry)


def _required(like: Path | None, path: Path, why: str) -> Path:
    from segwheel.errors import InputError

    if like is None:
        raise InputError(f"{path}: expected --like with the SEG-Y file that it belongs to, found none; {why}")
    return like


def read_as(
    iline_byte: int | None, xline_byte: int | None, line: bool, unit: str, sample_format: int | None
) -> Reading:
    """How a SEG-Y file is read, from the options that say so. Raises InputError for options that make no sense."""
    from segwheel.errors import InputError
    from segwheel.formats.segy_samples import FORMATS
    from segwheel.formats.segy_scan import UNITS, Reading

    if (iline_byte is None) != (xline_byte is None):
        raise InputError("expected both of --iline-byte and --xline-byte, found one")
    if unit not in UNITS:
        raise InputError(f"--unit: expected {', '.join(UNITS)}, found {unit}")
    if sample_format is not None and sample_format not in FORMATS:
        raise InputError(f"--sample-format: expected one of {', '.join(map(str, FORMATS))}, found {sample_format}")
    lines = None if iline_byte is None or xline_byte is None else (iline_byte, xline_byte)
    return Reading(lines, line, unit, sample_format)


def shape_of(*lengths: int | None) -> tuple[int, ...] | None:
    """The dimensions that were given, None for none. Raises InputError for some of them."""
    from segwheel.errors import InputError

    given = tuple(n for n in lengths if n is not None)
    if given != lengths[: len(given)] or len(given) == 1:
        raise InputError("expected --n1 and --n2, and --n3 of a cube, found only some of them")
    return given or None
