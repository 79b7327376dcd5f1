"""Cutting an N-dimensional array into overlapping tiles and blending them together again.

Everything is worked out per axis and combined with a product. The blending weights of one axis are divided by
their sum at every position, so that they add up to one; products of such weights add up to one too, whatever
the number of axes. Blending is therefore a plain weighted sum, with nothing to divide by at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product
from math import ceil

import numpy as np
import numpy.typing as npt

from segwheel.axes import Region

Weights = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Tile:
    """One tile: the region to `read`, and the region of it that this tile alone may `write`.

    The write regions of a grid cover every element exactly once; read regions overlap.
    """

    index: tuple[int, ...]  # place in the grid, per axis
    read: Region
    write: Region

    @property
    def crop(self) -> tuple[slice, ...]:
        """Where the write region lies within what was read."""
        return self.write.relative_to(self.read).slices


@dataclass(frozen=True)
class AxisTiling:
    """Tiles along one axis: `starts` of tiles of `size` elements over `length` elements."""

    length: int
    size: int
    starts: tuple[int, ...]

    def stop(self, index: int) -> int:
        """End (exclusive) of tile `index`, inside the axis."""
        return min(self.starts[index] + self.size, self.length)

    def cuts(self) -> tuple[int, ...]:
        """Borders between the write regions: 0, the middles of the overlaps, `length`."""
        middles = ((self.stop(i) + start) // 2 for i, start in enumerate(self.starts[1:]))
        return (0, *middles, self.length)

    def weights(self, window: str) -> list[Weights]:
        """Blending weights of each tile; at every position the weights of all tiles add up to one."""
        total = np.zeros(self.length)
        profile = WINDOWS[window](self.size)
        spans = [(start, self.stop(i)) for i, start in enumerate(self.starts)]
        for start, stop in spans:
            total[start:stop] += profile[: stop - start]
        return [(profile[: stop - start] / total[start:stop]).astype(np.float32) for start, stop in spans]


def _gaussian(size: int) -> npt.NDArray[np.float64]:
    """Gaussian with a standard deviation of an eighth of the tile, as sliding-window segmentation uses it.

    Kept above zero, so that positions covered by one tile only can be normalised.
    """
    x = (np.arange(size) + 0.5) / size - 0.5
    return np.maximum(np.exp(-0.5 * (x / 0.125) ** 2), 1e-3)


def _cosine(size: int) -> npt.NDArray[np.float64]:
    """Half a period of the sine: zero beyond the ends, one in the middle."""
    window: npt.NDArray[np.float64] = np.sin(np.pi * (np.arange(size) + 0.5) / size)
    return window


WINDOWS: dict[str, Callable[[int], npt.NDArray[np.float64]]] = {
    "gaussian": _gaussian,
    "cosine": _cosine,
    "flat": np.ones,
}


def axis_tiling(length: int, size: int, overlap: int) -> AxisTiling:
    """Tiles of `size` that cover `length`, each `size - overlap` after the one before, the last one shifted inwards.

    All tiles have the full size and lie inside the axis: there is no sliver at the far end. Neighbours have at least
    `overlap` elements in common. An axis shorter than a tile gets one tile that reads the whole axis.
    """
    assert 0 <= overlap < size, f"overlap {overlap} does not fit tiles of {size}"
    last = max(0, length - size)
    return AxisTiling(length, size, (*range(0, last, size - overlap), last))


def fitted_size(length: int, largest: int, overlap: int, multiple: int) -> int:
    """The smallest tile size that needs no more tiles than `largest` does, a multiple of `multiple`.

    A smaller tile of the same count computes less twice. `largest` must itself be a multiple.
    """
    count = len(axis_tiling(length, largest, overlap).starts)
    needed = ceil((length + (count - 1) * overlap) / count)
    return min(largest, ceil(needed / multiple) * multiple)


@dataclass(frozen=True)
class Grid:
    """The tiles of an N-dimensional array, as one tiling per axis."""

    axes: tuple[AxisTiling, ...]

    @classmethod
    def over(cls, shape: Sequence[int], size: Sequence[int], overlap: Sequence[int]) -> Grid:
        """Tiles of `size` over an array of `shape`, neighbours sharing at least `overlap` elements per axis."""
        return cls(tuple(axis_tiling(*axis) for axis in zip(shape, size, overlap, strict=True)))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array that is tiled."""
        return tuple(axis.length for axis in self.axes)

    def __len__(self) -> int:
        return int(np.prod([len(axis.starts) for axis in self.axes]))

    def __iter__(self) -> Iterator[Tile]:
        """Tiles in array order: the first axis advances slowest."""
        cuts = [axis.cuts() for axis in self.axes]
        for index in product(*(range(len(axis.starts)) for axis in self.axes)):
            yield Tile(
                index,
                Region(
                    tuple(axis.starts[i] for axis, i in zip(self.axes, index, strict=True)),
                    tuple(axis.stop(i) for axis, i in zip(self.axes, index, strict=True)),
                ),
                Region(
                    tuple(cut[i] for cut, i in zip(cuts, index, strict=True)),
                    tuple(cut[i + 1] for cut, i in zip(cuts, index, strict=True)),
                ),
            )

    def weights(self, window: str) -> TileWeights:
        """Blending weights of every tile for `window`: gaussian, cosine or flat."""
        return TileWeights(tuple(tuple(axis.weights(window)) for axis in self.axes))


@dataclass(frozen=True)
class TileWeights:
    """Blending weights of a grid, kept per axis."""

    axes: tuple[tuple[Weights, ...], ...]

    def of(self, tile: Tile) -> Weights:
        """Weights of one tile, with the shape of its read region; they add up to one over all tiles."""
        profiles = (axis[i] for axis, i in zip(self.axes, tile.index, strict=True))
        return reduce(np.multiply.outer, profiles)
