"""Walking through a volume that doesn't fit into memory: slabs along one axis, and the tiles that each of them needs.

A slab spans the whole of the other axes. The tiles that share their place along the slab axis are a layer; a slab is
finished once every layer that reaches into it was predicted, and a layer is spent once no later slab needs it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil, prod

from segwheel.axes import Region
from segwheel.domain.tiling import AxisTiling, Grid, Tile


@dataclass(frozen=True)
class Slab:
    """Elements `start` to `stop` (exclusive) along the slab axis."""

    start: int
    stop: int

    def layers(self, tiling: AxisTiling) -> range:
        """The layers that reach into the slab."""
        return _reaching(tiling, self.start, self.stop)

    def spent(self, tiling: AxisTiling) -> range:
        """The layers that no later slab needs: those that end with this slab or before it."""
        return range(sum(tiling.stop(i) <= self.stop for i in range(len(tiling.starts))))


def slabs(length: int, thickness: int) -> Iterator[Slab]:
    """Slabs of `thickness` one after the other; the last one is thinner where it doesn't divide `length`."""
    return (Slab(start, min(start + thickness, length)) for start in range(0, length, thickness))


def longest_axis(shape: Sequence[int]) -> int:
    """The axis to cut slabs along, so that they are small: the longest, of equal ones the last."""
    return max(range(len(shape)), key=lambda axis: (shape[axis], axis))


def blocks(region: Region, elements: int) -> Iterator[Region]:
    """Nearly cubic boxes of at most about `elements` that cover a region exactly once, in array order."""
    edge = max(1, round(elements ** (1 / len(region.shape))))
    for corner in product(*(range(a, b, edge) for a, b in zip(region.start, region.stop, strict=True))):
        yield Region.at(corner, [edge] * len(corner)).intersection(region)


def tiles_reaching(grid: Grid, region: Region) -> Iterator[tuple[int, ...]]:
    """Grid indices of the tiles that read any of a (non-empty) region, in array order."""
    return product(*(_reaching(*axis) for axis in zip(grid.axes, region.start, region.stop, strict=True)))


def neighbours(grid: Grid) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Grid indices of the pairs of tiles that are next to each other along one axis."""
    counts = [len(axis.starts) for axis in grid.axes]
    for index in product(*map(range, counts)):
        for axis, count in enumerate(counts):
            if index[axis] + 1 < count:
                yield index, (*index[:axis], index[axis] + 1, *index[axis + 1 :])


def batches(grid: Grid, axis: int, size: int) -> dict[int, list[tuple[Tile, ...]]]:
    """Tiles in groups of up to `size`, by layer along `axis`; no group holds tiles of two layers."""
    layers: dict[int, list[Tile]] = {}
    for tile in grid:
        layers.setdefault(tile.index[axis], []).append(tile)
    return {
        layer: [tuple(tiles[i : i + size]) for i in range(0, len(tiles), size)]
        for layer, tiles in sorted(layers.items())
    }


def sparse_slices(region: Region, count: int) -> tuple[slice, ...]:
    """Slices that pick about `count` elements of a region, evenly spread; at least one of every axis."""
    steps: dict[int, int] = {}
    wanted = float(count)
    narrow_first = sorted(range(len(region.shape)), key=lambda axis: region.shape[axis])
    for i, axis in enumerate(narrow_first):  # what a narrow axis cannot thin out is left to the wider ones
        left = [region.shape[other] for other in narrow_first[i:]]
        steps[axis] = min(left[0], max(1, ceil((prod(left) / wanted) ** (1 / len(left)))))
        wanted /= ceil(left[0] / steps[axis])
    return tuple(
        slice(start + (steps[axis] - 1) // 2, stop, steps[axis])
        for axis, (start, stop) in enumerate(zip(region.start, region.stop, strict=True))
    )


def _reaching(tiling: AxisTiling, start: int, stop: int) -> range:
    inside = [i for i, first in enumerate(tiling.starts) if first < stop and tiling.stop(i) > start]
    return range(inside[0], inside[-1] + 1)
