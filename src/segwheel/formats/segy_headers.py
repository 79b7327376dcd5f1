"""The trace headers of a whole SEG-Y file as columns, read in one pass that also gives the MD5 of the file."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from segwheel.formats.geometry import Floats
from segwheel.formats.segy import Layout, field, read_records
from segwheel.progress import Progress

BLOCK_BYTES = 2**23

# 1-based positions in the trace header.
FIELD_RECORD, CHANNEL, CDP, IDENTIFICATION, OFFSET, XY_SCALAR = 9, 13, 21, 29, 37, 71
DELAY, SAMPLE_COUNT, INTERVAL, ILINE, XLINE, TIME_SCALAR = 109, 115, 117, 189, 193, 215
MID_POINT, SOURCE_POINT = (181, 185), (73, 77)
_SHORT = {IDENTIFICATION, XY_SCALAR, DELAY, SAMPLE_COUNT, INTERVAL, TIME_SCALAR}  # two bytes; others have four
_DEAD = 2  # trace identification code


class Headers:
    """Fields of all traces: `headers[byte]` is an int32 column. Four bytes of memory per trace and field."""

    def __init__(self, layout: Layout, fields: Collection[int], progress: Progress) -> None:
        self._columns = {byte: np.empty(layout.traces, dtype=np.int32) for byte in {*fields, *_SHORT}}
        self.silent: npt.NDArray[np.bool_] = np.empty(layout.traces, dtype=bool)  # all samples are zero
        digest = hashlib.md5(usedforsecurity=False)
        step = max(1, BLOCK_BYTES // layout.trace_bytes)
        with layout.path.open("rb") as file:
            digest.update(file.read(layout.first_trace))
            for first in range(0, layout.traces, step):
                records = read_records(file, layout, first, min(step, layout.traces - first))
                digest.update(records.view(np.uint8).data)
                block = slice(first, first + len(records))
                self.silent[block] = ~records["samples"].any(axis=1)
                for byte, column in self._columns.items():
                    column[block] = field(records["header"], byte, 2 if byte in _SHORT else 4, layout.order)
                progress(block.stop, layout.traces)
        self.md5 = digest.hexdigest()

    def __getitem__(self, byte: int) -> npt.NDArray[np.int32]:
        return self._columns[byte]

    def varies(self, byte: int) -> bool:
        return bool((self[byte] != self[byte][0]).any())

    @property
    def flagged(self) -> npt.NDArray[np.bool_]:
        """Traces that the header calls dead."""
        dead: npt.NDArray[np.bool_] = self[IDENTIFICATION] == _DEAD
        return dead

    def positions(self, unused: Collection[int]) -> Floats:
        """Map positions (traces, 2) with their scalar applied: of the mid points, or else of the sources.

        Fields in `unused` are not coordinates here. Zeros where there are none.
        """
        for pair in (MID_POINT, SOURCE_POINT):
            if not set(pair) & set(unused) and any(self.varies(byte) for byte in pair):
                xy = np.stack([self[byte] for byte in pair], axis=-1).astype(np.float64)
                return xy * multiplier(self[XY_SCALAR])[:, None]
        return np.zeros((len(self.silent), 2))


def multiplier(scalars: npt.NDArray[np.int32]) -> Floats:
    """What a SEG-Y scalar means: a positive one multiplies, a negative one divides, 0 is 1."""
    values = np.where(scalars == 0, 1, scalars).astype(np.float64)
    return np.where(values < 0, -1 / values, values)
