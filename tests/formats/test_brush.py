"""The brush codec: exact round trips, the page's soft edges, and data that lies about its size."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from segwheel.errors import FormatError
from segwheel.formats import brush

MASKS = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40))


def literal_stream(values: npt.NDArray[np.uint8], piece: int) -> bytes:
    """The same format written plainly, bit by bit, as blocks of at most `piece` literal values."""
    bits = f"{values.size:032b}" + f"{7:05b}" + "".join(f"{width - 1:04b}" for width in (3, 4, 8, 16))
    for start in range(0, values.size, piece):
        part = values[start : start + piece]
        bits += "0" + "11" + f"{part.size - 1:016b}" + "".join(f"{value:08b}" for value in part)
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


@given(MASKS)
def test_round_trip_is_exact(mask: npt.NDArray[np.bool_]) -> None:
    assert np.array_equal(brush.decode(brush.encode(mask), mask.shape), mask)


@pytest.mark.parametrize("value", [True, False])
@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (257, 129), (700, 300)])
def test_round_trip_of_one_long_run(shape: tuple[int, int], value: bool) -> None:
    mask = np.full(shape, value)  # the last is longer than the widest length field
    assert np.array_equal(brush.decode(brush.encode(mask), shape), mask)


@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(4))), st.integers(1, 50))
def test_literals_are_read_and_soft_edges_cut_at_half(rgba: npt.NDArray[np.uint8], piece: int) -> None:
    decoded = brush.decode(literal_stream(rgba.ravel(), piece), rgba.shape[:2])
    assert np.array_equal(decoded, rgba[..., 3] >= 128)


@given(MASKS, st.data())
def test_truncation_is_refused(mask: npt.NDArray[np.bool_], data: st.DataObject) -> None:
    stream = brush.encode(mask)
    cut = data.draw(st.integers(0, len(stream) - 2))  # the last byte may be padding only in part
    with pytest.raises(FormatError):
        brush.decode(stream[:cut], mask.shape)


@settings(max_examples=200)
@given(st.binary(max_size=80))
def test_noise_never_does_worse_than_a_format_error(tail: bytes) -> None:
    header = brush.encode(np.zeros((5, 7), dtype=np.bool_))[:7]
    with suppress(FormatError):
        assert brush.decode(header + tail, (5, 7)).shape == (5, 7)


def test_a_bomb_is_refused_before_it_allocates() -> None:
    bomb = (2**31 - 1).to_bytes(4, "big") + brush.encode(np.ones((4, 4), dtype=np.bool_))[4:]
    with pytest.raises(FormatError, match="4 x 4 pixels"):
        brush.decode(bomb, (4, 4))


def test_another_size_is_named() -> None:
    with pytest.raises(FormatError, match=r"task 7: expected 3 x 4 pixels \(48 values\), found .* of 64 values"):
        brush.decode(brush.encode(np.ones((4, 4), dtype=np.bool_)), (3, 4), "task 7")


@pytest.mark.parametrize("rubbish", [[300], ["x"], [-1], None, [1.5]])
def test_what_is_no_list_of_bytes_is_refused(rubbish: object) -> None:
    with pytest.raises(FormatError, match="list of bytes"):
        brush.decode(rubbish, (1, 1))  # type: ignore[arg-type]


def test_a_list_of_numbers_is_read_like_bytes() -> None:
    mask = np.eye(9, dtype=np.bool_)
    assert np.array_equal(brush.decode(list(brush.encode(mask)), (9, 9)), mask)


def test_an_empty_mask_has_no_pixels() -> None:
    assert brush.decode(brush.encode(np.zeros((0, 5), dtype=np.bool_)), (0, 5)).shape == (0, 5)
