"""Walking through a volume slab by slab: nothing is left out, nothing is needed after it was given up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from segwheel.axes import Region
from segwheel.domain.slabs import (
    batches,
    blocks,
    longest_axis,
    neighbours,
    slabs,
    sparse_slices,
    tiles_reaching,
)
from segwheel.domain.tiling import Grid, axis_tiling


@given(st.integers(1, 60), st.integers(1, 20), st.integers(0, 19), st.integers(1, 25))
def test_a_slab_has_every_layer_that_reaches_into_it_and_none_that_was_given_up(
    length: int, size: int, overlap: int, thickness: int
) -> None:
    tiling = axis_tiling(length, size, min(overlap, size - 1))
    spent: set[int] = set()
    position = 0
    for slab in slabs(length, thickness):
        assert slab.start == position
        position = slab.stop
        reaching = {i for i, start in enumerate(tiling.starts) if start < slab.stop and tiling.stop(i) > slab.start}
        assert set(slab.layers(tiling)) == reaching
        assert not reaching & spent
        spent |= set(slab.spent(tiling))
    assert position == length
    assert spent == set(range(len(tiling.starts)))


def test_slabs_are_cut_along_the_longest_axis() -> None:
    assert longest_axis((64, 100, 70)) == 1
    assert longest_axis((64, 64, 64)) == 2
    assert longest_axis((9, 4)) == 0


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 12)), min_size=1, max_size=3), st.integers(1, 300))
def test_blocks_cover_a_region_once_and_are_small(axes: list[tuple[int, int]], elements: int) -> None:
    region = Region.at(*zip(*axes, strict=True))
    count = np.zeros(region.stop, int)
    for block in blocks(region, elements):
        count[block.slices] += 1
        assert max(block.shape) <= max(1, round(elements ** (1 / len(axes))))
    assert (count[region.slices] == 1).all()
    assert count.sum() == region.size


GRID = Grid.over((20, 31), (8, 10), (3, 4))


def test_the_tiles_that_reach_into_a_region_are_those_that_read_any_of_it() -> None:
    region = Region((5, 9), (9, 22))
    wanted = [tile.index for tile in GRID if tile.read.intersection(region).size]
    assert list(tiles_reaching(GRID, region)) == wanted


def test_neighbours_differ_by_one_along_one_axis() -> None:
    pairs = list(neighbours(GRID))
    counts = [len(axis.starts) for axis in GRID.axes]
    assert len(pairs) == len(set(pairs)) == (counts[0] - 1) * counts[1] + counts[0] * (counts[1] - 1)
    assert all(np.abs(np.subtract(*pair)).sum() == 1 for pair in pairs)


@pytest.mark.parametrize("size", [1, 3, 100])
def test_batches_hold_every_tile_once_and_never_two_layers(size: int) -> None:
    groups = batches(GRID, 1, size)
    assert [tile.index for layer in groups.values() for group in layer for tile in group] == sorted(
        (tile.index for tile in GRID), key=lambda index: (index[1], index[0])
    )
    for layer, each in groups.items():
        assert all(len(group) <= size and {tile.index[1] for tile in group} == {layer} for group in each)


@example([1, 28], 1)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=3), st.integers(1, 200))
def test_a_sparse_choice_is_about_as_large_as_asked_and_never_empty(shape: list[int], count: int) -> None:
    chosen = np.zeros(shape)[sparse_slices(Region.whole(shape), count)]
    assert chosen.size
    assert chosen.size <= count * 2 ** len(shape)
