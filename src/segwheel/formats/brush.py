"""Brush masks as run lengths, the format that Label Studio keeps painted regions in.

The stream is big-endian bits: 32 bits count of values (four per pixel, RGBA), 5 bits word size minus one,
four times 4 bits width of a length field minus one; then blocks. A block is one bit (1: a run, 0: literals), two
bits that choose the width of the length field, the length minus one in that width, and either one value or as
many values as the length says. (The format of the `rle-pack` module of the umbrella project, read from its
decoder's description in Label Studio's SDK.)

Both directions work on whole arrays. Only the chain of block starts is followed one by one: where a block starts
depends on all blocks before it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from segwheel.errors import FormatError

PAINTED = 128  # alpha from which a pixel counts as painted: the page draws soft edges
_CHANNELS = 4
_WIDTHS = (3, 4, 8, 16)
_HEADER_BITS = 32 + 5 + 4 * 4
_WORD = 8


def encode(mask: npt.NDArray[np.bool_]) -> bytes:
    """Run lengths of a (y, x) mask, painted where True: all four channels 255 there, 0 elsewhere."""
    flat = np.ascontiguousarray(mask, dtype=np.bool_).ravel()
    if flat.size == 0:
        return _pack(np.array([_header(0)], dtype=np.uint64), np.array([_HEADER_BITS]))
    lengths, values = _runs(flat)
    value = np.where(values, np.uint64(255), np.uint64(0))
    choice = np.searchsorted(np.array([1 << width for width in _WIDTHS]), lengths)
    width = np.array(_WIDTHS)[choice]
    block = np.uint64(4) + choice.astype(np.uint64)
    block = (block << width.astype(np.uint64)) | (lengths - 1).astype(np.uint64)
    block = (block << np.uint64(_WORD)) | value
    return _pack(
        np.concatenate([np.array([_header(flat.size * _CHANNELS)], dtype=np.uint64), block]),
        np.concatenate([np.array([_HEADER_BITS]), 3 + width + _WORD]),
    )


def _header(count: int) -> int:
    header = (count << 5) | (_WORD - 1)
    for width in _WIDTHS:
        header = (header << 4) | (width - 1)
    return header


def _runs(flat: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Lengths (in values, four per pixel, none longer than the widest field allows) and values of the runs."""
    starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
    lengths = np.diff(starts, append=flat.size) * _CHANNELS
    values = flat[starts]
    longest = 1 << _WIDTHS[-1]
    pieces = -(-lengths // longest)
    if pieces.max() > 1:
        last = np.cumsum(pieces) - 1
        rest = lengths - (pieces - 1) * longest
        values = np.repeat(values, pieces)
        lengths = np.full(values.size, longest, dtype=np.int64)
        lengths[last] = rest
    return lengths.astype(np.int64), values


def _pack(words: npt.NDArray[np.uint64], bits: npt.NDArray[np.int64]) -> bytes:
    """The lowest `bits` (up to 56) of each word, one after the other, filled up to a whole byte with zeros."""
    ends = np.cumsum(bits)
    starts = ends - bits
    first = starts // 8
    shifted = words << (64 - bits - starts % 8).astype(np.uint64)
    out = np.zeros(int(ends[-1]) // 8 + 9, dtype=np.uint8)
    for byte in range(int((bits + starts % 8).max() + 7) // 8):
        # Words share a byte, never a bit: adding is joining.
        np.add.at(out, first + byte, ((shifted >> np.uint64(56 - 8 * byte)) & np.uint64(255)).astype(np.uint8))
    return out[: -(-int(ends[-1]) // 8)].tobytes()


def decode(rle: bytes | Sequence[int], shape: tuple[int, int], source: str = "brush mask") -> npt.NDArray[np.bool_]:
    """The (y, x) mask of `shape`: True where alpha is at least 128.

    `source` names what is decoded in the message of a FormatError, raised when the data is not a brush mask of this
    shape: another count than 4 x height x width (checked before anything is allocated), cut short, or no bytes.
    """
    data = _as_bytes(rle, source)
    widths = _read_header(data, shape, source)
    count = shape[0] * shape[1] * _CHANNELS
    if count == 0:
        return np.zeros(shape, dtype=np.bool_)
    starts = _block_starts(data, widths)
    reader = _Bits(data)
    choice = reader.read(starts, np.full(starts.size, 3))
    run = choice >= 4
    width = np.array(widths)[choice & 3]
    lengths = reader.read(starts + 3, width) + 1
    ends = np.cumsum(lengths)
    used = int(np.searchsorted(ends, count)) + 1
    last = min(used, starts.size) - 1
    needed = 0 if last < 0 else int(starts[last] + 3 + width[last] + _WORD * (1 if run[last] else lengths[last]))
    if used > starts.size or needed > 8 * len(data):
        raise FormatError(source, expected=f"{count} values", found="run lengths that end before")
    return _fill(reader, starts[:used] + 3 + width[:used], run[:used], lengths[:used], count).reshape(shape)


def _as_bytes(rle: bytes | Sequence[int], source: str) -> bytes:
    try:
        return bytes(rle)
    except (TypeError, ValueError) as error:
        raise FormatError(source, expected="a list of bytes as run lengths", found=str(error)) from error


def _read_header(data: bytes, shape: tuple[int, int], source: str) -> list[int]:
    """Widths of the four length fields, once the header fits the shape."""
    if len(data) * 8 < _HEADER_BITS:
        raise FormatError(source, expected="run lengths", found=f"{len(data)} bytes, less than a header")
    header = int.from_bytes(data[:7], "big") >> 3
    count, word = header >> 21, (header >> 16 & 31) + 1
    if count != shape[0] * shape[1] * _CHANNELS:
        expected = f"{shape[0]} x {shape[1]} pixels ({shape[0] * shape[1] * _CHANNELS} values)"
        raise FormatError(source, expected=expected, found=f"run lengths of {count} values")
    if word != _WORD:
        raise FormatError(source, expected="8 bits a value", found=f"{word} bits")
    return [(header >> shift & 15) + 1 for shift in (12, 8, 4, 0)]


def _block_starts(data: bytes, widths: Sequence[int]) -> npt.NDArray[np.int64]:
    """Bit positions at which blocks start; padding at the end may show up as blocks too."""
    bits = np.unpackbits(np.frombuffer(data, dtype=np.uint8))
    kinds = np.zeros(bits.size, dtype=np.uint8)
    kinds[:-2] = bits[:-2] << 2 | bits[1:-1] << 1 | bits[2:]
    kind_at = kinds.tobytes()
    steps = [3 + width + _WORD for width in (*widths, *widths)]
    position, end = _HEADER_BITS, bits.size - min(widths) - _WORD - 2
    starts: list[int] = []
    append = starts.append
    while position < end:
        append(position)
        kind = kind_at[position]
        if kind < 4:  # literals: the length decides how far the next block is
            field = position + 3
            length = _read_int(data, field, widths[kind])
            position = field + widths[kind] + _WORD * (length + 1)
        else:
            position += steps[kind]
    return np.array(starts, dtype=np.int64)


def _read_int(data: bytes, position: int, width: int) -> int:
    first = position >> 3
    return int.from_bytes(data[first : first + 3].ljust(3, b"\0"), "big") >> (24 - (position & 7) - width) & (
        (1 << width) - 1
    )


class _Bits:
    """Reads fields of up to 16 bits at many bit positions at once."""

    def __init__(self, data: bytes) -> None:
        # Three bytes hold any field; positions past the end read zeros.
        self._bytes = np.frombuffer(data + bytes(4), dtype=np.uint8)

    def read(self, position: npt.NDArray[np.int64], width: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        first = np.minimum(position >> 3, self._bytes.size - 3)
        word = (
            self._bytes[first].astype(np.int64) << 16
            | self._bytes[first + 1].astype(np.int64) << 8
            | self._bytes[first + 2].astype(np.int64)
        )
        field: npt.NDArray[np.int64] = word >> (24 - (position & 7) - width) & ((1 << width) - 1)
        return field


def _fill(
    bits: _Bits,
    payload: npt.NDArray[np.int64],
    run: npt.NDArray[np.bool_],
    lengths: npt.NDArray[np.int64],
    count: int,
) -> npt.NDArray[np.bool_]:
    """Painted or not for each pixel, from the blocks' payload positions."""
    words = np.where(run, 1, lengths)
    block = np.repeat(np.arange(payload.size), words)
    within = np.arange(block.size) - np.repeat(np.cumsum(words) - words, words)
    value = bits.read(payload[block] + _WORD * within, np.full(block.size, _WORD))
    ends = np.minimum(np.cumsum(np.where(run[block], lengths[block], 1)), count)
    # Only every fourth value, the alpha, is wanted: of the values before `end`, end // 4 are alphas.
    pixels = np.diff(ends // _CHANNELS, prepend=0)
    return np.repeat(value >= PAINTED, pixels)
