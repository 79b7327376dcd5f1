"""A volume as SEG-Y with the headers of the file that it belongs to.

Textual headers, trace headers and the order of the traces are those of the source, byte for byte, and so is the
binary header where the source holds floats (codes 1, 5 and 6). A source of integers could not hold new samples;
the copy then has IEEE floats, and the sample format code in the binary header, two bytes, says so; it is also
put right where the source holds something else than it says.
Dead and missing voxels are written as zeros.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from segwheel.axes import Region
from segwheel.errors import FormatError
from segwheel.formats.files import replacing
from segwheel.formats.flat import blocks
from segwheel.formats.segy import FORMAT_BYTE, Layout, read_records
from segwheel.formats.segy_headers import ILINE, XLINE
from segwheel.formats.segy_import import runs
from segwheel.formats.segy_samples import BIG, FORMATS, IBM_FLOAT, IEEE_DOUBLE, IEEE_FLOAT, encode
from segwheel.formats.segy_scan import STANDARD, Reading, Survey, scan
from segwheel.formats.space import writing
from segwheel.formats.volume import Readable
from segwheel.progress import Progress, no_progress

_FLOATS = {IBM_FLOAT, IEEE_FLOAT, IEEE_DOUBLE}


def reading_of(volume: Readable, reading: Reading = STANDARD) -> Reading:
    """How to read the file that a volume was made of, as far as the volume knows."""
    source = volume.geometry.source
    line = len(volume.shape) == 2
    if source is None or reading != STANDARD:
        return replace(reading, line=line)
    lines = (source.header_bytes[0], source.header_bytes[1]) if len(source.header_bytes) == 2 else None
    return Reading(lines if lines != (ILINE, XLINE) else None, line, sample_format=source.sample_format)


def export(
    volume: Readable,
    name: Path,
    like: Path,
    target: Path,
    reading: Reading = STANDARD,
    progress: Progress = no_progress,
) -> str:
    """Write a volume, called `name` in messages, into a copy of the SEG-Y file `like`, atomically.

    Gives what is said when the samples are of another format than those of `like`; "" when they are of the same.
    Raises what `scan` raises about `like`, and FormatError when the volume does not have the grid of `like`.
    """
    survey = scan(like, reading_of(volume, reading))
    _require_grid(volume, name, survey)
    source = survey.layout
    layout = source if source.format.code in _FLOATS else replace(source, format=FORMATS[IEEE_FLOAT])
    with writing(target), replacing(target) as beside, ExitStack() as stack:
        original = stack.enter_context(like.open("rb"))
        copy = stack.enter_context(beside.open("wb"))
        copy.write(_file_headers(original, source, layout))
        done = 0
        for region in _columns(survey.shape):
            samples = volume.read(region).reshape(survey.shape[0], -1)
            for run in runs(survey.traces[region.slices[1:]].ravel(), layout.trace_bytes):
                _write_run(original, copy, source, layout, run.first, samples[:, run.places].T)
                done += run.count
            progress(done, layout.traces)
    if layout.format == source.format:
        return ""
    return f"samples are {layout.format.name}s, since the {source.format.name}s of {like.name} cannot hold them"


def _require_grid(volume: Readable, name: Path, survey: Survey) -> None:
    ours, theirs = volume.geometry, survey.geometry
    # An array without geometry counts its axes from zero; then its shape is all there is to compare.
    placed = ours.source is not None or ours.frame is not None or any(axis.first for axis in ours.axes)
    numbers = [[(axis.first, axis.step) for axis in geometry.axes[1:]] for geometry in (ours, theirs)]
    if volume.shape != survey.shape or (placed and numbers[0] != numbers[1]):
        expected = f"the grid of {survey.layout.path} ({theirs.text(survey.shape)})"
        raise FormatError(name, expected=expected, found=ours.text(volume.shape))


def _file_headers(original: BufferedReader, source: Layout, layout: Layout) -> bytes:
    """Everything before the first trace."""
    head = bytearray(original.read(source.first_trace))
    code = layout.format.code.to_bytes(2, "big" if layout.order == BIG else "little")
    head[FORMAT_BYTE - 1 : FORMAT_BYTE + 1] = code
    return bytes(head)


def _columns(shape: tuple[int, ...]) -> Iterator[Region]:
    """Regions of whole traces that cover a volume."""
    depth, *lateral = shape
    for block in blocks((*lateral, depth)):
        yield Region((0, *block.start[:-1]), (depth, *block.stop[:-1]))


def _write_run(
    original: BufferedReader,
    copy: BinaryIO,
    source: Layout,
    layout: Layout,
    first: int,
    samples: npt.NDArray[np.float32],
) -> None:
    records = np.empty(len(samples), dtype=layout.record)
    records["header"] = read_records(original, source, first, len(samples))["header"]
    records["samples"] = encode(samples, layout.format.code, layout.order)
    copy.seek(layout.first_trace + first * layout.trace_bytes)
    copy.write(records.view(np.uint8).data)
