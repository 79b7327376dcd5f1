"""What a SEG-Y file says about its own layout: byte order, sample format, and where its traces lie.

After SEG-Y revisions 0 (Barry, Cavers and Kneale, 1975), 1 (2002), 2.0 (2017) and 2.1 (2023). Byte positions
are counted from 1 as the standard does: 3201-3600 is the binary file header, 1-240 a trace header. Fields that
revision 2 added are believed only in files that say they are of revision 2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from io import BufferedReader
from pathlib import Path

import numpy as np
import numpy.typing as npt

from segwheel.errors import FormatError, MissingError
from segwheel.formats.segy_samples import BIG, CODES, FORMATS, GAIN, IEEE_FLOAT, LITTLE, SampleFormat, looks_like_ieee

TEXT_BYTES, BINARY_BYTES, TRACE_HEADER_BYTES = 3200, 400, 240
FORMAT_BYTE = 3225  # of the sample format code
MAX_INTERVAL = 1e9  # us; anything longer is no sample interval

_WHOLE = "a SEG-Y file of whole traces"
_KNOWN = "a SEG-Y file"
_MAGIC = {b"VBS\x00": "a ZGY file", b"VBS-": "a ZGY file", b"\x89HDF": "an HDF5 file", b"HueS": "a VDS file"}
_ORDERS = {BIG: "big", LITTLE: "little"}
_END_TEXT = "((SEG: EndText))"


@dataclass(frozen=True)
class Layout:
    """Where everything lies in one SEG-Y file. `order` is > or <, `interval` the one of the binary header (us)."""

    path: Path
    order: str
    format: SampleFormat
    samples: int
    interval: float
    first_trace: int  # offset in the file
    header_bytes: int  # of a trace, with extensions
    traces: int
    note: str = ""  # what was believed against the file's own word

    @property
    def trace_bytes(self) -> int:
        return self.header_bytes + self.samples * self.format.size

    @property
    def record(self) -> np.dtype[np.void]:
        """One trace as bytes: `header` and `samples`."""
        return np.dtype([("header", "u1", self.header_bytes), ("samples", "u1", self.samples * self.format.size)])


def read_records(file: BufferedReader, layout: Layout, first: int, count: int) -> npt.NDArray[np.void]:
    """Traces `first` to `first + count` as bytes."""
    file.seek(layout.first_trace + first * layout.trace_bytes)
    records = np.empty(count, dtype=layout.record)
    # A file that shrinks while it is read.
    if file.readinto(records.view(np.uint8).data) != records.nbytes:
        raise FormatError(layout.path, expected=_WHOLE, found=f"its end inside trace {first + count}")
    return records


def decode(records: npt.NDArray[np.void], layout: Layout) -> npt.NDArray[np.float32]:
    """The samples of traces, (traces, samples)."""
    return layout.format.decode(records["samples"], layout.order)


def field(headers: npt.NDArray[np.uint8], byte: int, size: int, order: str) -> npt.NDArray[np.int32]:
    """A signed field of many headers (n, bytes) that begins at 1-based `byte` and has 2 or 4 bytes."""
    return np.ascontiguousarray(headers[:, byte - 1 : byte - 1 + size]).view(f"{order}i{size}")[:, 0].astype(np.int32)


def read_layout(path: Path, sample_format: int | None = None) -> Layout:
    """Read the binary header and check it against the size of the file; `sample_format` overrides its code.

    Raises MissingError, and FormatError for what is no SEG-Y file, holds no traces or is cut off.
    """
    if not path.is_file():
        raise MissingError(path, what="SEG-Y file")
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(TEXT_BYTES + BINARY_BYTES)
        if len(head) < TEXT_BYTES + BINARY_BYTES:
            raise FormatError(path, expected=_KNOWN, found=f"{size} bytes, too few for its file headers")
        order, code = _byte_order(path, head)
        layout = _headers(path, head, order, sample_format or code)
        layout = replace(layout, first_trace=_first_trace(file, head, order, size))
        layout = _counted(layout, size)
        if layout.format.code == GAIN:
            layout = _instead_of_gain(file, layout)
    return layout


def _integer(head: bytes, byte: int, size: int, order: str, signed: bool = True) -> int:
    return int.from_bytes(head[byte - 1 : byte - 1 + size], "big" if order == BIG else "little", signed=signed)


def _byte_order(path: Path, head: bytes) -> tuple[str, int]:
    """The byte order in which the sample format code is one; no code is one in both."""
    codes = {order: _integer(head, FORMAT_BYTE, 2, order) for order in _ORDERS}
    for order, code in codes.items():
        if code in CODES:
            return order, code
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            raise FormatError(path, expected=_KNOWN, found=kind, hint="export it as SEG-Y first")
    hint = "it is no SEG-Y file, or its file headers are missing"
    raise FormatError(path, expected="a sample format code of SEG-Y (1 to 16)", found=f"code {codes[BIG]}", hint=hint)


def _revision(head: bytes) -> int:
    """Major revision: written as two bytes, or as a word in either byte order; it is never below the minor one."""
    return max(head[3500:3502])


def _headers(path: Path, head: bytes, order: str, code: int) -> Layout:
    samples, headers = _integer(head, 3221, 2, order, signed=False), 1
    interval = float(_integer(head, 3217, 2, order))
    if _revision(head) >= 2:
        # Extended fields hold 0 where the short ones suffice.
        samples = _integer(head, 3269, 4, order) or samples
        headers += _additional_headers(head, order)
        extended = float(np.frombuffer(head, f"{order}f8", 1, 3272)[0])
        interval = extended if 0 < extended < MAX_INTERVAL else interval
    if samples <= 0 or headers < 1:
        found = f"{samples} samples a trace and {headers} trace headers"
        raise FormatError(path, expected="a positive number of samples a trace", found=found)
    # While it is unknown what code 4 holds, its words have the size of IEEE floats.
    form = FORMATS[code] if code != GAIN else replace(FORMATS[IEEE_FLOAT], code=GAIN)
    return Layout(path, order, form, samples, interval, 0, headers * TRACE_HEADER_BYTES, 0)


def _additional_headers(head: bytes, order: str) -> int:
    """Trace headers beyond the first: two bytes in revision 2.1, four in 2.0, of which some fill the first two."""
    short = _integer(head, 3507, 2, order)
    return short if short or min(head[3500:3502]) > 0 else _integer(head, 3507, 4, order)


def _first_trace(file: BufferedReader, head: bytes, order: str, size: int) -> int:
    """Offset of the first trace, after the extended textual headers."""
    extended, start = _integer(head, 3505, 2, order), TEXT_BYTES + BINARY_BYTES
    if extended >= 0:
        return start + extended * TEXT_BYTES
    file.seek(start)  # -1: as many as there are until the one that says it is the last
    for offset in range(start, size, TEXT_BYTES):
        text = file.read(TEXT_BYTES)
        if any(text.decode(encoding, errors="replace").startswith(_END_TEXT) for encoding in ("cp037", "latin-1")):
            return offset + TEXT_BYTES
    return size


def _counted(layout: Layout, size: int) -> Layout:
    """With the number of traces that the rest of the file holds."""
    rest = size - layout.first_trace
    count, over = divmod(rest, layout.trace_bytes)
    shape = f"{layout.samples} samples of {layout.format.size} bytes"
    if rest <= 0:
        found = f"{size} bytes, which is nothing after the headers"
        raise FormatError(layout.path, expected="a SEG-Y file with traces", found=found)
    if over:
        found = f"{count} traces of {shape} and {over} of the {layout.trace_bytes} bytes of another"
        hint = "the file is cut off, or its traces have unequal lengths"
        raise FormatError(layout.path, expected=_WHOLE, found=found, hint=hint)
    return replace(layout, traces=count)


def _instead_of_gain(file: BufferedReader, layout: Layout) -> Layout:
    """Files that claim the obsolete code 4 hold IEEE floats in practice; that is believed where the words show it."""
    raw = read_records(file, layout, 0, min(layout.traces, 1000))["samples"]
    first = raw[:, (0 if layout.order == BIG else 3) :: 4]
    # In fixed point with gain, the first byte of every sample is unused.
    if not first.any() or not looks_like_ieee(raw, layout.order):
        raise FormatError(
            layout.path,
            expected="a sample format that is in use",
            found="code 4, fixed point with gain, whose gain has no agreed meaning",
            hint="give the code of what the file really holds with --sample-format",
        )
    note = "the sample format code is 4 (fixed point with gain) but the samples are IEEE floats, and were read so"
    return replace(layout, format=FORMATS[IEEE_FLOAT], note=note)
