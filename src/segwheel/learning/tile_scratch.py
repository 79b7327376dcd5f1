"""What tiles predict, kept on disk until it is blended.

Tiles of a volume overlap in all directions, and RGT can be blended only when every tile is known. Held in memory they
would grow with the volume, so that each batch of tiles is a file, mapped and never loaded whole. Files appear
complete or not at all: they are the marks that a killed run continues from.

Dead voxels are NaN here, in every attribute.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
import numpy.typing as npt

from segwheel.axes import Region
from segwheel.domain.slabs import batches, tiles_reaching
from segwheel.domain.tiling import Grid, Tile
from segwheel.formats.files import remove, replacing

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Batch:
    """Tiles that go through the network together: all of one layer along the slab axis."""

    number: int
    layer: int
    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class Piece:
    """What one tile says about a region: where in the region, with which blending weights, and its values."""

    tile: tuple[int, ...]
    place: tuple[slice, ...]
    weights: FloatArray
    values: FloatArray  # (attributes, *shape of the place)


class TileScratch:
    """Tiles of `grid` in `folder`, in batches of `batch_size` along `axis`, blended with `window`."""

    def __init__(self, folder: Path, grid: Grid, axis: int, batch_size: int, window: str) -> None:
        self.folder, self.grid = folder, grid
        groups = [(layer, tiles) for layer, each in batches(grid, axis, batch_size).items() for tiles in each]
        self.batches = tuple(Batch(number, layer, tiles) for number, (layer, tiles) in enumerate(groups))
        self._tiles = {tile.index: (batch, i) for batch in self.batches for i, tile in enumerate(batch.tiles)}
        self._weights = grid.weights(window)

    def has(self, kind: str, batch: Batch) -> bool:
        return self._path(kind, batch).exists()

    def save(self, kind: str, batch: Batch, values: FloatArray) -> None:
        """Keep the `values` (tiles, attributes, *tile) of a batch."""
        values = np.ascontiguousarray(values)
        with replacing(self._path(kind, batch)) as beside, beside.open("wb") as file:
            # Not numpy.save, which forgets what the operating system said when the disk is full.
            np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(values))
            file.write(values.data)

    def forget(self, kind: str, batch: Batch) -> None:
        remove(self._path(kind, batch))

    def number(self, index: tuple[int, ...]) -> int:
        """A number below `len(grid)` of the tile at a place in the grid."""
        return int(np.ravel_multi_index(index, [len(axis.starts) for axis in self.grid.axes]))

    def read_region(self, index: tuple[int, ...]) -> Region:
        """The region that a tile reads."""
        batch, slot = self._tiles[index]
        return batch.tiles[slot].read

    def tile(self, kind: str, index: tuple[int, ...]) -> FloatArray:
        """(attributes, *tile) of one tile, mapped."""
        batch, slot = self._tiles[index]
        mapped: FloatArray = np.load(self._path(kind, batch), mmap_mode="r", allow_pickle=False)[slot]
        return mapped

    def pieces(self, kind: str, region: Region) -> Iterator[Piece]:
        """What all tiles say about a region. The weights add up to one everywhere; the order is that of the grid."""
        for index in tiles_reaching(self.grid, region):
            read = self.read_region(index)
            common = region.intersection(read)
            crop = common.relative_to(read).slices
            profiles = (axis[i][inside] for axis, i, inside in zip(self._weights.axes, index, crop, strict=True))
            yield Piece(
                index,
                common.relative_to(region).slices,
                reduce(np.multiply.outer, profiles),
                np.asarray(self.tile(kind, index)[(slice(None), *crop)]),
            )

    def _path(self, kind: str, batch: Batch) -> Path:
        return self.folder / kind / f"{batch.number:06d}.npy"
