from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segwheel.formats.geometry import Axis
from segwheel.formats.segy_grid import Column, GridError, lay_out, place


def columns(*numbers: list[int]) -> tuple[Column, ...]:
    names = ("inline", "crossline")
    return tuple(Column(name, np.array(some, dtype=np.int32)) for name, some in zip(names, numbers, strict=False))


@given(st.data())
def test_every_trace_is_where_its_numbers_say(data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(2, 6), min_size=1, max_size=2).map(tuple))
    first = [data.draw(st.integers(-100, 100)) for _ in shape]
    step = [data.draw(st.integers(1, 9)) for _ in shape]
    cells = np.argwhere(np.ones(shape))
    order = data.draw(st.permutations(range(len(cells))))
    numbers = np.array(first) + cells[order] * step
    grid = lay_out(columns(*numbers.T.tolist()))
    assert [(axis.first, axis.step) for axis in grid.axes] == list(zip(first, step, strict=True))
    np.testing.assert_array_equal(
        grid.traces.ravel()[np.ravel_multi_index(tuple(cells[order].T), shape)], range(len(cells))
    )
    np.testing.assert_array_equal(grid.indices, cells[order])


def test_missing_traces_are_empty_cells() -> None:
    grid = lay_out(columns([2, 2, 6, 6, 8], [1, 2, 1, 2, 2]))
    assert grid.axes == (Axis("inline", 2, 2), Axis("crossline", 1, 1))
    assert grid.traces.tolist() == [[0, 1], [-1, -1], [2, 3], [-1, 4]]


@pytest.mark.parametrize(
    ("il", "xl", "message", "kind"),
    [
        ([1, 1, 2, 2], [1, 1, 1, 2], "1 of 4 traces with the inline and crossline of another", (True, False)),
        ([5, 5, 5], [1, 2, 3], r"a 2D line of 3 traces \(inline 5 and crosslines 1\.\.3\)", (False, True)),
        ([1, 2, 3], [4, 4, 4], r"inlines 1\.\.3 and crossline 4", (False, True)),
        ([1, 2, 3], [3, 5, 4], "a 2D line of 3 traces", (False, True)),
        (list(range(30)), list(range(30)), r"30 traces on 900 places .*steps 1 and 1", (False, True)),
        ([1, 10**9, 7, 12], [1, 2, 5 * 10**8, 9], r"4 traces on \d+ places", (False, False)),
    ],
)
def test_what_is_no_grid(il: list[int], xl: list[int], message: str, kind: tuple[bool, bool]) -> None:
    with pytest.raises(GridError, match=message) as caught:
        lay_out(columns(il, xl))
    assert (caught.value.duplicate, caught.value.line) == kind


@given(st.integers(0, 359), st.floats(1, 50), st.floats(1, 50), st.booleans())
def test_the_place_of_a_turned_survey_is_found(degrees: int, along: float, across: float, mirrored: bool) -> None:
    angle = np.radians(degrees)
    first = along * np.array([np.cos(angle), np.sin(angle)])
    second = across * np.array([-np.sin(angle), np.cos(angle)]) * (-1 if mirrored else 1)
    cells = np.argwhere(np.ones((4, 5)))
    grid = lay_out(columns((10 + 2 * cells[:, 0]).tolist(), cells[:, 1].tolist()))
    frame = place(grid, (1e6 + cells @ np.stack([first, second])).astype(np.float64))
    assert frame is not None
    np.testing.assert_allclose(frame.steps, [first, second], atol=1e-4)
    np.testing.assert_allclose(frame.origin, [1e6, 1e6], atol=1e-3)
    assert frame.residual < 1e-3


def test_rounded_coordinates_leave_their_residual_and_zeros_are_left_out() -> None:
    cells = np.argwhere(np.ones((9, 9)))
    grid = lay_out(columns(cells[:, 0].tolist(), cells[:, 1].tolist()))
    xy = np.round(5000 + cells * 12.5)
    xy[7] = 0
    frame = place(grid, xy)
    assert frame is not None
    assert 0.1 < frame.residual < 0.5
    np.testing.assert_allclose(frame.position([8, 8]), [5100, 5100], atol=0.5)


def test_coordinates_that_make_no_grid_are_no_place() -> None:
    cells = np.argwhere(np.ones((5, 6)))
    grid = lay_out(columns(cells[:, 0].tolist(), cells[:, 1].tolist()))
    rng = np.random.default_rng(0)
    assert place(grid, np.zeros((30, 2))) is None  # none at all
    assert place(grid, rng.uniform(0, 1000, (30, 2))) is None  # unrelated
    assert place(grid, np.outer(cells @ [1, 10], [25, 50]) + 1000.0) is None  # along one line
    assert place(grid, np.outer(cells[:, 0], [25, 50]) + 1000.0) is None  # one point per inline


def test_a_line_has_a_place_too() -> None:
    (column,) = columns([3, 4, 5, 6])
    frame = place(lay_out((column,)), np.arange(4)[:, None] * [3.0, 4.0] + [10, 20])
    assert frame is not None
    assert frame.origin == (10, 20)
    assert frame.steps == ((3, 4),)
