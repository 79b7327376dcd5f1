from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from segwheel.formats.segy_samples import FORMATS, IBM_FLOAT, IEEE_DOUBLE, IEEE_FLOAT, encode, looks_like_ieee

ORDERS = [">", "<"]
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


def raw(data: bytes) -> npt.NDArray[np.uint8]:
    return np.frombuffer(data, dtype=np.uint8)


def ibm(word: int) -> float:
    """A word by its definition, exactly."""
    return (-1.0) ** (word >> 31) * float(word & 0xFFFFFF) * 2.0 ** (4 * ((word >> 24 & 0x7F) - 64) - 24)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("code", "kind", "values"),
    [
        (2, "i", [0, 1, -1, 2**24, -(2**31)]),
        (3, "h", [0, 1, -1, 32767, -32768]),
        (5, "f", [0, 1.5, -2.25e30, 1e-40]),
        (6, "d", [0, 1.5, -2.25e30, 0.1]),
        (8, "b", [0, 127, -128]),
        (9, "q", [0, -1, 2**40, -(2**62)]),
        (10, "I", [0, 1, 2**32 - 1]),
        (11, "H", [0, 65535]),
        (12, "Q", [0, 2**63]),
        (16, "B", [0, 255]),
    ],
)
def test_machine_numbers(order: str, code: int, kind: str, values: list[float]) -> None:
    decoded = FORMATS[code].decode(raw(struct.pack(f"{order}{len(values)}{kind}", *values)), order)
    np.testing.assert_array_equal(decoded, np.array(values, dtype=np.float32))
    assert decoded.dtype == np.float32
    assert FORMATS[code].size == struct.calcsize(f"={kind}")


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("code", "signed"), [(7, True), (15, False)])
def test_three_byte_integers(order: str, code: int, signed: bool) -> None:
    values = [0, 1, 2**23 - 1, *((-1, -(2**23)) if signed else (2**24 - 1,))]
    end = "big" if order == ">" else "little"
    data = b"".join(value.to_bytes(3, end, signed=signed) for value in values)
    np.testing.assert_array_equal(FORMATS[code].decode(raw(data), order), np.array(values, dtype=np.float32))


def test_the_examples_of_the_ibm_definition() -> None:
    # 0x42640000 is 0.390625 * 16**2, 0xC276A000 is -118.625.
    data = raw(bytes.fromhex("42640000 c276a000 00000000 41100000"))
    assert FORMATS[IBM_FLOAT].decode(data, ">").tolist() == [100, -118.625, 0, 1]


@pytest.mark.parametrize("order", ORDERS)
@given(words=hnp.arrays(np.uint32, 8))
def test_any_ibm_word_decodes_by_its_definition(order: str, words: npt.NDArray[np.uint32]) -> None:
    exact = np.array([ibm(int(word)) for word in words])
    with np.errstate(over="ignore"):
        expected = exact.astype(np.float32)
    np.testing.assert_array_equal(FORMATS[IBM_FLOAT].decode(words.astype(order + "u4").view(np.uint8), order), expected)


@pytest.mark.parametrize("order", ORDERS)
@given(values=hnp.arrays(np.float32, 8, elements=FLOATS))
def test_ieee_floats_come_back(order: str, values: npt.NDArray[np.float32]) -> None:
    for code in (IEEE_FLOAT, IEEE_DOUBLE):
        np.testing.assert_array_equal(FORMATS[code].decode(encode(values, code, order), order), values)


@pytest.mark.parametrize("order", ORDERS)
@given(values=hnp.arrays(np.float32, 8, elements=FLOATS))
def test_ibm_floats_are_the_nearest_and_normalised(order: str, values: npt.NDArray[np.float32]) -> None:
    stored = encode(values, IBM_FLOAT, order)
    words = stored.view(order + "u4")
    spacing = np.array([16.0 ** (int(word >> 24 & 0x7F) - 64) * 2.0**-24 for word in words])
    error = np.abs([ibm(int(word)) for word in words] - values.astype(np.float64))
    assert (error <= spacing / 2).all()
    assert ((words & 0x00F00000 != 0) | (values == 0)).all()


@pytest.mark.parametrize("order", ORDERS)
@given(fractions=hnp.arrays(np.int64, 8, elements=st.integers(2**20, 2**24 - 1)), exponent=st.integers(40, 90))
def test_what_came_from_ibm_floats_goes_back_bit_by_bit(
    order: str, fractions: npt.NDArray[np.int64], exponent: int
) -> None:
    words = (fractions | (exponent << 24)).astype(order + "u4").view(np.uint8)
    np.testing.assert_array_equal(encode(FORMATS[IBM_FLOAT].decode(words, order), IBM_FLOAT, order), words)


@pytest.mark.parametrize("order", ORDERS)
def test_ieee_words_are_told_from_ibm_words(order: str) -> None:
    noise = np.random.default_rng(0).standard_normal(5000).astype(np.float32)
    assert looks_like_ieee(encode(noise, IEEE_FLOAT, order), order)
    assert not looks_like_ieee(encode(noise, IBM_FLOAT, order), order)
    assert not looks_like_ieee(encode(np.zeros(10, dtype=np.float32), IEEE_FLOAT, order), order)
