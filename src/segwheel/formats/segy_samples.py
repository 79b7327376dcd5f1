"""The sample formats of SEG-Y, codes 1 to 16 of revisions 0 to 2.1, in both byte orders.

Everything is decoded to float32; integers beyond 24 bits and doubles are rounded to it. IBM floats follow
IBM System/370 Principles of Operation: sign, exponent of 16 in excess 64, and a fraction of 24 bits, so that
a value is fraction * 16**(exponent - 64). Unnormalised fractions, which short cuts get wrong, are exact here.

Code 4 (fixed point with gain, obsolete) is not in this table: its gain has no agreed meaning.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Samples = npt.NDArray[np.float32]

IBM_FLOAT, GAIN, IEEE_FLOAT, IEEE_DOUBLE = 1, 4, 5, 6
BIG, LITTLE = ">", "<"

_EXPONENTS = np.arange(256)
_SCALES = np.ldexp(np.where(_EXPONENTS < 128, 1.0, -1.0), 4 * ((_EXPONENTS & 0x7F) - 64) - 24)


@dataclass(frozen=True)
class SampleFormat:
    """How samples are stored. `decode(raw, order)` takes bytes (..., n * size) to samples (..., n)."""

    code: int
    name: str
    size: int
    decode: Callable[[Bytes, str], Samples]


def _numbers(kind: str) -> Callable[[Bytes, str], Samples]:
    def decode(raw: Bytes, order: str) -> Samples:
        with np.errstate(over="ignore"):  # beyond float32: infinite, and counted as such
            return raw.view(order + kind).astype(np.float32)

    return decode


def _decode_ibm(raw: Bytes, order: str) -> Samples:
    words = raw.view(order + "u4").astype(np.uint32)
    with np.errstate(over="ignore"):
        values: Samples = (_SCALES[words >> 24] * (words & 0x00FFFFFF)).astype(np.float32)
    return values


def _three_bytes(signed: bool) -> Callable[[Bytes, str], Samples]:
    def decode(raw: Bytes, order: str) -> Samples:
        triples = raw.reshape(*raw.shape[:-1], -1, 3).astype(np.int32)
        low, middle, high = (triples[..., i] for i in ((2, 1, 0) if order == BIG else (0, 1, 2)))
        values = (high << 16) | (middle << 8) | low
        return ((values ^ 0x800000) - 0x800000 if signed else values).astype(np.float32)

    return decode


FORMATS = {
    entry.code: entry
    for entry in (
        SampleFormat(IBM_FLOAT, "4-byte IBM float", 4, _decode_ibm),
        SampleFormat(2, "4-byte integer", 4, _numbers("i4")),
        SampleFormat(3, "2-byte integer", 2, _numbers("i2")),
        SampleFormat(IEEE_FLOAT, "4-byte IEEE float", 4, _numbers("f4")),
        SampleFormat(IEEE_DOUBLE, "8-byte IEEE float", 8, _numbers("f8")),
        SampleFormat(7, "3-byte integer", 3, _three_bytes(signed=True)),
        SampleFormat(8, "1-byte integer", 1, _numbers("i1")),
        SampleFormat(9, "8-byte integer", 8, _numbers("i8")),
        SampleFormat(10, "4-byte unsigned integer", 4, _numbers("u4")),
        SampleFormat(11, "2-byte unsigned integer", 2, _numbers("u2")),
        SampleFormat(12, "8-byte unsigned integer", 8, _numbers("u8")),
        SampleFormat(15, "3-byte unsigned integer", 3, _three_bytes(signed=False)),
        SampleFormat(16, "1-byte unsigned integer", 1, _numbers("u1")),
    )
}
CODES = {*FORMATS, GAIN}


def encode(samples: Samples, code: int, order: str) -> Bytes:
    """Finite samples (..., n) as bytes (..., n * size) of a floating format: 1, 5 or 6.

    IBM floats keep 21 to 24 bits of a sample; those that came from IBM floats come back exactly.
    """
    if code == IBM_FLOAT:
        stored: npt.NDArray[np.generic] = _ibm_words(samples).astype(order + "u4")
    else:
        stored = samples.astype(order + {IEEE_FLOAT: "f4", IEEE_DOUBLE: "f8"}[code])
    return np.ascontiguousarray(stored).view(np.uint8)


def _ibm_words(samples: Samples) -> npt.NDArray[np.uint32]:
    fraction, exponent = np.frexp(samples.astype(np.float64))
    sixteens = -(-exponent // 4)
    mantissa = np.rint(np.ldexp(np.abs(fraction), exponent - 4 * sixteens + 24)).astype(np.int64)
    carried = mantissa == 1 << 24
    mantissa = np.where(carried, 1 << 20, mantissa)
    biased = np.where(mantissa == 0, 0, sixteens + carried + 64)
    sign = np.signbit(samples).astype(np.int64)
    return ((sign << 31) | (biased << 24) | mantissa).astype(np.uint32)


def looks_like_ieee(raw: Bytes, order: str) -> bool:
    """Whether 4-byte words cannot be IBM floats: some have a fraction that no IBM float of a real program has.

    Programs write IBM floats normalised: the first of the six hexadecimal digits of a fraction is 0 in the
    word for zero only. Among IEEE floats that digit is 0 in one word of sixteen or so.
    """
    words = raw.view(order + "u4").ravel()
    words = words[(words & 0x7FFFFFFF) != 0]
    return words.size > 0 and bool(np.mean((words & 0x00F00000) == 0) > 0.01)
