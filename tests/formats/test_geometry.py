from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segwheel.formats.geometry import Axis, Frame, Geometry, Source

ROTATED = Geometry(
    (Axis("depth", 100, 4, "ms"), Axis("inline", 11, 2), Axis("crossline", 30, 1)),
    Frame((500.0, 6000.0), ((3.0, 4.0), (-8.0, 6.0)), 0.25),
    Source("survey.sgy", "0" * 32, (189, 193), 5),
)


def test_numbers_and_words() -> None:
    assert ROTATED.axes[1].number(3) == 17
    assert ROTATED.axes[0].number(0.5) == 102
    assert ROTATED.text((3, 2, 4)) == "depth 100..108 step 4 ms, inline 11..13 step 2, crossline 30..33 step 1"


def test_position_and_spacing_follow_the_steps() -> None:
    assert ROTATED.frame is not None
    indices = np.array([[0, 0], [2, 0], [1, 0.5]])
    np.testing.assert_allclose(ROTATED.frame.position(indices), np.array([[500, 6000], [506, 6008], [499, 6007]]))
    assert ROTATED.spacing() == (4, 5, 10)


def test_corners_carry_numbers_and_positions() -> None:
    assert ROTATED.corners((7, 3, 2)) == [
        {"inline": 11, "crossline": 30, "x": 500, "y": 6000},
        {"inline": 11, "crossline": 31, "x": 492, "y": 6006},
        {"inline": 15, "crossline": 30, "x": 506, "y": 6008},
        {"inline": 15, "crossline": 31, "x": 498, "y": 6014},
    ]


@pytest.mark.parametrize("geometry", [ROTATED, Geometry.plain(2), Geometry.plain(3)])
def test_json_keeps_everything(geometry: Geometry) -> None:
    assert Geometry.from_json(json.loads(json.dumps(geometry.to_json()))) == geometry


def test_an_array_without_a_place() -> None:
    plain = Geometry.plain(2)
    assert plain.names == ("depth", "trace")
    assert plain.spacing() == (1, 1)
    assert plain.corners((4, 5)) == []


@given(st.integers(1, 50), st.integers(1, 50), st.integers(-9, 9), st.integers(-9, 9))
def test_corners_are_where_the_frame_puts_the_last_indices(n: int, m: int, dx: int, dy: int) -> None:
    geometry = Geometry(ROTATED.axes, Frame((1.0, 2.0), ((float(dx), float(dy)), (float(-dy), float(dx)))))
    last = geometry.corners((5, n, m))[-1]
    assert (last["x"], last["y"]) == (1 + (n - 1) * dx - (m - 1) * dy, 2 + (n - 1) * dy + (m - 1) * dx)
