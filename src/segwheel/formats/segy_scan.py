"""Finding out what a SEG-Y file is: a survey, a line, or something that must be refused, and why.

Inline and crossline numbers stand in bytes 189 and 193 of the trace header (revision 1). Other places are
believed by themselves only where the coordinates of the traces confirm that they make a grid, and always where
they are given.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from segwheel.errors import FormatError
from segwheel.formats.geometry import DEPTH, Axis, Geometry, Source
from segwheel.formats.segy import Layout, read_layout
from segwheel.formats.segy_grid import Column, Grid, GridError, lay_out, place
from segwheel.formats.segy_headers import (
    CDP,
    CHANNEL,
    DELAY,
    FIELD_RECORD,
    ILINE,
    INTERVAL,
    MID_POINT,
    OFFSET,
    SAMPLE_COUNT,
    SOURCE_POINT,
    TIME_SCALAR,
    XLINE,
    Headers,
    multiplier,
)
from segwheel.progress import Progress, no_progress

UNITS = ("ms", "m", "ft")

# Where software has put inline and crossline numbers besides 189 and 193.
_ELSEWHERE = ((9, 21), (5, 21), (9, 13), (9, 17), (17, 21), (25, 21), (17, 13), (221, 225), (213, 217), MID_POINT)
_FIELDS = {CDP, CHANNEL, FIELD_RECORD, ILINE, OFFSET, XLINE, *SOURCE_POINT} | {b for pair in _ELSEWHERE for b in pair}
_SURVEY, _LINE = "a 3D post-stack SEG-Y file", "a stacked 2D line"
_USE_LINE = "--line takes it as a 2D image"
_INCONSISTENT = "the file is inconsistent, or --iline-byte and --xline-byte should name other bytes"


@dataclass(frozen=True)
class Reading:
    """How to read a SEG-Y file, where it doesn't say so itself or says something wrong.

    `lines` are the 1-based bytes of inline and crossline number in the trace header; `line` takes a 2D line as
    a 2D image; `unit` is what the sample interval is thousandths of (the file cannot say that it is in depth);
    `sample_format` is the code of the samples.
    """

    lines: tuple[int, int] | None = None
    line: bool = False
    unit: str = "ms"
    sample_format: int | None = None


STANDARD = Reading()


@dataclass(frozen=True)
class Survey:
    """A SEG-Y file understood. `traces` has the lateral shape and holds the number of each trace, or -1."""

    layout: Layout
    geometry: Geometry
    traces: npt.NDArray[np.int64]
    flagged: npt.NDArray[np.bool_]  # per trace: dead by its header
    silent: npt.NDArray[np.bool_]  # per trace: all samples are zero

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the volume, depth first."""
        return (self.layout.samples, *self.traces.shape)


def scan(path: Path, reading: Reading = STANDARD, progress: Progress = no_progress) -> Survey:
    """Find out what a SEG-Y file holds, reading every byte once; memory grows with the number of traces only.

    Raises MissingError, and FormatError with what was found for files that are no SEG-Y, cut off, empty,
    inconsistent or pre-stack, for 2D lines unless `reading.line` is set, and for surveys when it is.
    """
    layout = read_layout(path, reading.sample_format)
    last = layout.header_bytes - 3
    for byte in reading.lines or ():
        if not 1 <= byte <= last:
            raise FormatError(path, expected=f"line numbers in bytes 1 to {last} of a trace header", found=f"{byte}")
    headers = Headers(layout, _FIELDS | set(reading.lines or ()), progress)
    _require_equal_traces(layout, headers)
    if layout.traces == 1:
        raise FormatError(path, expected=_LINE if reading.line else _SURVEY, found="1 trace")
    grid, lines = (_line if reading.line else _survey)(layout, headers, reading.lines)
    depth = _depth_axis(headers, layout, reading.unit)
    source = Source(str(path), headers.md5, lines, reading.sample_format)
    geometry = Geometry((depth, *grid.axes), place(grid, headers.positions(unused=lines)), source)
    return Survey(layout, geometry, grid.traces, headers.flagged, headers.silent)


def _require_equal_traces(layout: Layout, headers: Headers) -> None:
    used = ~(headers.flagged | headers.silent)
    for byte, what in ((SAMPLE_COUNT, "sample counts"), (DELAY, "delays")):
        stated = np.unique(headers[byte][used])
        if stated.size > 1:
            raise FormatError(
                layout.path,
                expected="traces of one length that begin together",
                found=f"{what} from {stated[0]} to {stated[-1]} in the trace headers (byte {byte})",
                hint="the file is inconsistent",
            )


def _survey(layout: Layout, headers: Headers, given: tuple[int, int] | None) -> tuple[Grid, tuple[int, ...]]:
    """The grid of a 3D survey and the header bytes that it comes from."""
    lines = given or (ILINE, XLINE)
    if given or headers.varies(ILINE) or headers.varies(XLINE):
        try:
            return _grid(headers, lines), lines
        except GridError as error:
            if (error.duplicate or error.line) and headers.varies(OFFSET):
                _refuse_prestack(layout, headers, _SURVEY)
            if not given and (elsewhere := _elsewhere(headers)):
                return elsewhere
            found = f"{error} by bytes {lines[0]} and {lines[1]}"
            hint = _USE_LINE if error.line else _INCONSISTENT
            raise FormatError(layout.path, expected=_SURVEY, found=found, hint=hint) from error
    if headers.varies(OFFSET):
        _refuse_prestack(layout, headers, _SURVEY)
    if elsewhere := _elsewhere(headers):
        return elsewhere
    _refuse_shots(layout, headers, _SURVEY)
    found = f"{layout.traces} traces without inline and crossline numbers in bytes {ILINE} and {XLINE}"
    hint = f"if it is a 2D line, {_USE_LINE}; if not, give --iline-byte and --xline-byte"
    raise FormatError(layout.path, expected=_SURVEY, found=found, hint=hint)


def _elsewhere(headers: Headers) -> tuple[Grid, tuple[int, ...]] | None:
    """The grid by the first of the unusual header bytes that the coordinates of the traces confirm."""
    for lines in _ELSEWHERE:
        try:
            grid = _grid(headers, lines)
        except GridError:
            continue
        if place(grid, headers.positions(unused=lines)):
            return grid, lines
    return None


def _line(layout: Layout, headers: Headers, given: tuple[int, int] | None) -> tuple[Grid, tuple[int, ...]]:
    """A 2D line as a grid with one axis: numbered by the line numbers that vary, by CDP, or as traces come."""
    if headers.varies(OFFSET):
        _refuse_prestack(layout, headers, _LINE)
    lines = given or (ILINE, XLINE)
    names = dict(zip(lines, ("inline", "crossline"), strict=True))
    varying = [byte for byte in lines if headers.varies(byte)]
    if len(varying) == len(lines):
        _refuse_survey(layout, headers, lines)
    elif not varying:
        _refuse_shots(layout, headers, _LINE)
        varying = [CDP] if headers.varies(CDP) else []
    column = Column("trace", np.arange(1, layout.traces + 1, dtype=np.int32))
    if len(varying) == 1:
        column = Column(names.get(varying[0], "cdp"), headers[varying[0]])
    try:
        return lay_out((column,)), tuple(varying)
    except GridError as error:
        raise FormatError(layout.path, expected=_LINE, found=str(error), hint="the file is inconsistent") from error


def _grid(headers: Headers, lines: tuple[int, int]) -> Grid:
    """Raises GridError."""
    return lay_out((Column("inline", headers[lines[0]]), Column("crossline", headers[lines[1]])))


def _refuse_survey(layout: Layout, headers: Headers, lines: tuple[int, int]) -> None:
    """Return only if the traces follow a line through the grid, across inlines and crosslines."""
    try:
        shape = _grid(headers, lines).traces.shape
    except GridError as error:
        if error.line:
            return
        raise FormatError(layout.path, expected=_LINE, found=str(error), hint="the file is inconsistent") from error
    found = f"a 3D survey of {shape[0]} inlines and {shape[1]} crosslines"
    raise FormatError(layout.path, expected=_LINE, found=found, hint="leave --line out")


def _refuse_prestack(layout: Layout, headers: Headers, expected: str) -> NoReturn:
    offsets = np.unique(headers[OFFSET])
    found = f"pre-stack data: {layout.traces} traces of {offsets.size} offsets ({offsets[0]} to {offsets[-1]})"
    raise FormatError(layout.path, expected=expected, found=found, hint="stack it first")


def _refuse_shots(layout: Layout, headers: Headers, expected: str) -> None:
    """Return unless the traces are channels of field records."""
    if headers.varies(FIELD_RECORD) and headers.varies(CHANNEL):
        records, channels = (np.unique(headers[byte]).size for byte in (FIELD_RECORD, CHANNEL))
        found = f"pre-stack data: {layout.traces} traces of {records} field records and {channels} channels"
        raise FormatError(layout.path, expected=expected, found=found, hint="stack it first")


def _depth_axis(headers: Headers, layout: Layout, unit: str) -> Axis:
    """Numbers along a trace: delay and interval, the interval of the file before that of the traces."""
    interval = max(layout.interval, 0) or max(int(headers[INTERVAL][0]), 0)
    if not interval:
        return Axis(DEPTH, unit="sample")
    delays = headers[DELAY] * multiplier(headers[TIME_SCALAR])
    used = delays[~(headers.flagged | headers.silent)]
    return Axis(DEPTH, float(used[0]) if used.size else 0.0, interval / 1000, unit)
