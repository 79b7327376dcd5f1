from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segwheel.errors import FormatError
from segwheel.formats import segy_headers
from segwheel.formats.segy_scan import STANDARD, Reading, scan

MakeSegy = Callable[..., Path]
RNG = np.random.default_rng(0)
LINES = [(10 + 2 * i, 100 + j) for i in range(3) for j in range(4)]
SAMPLES = RNG.standard_normal((12, 6), dtype=np.float32)
AS_LINE = Reading(line=True)

# Coordinates of a turned survey, in decimetres.
EAST = [5000 + 240 * (il - 10) // 2 - 100 * (xl - 100) for il, xl in LINES]
NORTH = [9000 + 100 * (il - 10) // 2 + 240 * (xl - 100) for il, xl in LINES]
PLACED = {181: EAST, 185: NORTH, 71: -10}


def refused(path: Path, reading: Reading = STANDARD) -> str:
    with pytest.raises(FormatError) as caught:
        scan(path, reading)
    return str(caught.value)


def test_a_survey(make_segy: MakeSegy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segy_headers, "BLOCK_BYTES", 1000)  # several blocks
    path = make_segy(LINES, SAMPLES, fields=PLACED | {109: 100, 215: -10, 29: [2, *[1] * 11]})
    survey = scan(path)
    assert survey.shape == (6, 3, 4)
    assert survey.traces.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert (
        survey.geometry.text(survey.shape) == "depth 10..30 step 4 ms, inline 10..14 step 2, crossline 100..103 step 1"
    )
    assert survey.geometry.frame is not None
    np.testing.assert_allclose(survey.geometry.frame.origin, (500, 900))
    np.testing.assert_allclose(survey.geometry.frame.steps, [(24, 10), (-10, 24)])
    assert survey.geometry.source is not None
    assert survey.geometry.source.md5 == hashlib.md5(path.read_bytes()).hexdigest()
    assert survey.geometry.source.path == str(path)
    assert survey.flagged.tolist() == [True, *[False] * 11]


@pytest.mark.parametrize(("scalar", "factor"), [(0, 1), (1, 1), (100, 100), (-100, 0.01)])
def test_coordinate_scalars(make_segy: MakeSegy, scalar: int, factor: float) -> None:
    frame = scan(make_segy(LINES, SAMPLES, fields=PLACED | {71: scalar})).geometry.frame
    assert frame is not None
    np.testing.assert_allclose(frame.steps, np.array([(240, 100), (-100, 240)]) * factor)


def test_sources_place_a_survey_without_mid_points(make_segy: MakeSegy) -> None:
    frame = scan(make_segy(LINES, SAMPLES, fields={73: EAST, 77: NORTH})).geometry.frame
    assert frame is not None
    np.testing.assert_allclose(frame.origin, (5000, 9000))


@pytest.mark.parametrize("order", [[*range(12)], [*reversed(range(12))], [*RNG.permutation(12)]])
def test_traces_in_any_order(make_segy: MakeSegy, order: list[int]) -> None:
    survey = scan(make_segy([LINES[i] for i in order], SAMPLES))
    assert [order[trace] for trace in survey.traces.ravel()] == list(range(12))


@pytest.mark.parametrize("line_bytes", [(9, 21), (5, 21), (17, 13), (221, 225)])
def test_other_bytes_are_found_where_coordinates_confirm_them(make_segy: MakeSegy, line_bytes: tuple[int, int]) -> None:
    survey = scan(make_segy(LINES, SAMPLES, fields=PLACED, line_bytes=line_bytes))
    assert survey.shape == (6, 3, 4)
    assert [axis.first for axis in survey.geometry.axes[1:]] == [10, 100]
    assert survey.geometry.source is not None
    assert survey.geometry.source.header_bytes == line_bytes


def test_other_bytes_are_found_where_the_usual_ones_hold_something_else(make_segy: MakeSegy) -> None:
    running = {193: [*range(1, 13)]}
    survey = scan(make_segy(LINES, SAMPLES, fields=PLACED | running, line_bytes=(9, 21)))
    assert survey.shape == (6, 3, 4)
    assert "a 2D line of 12 traces" in refused(make_segy(LINES, SAMPLES, fields=running, line_bytes=(9, 21)))


def test_other_bytes_without_coordinates_must_be_given(make_segy: MakeSegy) -> None:
    path = make_segy(LINES, SAMPLES, line_bytes=(9, 21))
    assert "without inline and crossline numbers in bytes 189 and 193" in refused(path)
    assert "--iline-byte" in refused(path)
    assert scan(path, Reading(lines=(9, 21))).shape == (6, 3, 4)
    assert scan(path, Reading(lines=(21, 9))).shape == (6, 4, 3)


def test_given_bytes_are_taken_at_their_word(make_segy: MakeSegy) -> None:
    path = make_segy(LINES, SAMPLES, fields={233: [1] * 6 + [2] * 6, 237: [1, 2, 3, 4, 5, 6] * 2})
    assert scan(path, Reading(lines=(233, 237))).shape == (6, 2, 6)
    assert "bytes 233 and 229" in refused(path, Reading(lines=(233, 229)))
    for byte in (0, 238, 500):
        assert "in bytes 1 to 237 of a trace header" in refused(path, Reading(lines=(byte, 189)))


@pytest.mark.parametrize("fields", [{37: [100, 200] * 6}, {37: [*range(12)]}])
@pytest.mark.parametrize(
    "lines", [[(1, 1)] * 12, [(1, i // 2) for i in range(12)], [(i // 4, i // 2 % 2) for i in range(12)]]
)
def test_several_offsets_in_one_place_are_prestack(
    make_segy: MakeSegy, fields: dict[int, list[int]], lines: list[tuple[int, int]]
) -> None:
    path = make_segy(lines, SAMPLES, fields=fields)
    assert "pre-stack data: 12 traces of" in refused(path)
    assert "stack it first" in refused(path, AS_LINE)


def test_field_records_are_prestack_without_offsets(make_segy: MakeSegy) -> None:
    path = make_segy([(0, 0)] * 12, SAMPLES, fields={9: [1] * 6 + [2] * 6, 13: [1, 2, 3, 4, 5, 6] * 2})
    assert "12 traces of 2 field records and 6 channels" in refused(path)
    assert "12 traces of 2 field records and 6 channels" in refused(path, AS_LINE)


def test_shots_along_a_line_are_no_survey_even_with_coordinates(make_segy: MakeSegy) -> None:
    fields: dict[int, Any] = {9: [1] * 6 + [2] * 6, 13: [1, 2, 3, 4, 5, 6] * 2}
    fields[181] = [100 * shot + 10 * channel for shot, channel in zip(fields[9], fields[13], strict=True)]
    fields[185] = [2 * x for x in fields[181]]
    assert "pre-stack" in refused(make_segy([(0, 0)] * 12, SAMPLES, fields=fields))


def test_traces_in_one_place_with_one_offset_are_inconsistent(make_segy: MakeSegy) -> None:
    path = make_segy([*LINES[:11], LINES[0]], SAMPLES)
    assert (
        "1 of 12 traces with the inline and crossline of another by bytes 189 and 193; the file is inconsis"
        in refused(path)
    )


@pytest.mark.parametrize(("byte", "what"), [(115, "sample counts from 6 to 7"), (109, "delays from 6 to 7")])
def test_traces_of_other_lengths_or_delays_are_inconsistent(make_segy: MakeSegy, byte: int, what: str) -> None:
    values = [6] * 11 + [7]
    assert what in refused(make_segy(LINES, SAMPLES, fields={byte: values}))
    silent = SAMPLES.copy()
    silent[11] = 0
    assert scan(make_segy(LINES, silent, fields={byte: values})).silent[11]  # a dead trace says nothing


def test_numbers_without_order_are_inconsistent(make_segy: MakeSegy) -> None:
    path = make_segy([(int(a), int(b)) for a, b in RNG.integers(0, 10**8, (12, 2))], SAMPLES)
    assert "12 traces on" in refused(path)
    assert "inconsistent" in refused(path)


def test_one_trace_is_nothing(make_segy: MakeSegy) -> None:
    path = make_segy(LINES[:1], SAMPLES[:1])
    assert refused(path).endswith("expected a 3D post-stack SEG-Y file, found 1 trace")
    assert refused(path, AS_LINE).endswith("expected a stacked 2D line, found 1 trace")


@pytest.mark.parametrize(
    ("lines", "fields", "axis"),
    [
        ([(7, 100 + 2 * i) for i in range(12)], {}, "crossline 100..122 step 2"),
        ([(100 - i, 7) for i in range(12)], {}, "inline 89..100 step 1"),
        ([(10 + i, 50 + 3 * i) for i in range(12)], {}, "trace 1..12 step 1"),
        ([(0, 0)] * 12, {21: [*range(5, 65, 5)]}, "cdp 5..60 step 5"),
        ([(0, 0)] * 12, {}, "trace 1..12 step 1"),
    ],
)
def test_a_2d_line_is_an_image_where_it_is_asked_for(
    make_segy: MakeSegy, lines: list[tuple[int, int]], fields: dict[int, list[int]], axis: str
) -> None:
    path = make_segy(lines, SAMPLES, fields=fields)
    message = refused(path)
    assert "2D line" in message
    assert "--line takes it as a 2D image" in message
    survey = scan(path, AS_LINE)
    assert survey.shape == (6, 12)
    assert survey.geometry.text(survey.shape).endswith(axis)


def test_missing_traces_of_a_line(make_segy: MakeSegy) -> None:
    survey = scan(make_segy([(7, n) for n in (3, 4, 6, 7)], SAMPLES[:4]), AS_LINE)
    assert survey.traces.tolist() == [0, 1, -1, 2, 3]


def test_a_survey_is_no_line(make_segy: MakeSegy) -> None:
    assert "found a 3D survey of 3 inlines and 4 crosslines; leave --line out" in refused(
        make_segy(LINES, SAMPLES), AS_LINE
    )


@pytest.mark.parametrize(
    ("binary", "fields", "unit", "axis"),
    [
        ({3217: 2000}, {117: 9}, "ms", (0, 2, "ms")),
        ({3217: 0}, {117: 500}, "ms", (0, 0.5, "ms")),
        ({3217: -4000}, {117: 3000}, "ms", (0, 3, "ms")),
        ({3217: 0}, {}, "ms", (0, 1, "sample")),
        ({3217: 5000}, {109: 1200}, "m", (1200, 5, "m")),
        ({3217: 5000}, {109: 12, 215: 10}, "ft", (120, 5, "ft")),
        ({}, {109: -1}, "ms", (-1, 4, "ms")),
    ],
)
def test_the_depth_axis(
    make_segy: MakeSegy, binary: dict[int, int], fields: dict[int, int], unit: str, axis: tuple[float, float, str]
) -> None:
    depth = scan(make_segy(LINES, SAMPLES, binary=binary, fields=fields), Reading(unit=unit)).geometry.axes[0]
    assert (depth.first, depth.step, depth.unit) == axis
