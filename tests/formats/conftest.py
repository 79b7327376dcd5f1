"""A SEG-Y file of any kind, made byte by byte from the standard, and a disk that is full."""

from __future__ import annotations

import multiprocessing
import resource
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pytest

from segwheel.errors import SegwheelError

_KINDS = {2: "i4", 3: "i2", 5: "f4", 6: "f8", 8: "i1", 11: "u2", 16: "u1"}
_SHORT = {29, 71, 109, 115, 117, 215}

MakeSegy = Callable[..., Path]


def make_segy(
    path: Path,
    lines: Sequence[tuple[int, int]],
    samples: npt.NDArray[np.float32],
    *,
    order: str = ">",
    code: int = 5,
    fields: Mapping[int, int | Sequence[int]] | None = None,
    binary: Mapping[int, int] | None = None,
    line_bytes: tuple[int, int] = (189, 193),
    extended: int = 0,
    extra_headers: int = 0,
) -> Path:
    """Write traces (n, samples) with (inline, crossline) numbers; `fields` by their byte in the trace header.

    `binary` holds two-byte fields of the binary header by their byte in the file.
    """
    end: Literal["big", "little"] = "big" if order == ">" else "little"
    head = bytearray(b"\x40" * 3200 + bytes(400))
    stated = {3217: 4000, 3221: samples.shape[1], 3225: code, 3505: extended} | dict(binary or {})
    for byte, value in stated.items():
        head[byte - 1 : byte + 1] = value.to_bytes(2, end, signed=value < 0)
    head += b"\xc3" * 3200 * extended
    columns = {line_bytes[0]: [il for il, _ in lines], line_bytes[1]: [xl for _, xl in lines], **(fields or {})}
    traces = []
    for i, trace in enumerate(samples):
        header = bytearray(240 * (1 + extra_headers))
        for byte, values in columns.items():
            value, size = values if isinstance(values, int) else values[i], 2 if byte in _SHORT else 4
            header[byte - 1 : byte - 1 + size] = int(value).to_bytes(size, end, signed=True)
        traces.append(bytes(header) + trace.astype(order + _KINDS[code]).tobytes())
    path.write_bytes(bytes(head) + b"".join(traces))
    return path


@pytest.fixture(name="make_segy")
def make_segy_fixture(tmp_path: Path) -> MakeSegy:
    def make(*arguments: object, name: str = "made.sgy", **options: object) -> Path:
        return make_segy(tmp_path / name, *arguments, **options)  # type: ignore[arg-type]

    return make


def _limit(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def _message(call: Callable[..., None], arguments: Sequence[object]) -> str:
    try:
        call(*arguments)
    except SegwheelError as error:
        return str(error)
    return "it was written"


@pytest.fixture
def with_little_room() -> Callable[..., str]:
    """Call a function in a process whose files cannot grow beyond a size; what it says about that."""

    def run(size: int, call: Callable[..., None], *arguments: object) -> str:
        with multiprocessing.get_context("fork").Pool(1, _limit, (size,)) as pool:
            return pool.apply(_message, (call, arguments))

    return run
