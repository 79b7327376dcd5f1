"""Tiles cover, weights add up, blending gives back what was cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segwheel.axes import Region
from segwheel.domain.tiling import WINDOWS, Grid, axis_tiling, fitted_size


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    axes = draw(
        st.lists(
            st.tuples(st.integers(1, 14), st.integers(1, 9)).flatmap(
                lambda a: st.tuples(st.just(a[0]), st.just(a[1]), st.integers(0, a[1] - 1))
            ),
            min_size=1,
            max_size=3,
        )
    )
    return Grid.over(*zip(*axes, strict=True))


@given(grids())
def test_every_element_is_written_exactly_once(grid: Grid) -> None:
    written = np.zeros(grid.shape, int)
    for tile in grid:
        written[tile.write.slices] += 1
    assert (written == 1).all()


@given(grids())
def test_a_tile_writes_inside_what_it_reads_and_reads_inside_the_array(grid: Grid) -> None:
    whole = Region.whole(grid.shape)
    for tile in grid:
        assert tile.write.intersection(tile.read) == tile.write
        assert tile.read.intersection(whole) == tile.read
    assert len(list(grid)) == len(grid)


@given(grids(), st.sampled_from(sorted(WINDOWS)))
def test_blending_gives_back_a_function_of_position(grid: Grid, window: str) -> None:
    truth = np.random.default_rng(0).normal(size=grid.shape)
    weights = grid.weights(window)
    blended = np.zeros(grid.shape)
    for tile in grid:
        blended[tile.read.slices] += weights.of(tile) * truth[tile.read.slices]
    np.testing.assert_allclose(blended, truth, atol=1e-5)


@given(st.integers(1, 500), st.integers(2, 64), st.data())
def test_axis_tiles_are_full_size_and_overlap_as_asked(length: int, size: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, size - 1))
    tiling = axis_tiling(length, size, overlap)
    if length <= size:
        assert tiling.starts == (0,)
        return
    assert all(tiling.stop(i) - start == size for i, start in enumerate(tiling.starts))
    steps = np.diff(tiling.starts)
    assert (steps[:-1] == size - overlap).all()
    assert 0 < steps[-1] <= size - overlap
    assert tiling.starts[0] == 0
    assert tiling.stop(len(tiling.starts) - 1) == length


@given(st.integers(1, 3000), st.integers(1, 32), st.data())
def test_a_fitted_tile_needs_no_more_tiles(length: int, units: int, data: st.DataObject) -> None:
    largest = 32 * units
    overlap = data.draw(st.integers(0, largest // 2))
    size = fitted_size(length, largest, overlap, 32)
    assert size <= largest
    assert size % 32 == 0
    if overlap < size:
        assert len(axis_tiling(length, size, overlap).starts) <= len(axis_tiling(length, largest, overlap).starts)


def test_overlap_must_be_smaller_than_the_tile() -> None:
    with pytest.raises(AssertionError):
        axis_tiling(10, 4, 4)
