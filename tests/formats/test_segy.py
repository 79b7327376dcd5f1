from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from segwheel.errors import FormatError, MissingError
from segwheel.formats.segy import decode, read_layout, read_records

MakeSegy = Callable[..., Path]
SQUARE = [(1, 1), (1, 2), (2, 1), (2, 2)]
SAMPLES = np.random.default_rng(0).integers(0, 100, (4, 7)).astype(np.float32)


@pytest.mark.parametrize("order", [">", "<"])
@pytest.mark.parametrize("code", [2, 3, 5, 6, 8, 11, 16])
def test_byte_order_and_format_come_from_the_format_code(make_segy: MakeSegy, order: str, code: int) -> None:
    layout = read_layout(make_segy(SQUARE, SAMPLES, order=order, code=code))
    assert (layout.order, layout.format.code, layout.traces, layout.samples) == (order, code, 4, 7)
    assert layout.interval == 4000
    with layout.path.open("rb") as file:
        np.testing.assert_array_equal(decode(read_records(file, layout, 1, 2), layout), SAMPLES[1:3])


def test_extended_text_and_trace_headers_are_stepped_over(make_segy: MakeSegy) -> None:
    path = make_segy(SQUARE, SAMPLES, extended=2, extra_headers=1, binary={3501: 0x0201, 3507: 1})
    layout = read_layout(path)
    assert (layout.first_trace, layout.header_bytes, layout.traces) == (3600 + 6400, 480, 4)


def test_a_file_of_revision_one_has_no_trace_header_extensions(make_segy: MakeSegy) -> None:
    assert read_layout(make_segy(SQUARE, SAMPLES, binary={3501: 0x0100, 3507: 9, 3271: 99})).header_bytes == 240


def test_revision_two_counts_samples_in_four_bytes(make_segy: MakeSegy) -> None:
    samples = np.zeros((2, 70000), dtype=np.float32)
    path = make_segy(SQUARE[:2], samples, code=8, binary={3501: 0x0200, 3221: 0, 3269: 1, 3271: 70000 - 65536})
    assert read_layout(path).samples == 70000


def test_revision_two_intervals_are_doubles(make_segy: MakeSegy) -> None:
    path = make_segy(SQUARE, SAMPLES, binary={3501: 0x0200})
    content = bytearray(path.read_bytes())
    content[3272:3280] = np.array(0.5, dtype=">f8").tobytes()
    path.write_bytes(content)
    assert read_layout(path).interval == 0.5


@pytest.mark.parametrize("encoding", ["cp037", "ascii"])
def test_any_number_of_extended_headers_until_the_last(make_segy: MakeSegy, encoding: str) -> None:
    path = make_segy(SQUARE, SAMPLES, extended=2)
    content = bytearray(path.read_bytes())
    content[3504:3506] = b"\xff\xff"
    content[6800:6820] = "((SEG: EndText))    ".encode(encoding)
    path.write_bytes(content)
    assert read_layout(path).first_trace == 10000
    content[6800:6820] = bytes(20)
    path.write_bytes(content)
    with pytest.raises(FormatError, match="nothing after the headers"):
        read_layout(path)


def test_more_than_32767_samples_are_not_negative(make_segy: MakeSegy) -> None:
    path = make_segy(SQUARE[:2], np.zeros((2, 40000), dtype=np.float32), code=8, binary={3221: 40000 - 65536})
    assert read_layout(path).samples == 40000


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "0 bytes, too few for its file headers"),
        (b"C" * 3599, "3599 bytes, too few"),
        (bytes(5000), "found code 0"),
        (b"VBS\x00" + bytes(5000), "found a ZGY file; export it as SEG-Y first"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, found: str) -> None:
    path = tmp_path / "a.sgy"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=rf"a\.sgy: expected a .*SEG-Y.*{found}"):
        read_layout(path)


@pytest.mark.parametrize(("removed", "whole", "over"), [(1, 3, 267), (267, 3, 1), (300, 2, 236)])
def test_a_cut_file_is_refused(make_segy: MakeSegy, removed: int, whole: int, over: int) -> None:
    path = make_segy(SQUARE, SAMPLES)
    path.write_bytes(path.read_bytes()[:-removed])
    found = f"{whole} traces of 7 samples of 4 bytes and {over} of the 268 bytes of another; the file is cut off"
    with pytest.raises(FormatError, match=found):
        read_layout(path)


def test_a_file_cut_while_it_is_read(make_segy: MakeSegy) -> None:
    path = make_segy(SQUARE, SAMPLES)
    layout = read_layout(path)
    path.write_bytes(path.read_bytes()[:-1])
    with path.open("rb") as file, pytest.raises(FormatError, match="its end inside trace 4"):
        read_records(file, layout, 2, 2)


def test_no_traces_and_no_samples_are_refused(make_segy: MakeSegy) -> None:
    with pytest.raises(FormatError, match="3600 bytes, which is nothing after the headers"):
        read_layout(make_segy([], SAMPLES[:0]))
    with pytest.raises(FormatError, match="found 0 samples a trace"):
        read_layout(make_segy(SQUARE, SAMPLES[:, :0]))
    with pytest.raises(MissingError):
        read_layout(Path("none.sgy"))


@pytest.mark.parametrize("order", [">", "<"])
def test_the_obsolete_code_4_is_read_only_where_the_samples_are_ieee(make_segy: MakeSegy, order: str) -> None:
    noise = np.random.default_rng(0).standard_normal((4, 200), dtype=np.float32)
    layout = read_layout(make_segy(SQUARE, noise, order=order, binary={3225: 4}))
    assert layout.format.code == 5
    assert "code is 4" in layout.note
    gained = make_segy(SQUARE, SAMPLES, order=order, code=2, binary={3225: 4})
    with pytest.raises(FormatError, match="fixed point with gain.*--sample-format"):
        read_layout(gained)
    assert read_layout(gained, sample_format=2).format.code == 2
