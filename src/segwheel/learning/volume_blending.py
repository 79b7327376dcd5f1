"""Blending what overlapping tiles predict, each attribute as what it is.

* DHR and the fault probability are plain weighted means.
* Dip and strike are two angles of a line, the fault's normal: the mean is the principal axis of the outer products,
  weighted with the fault probability besides, so that a tile that sees no fault has no say in its orientation.
* RGT is known up to a scale and an offset per tile, which are fitted to the overlaps first.

Dead voxels are NaN, in what comes in and in what goes out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from segwheel.axes import Region
from segwheel.domain.orientation import HALF_TURN, angles, normals, outer_products, principal_axes, unweighted
from segwheel.domain.rgt import Alignment, Overlap, align_tiles
from segwheel.domain.slabs import neighbours, sparse_slices
from segwheel.learning.multitask import ANGLES
from segwheel.learning.tile_scratch import Piece, TileScratch

FloatArray = npt.NDArray[np.float32]

# Dip and strike are written times the fault probability. Below this probability they are written as 0, which is wrong
# by less than it, and saves finding a principal axis where a network is sure that there is no fault.
FAINT = 1e-3
OVERLAP_SAMPLES = 500  # voxels of an overlap that the alignment looks at


def blend_fields(pieces: Sequence[Piece], names: Sequence[str], shape: Sequence[int]) -> dict[str, FloatArray]:
    """The attributes `names` (all but RGT, in the order of the pieces' channels) of a region of `shape`.

    fdip and fstrike are angle / 180 times the blended fault probability, as the networks give them, and 0 where that is
    below FAINT.
    """
    lines = [name for name in ANGLES[len(shape)] if name in names]
    blended = {name: _mean(pieces, names.index(name), shape) for name in names if name not in lines}
    if lines:
        channels = [names.index(name) for name in ("fsem", *lines)]
        found = _orientation(pieces, channels, blended["fsem"])
        blended |= dict(zip(lines, found, strict=True))
    return {name: blended[name] for name in names}


def _mean(pieces: Sequence[Piece], channel: int, shape: Sequence[int]) -> FloatArray:
    total = np.zeros(shape, np.float32)
    for piece in pieces:
        total[piece.place] += piece.weights * piece.values[channel]
    return total


def _orientation(pieces: Sequence[Piece], channels: Sequence[int], probability: FloatArray) -> list[FloatArray]:
    """Angles / 180 times `probability`; `channels` are those of the fault probability, the dip and in 3D the strike."""
    faults = probability >= FAINT
    rank = np.zeros(faults.shape, np.int64)
    rank[faults] = np.arange(np.count_nonzero(faults))
    tensors = np.zeros((probability.ndim * (probability.ndim + 1) // 2, np.count_nonzero(faults)), np.float32)
    for piece in pieces:
        here = faults[piece.place]
        chance, *weighted = (piece.values[channel][here] for channel in channels)
        degrees = [unweighted(angle, chance) for angle in weighted]
        tensors[:, rank[piece.place][here]] += piece.weights[here] * chance * outer_products(normals(*degrees))
    found = []
    for angle in angles(principal_axes(tensors)):
        values = np.where(np.isnan(probability), probability, np.float32(0))
        values[faults] = angle / np.float32(HALF_TURN) * probability[faults]
        found.append(values)
    return found


def blend_rgt(scratch: TileScratch, alignment: Alignment, region: Region) -> FloatArray:
    """RGT of a region on the common scale of the tiles."""
    total = np.zeros(region.shape, np.float32)
    for piece in scratch.pieces("rgt", region):
        total[piece.place] += piece.weights * alignment.apply(scratch.number(piece.tile), piece.values[0])
    return total


def aligned(scratch: TileScratch) -> Alignment:
    """Scale and offset of the RGT of every tile, from a few hundred live voxels of each overlap of neighbours.

    Only these voxels are in memory: some thousandths of what the tiles hold.
    """
    overlaps = []
    for first, second in neighbours(scratch.grid):
        common = scratch.read_region(first).intersection(scratch.read_region(second))
        if not common.size:
            continue
        u, v = (_sampled(scratch, index, common) for index in (first, second))
        live = np.isfinite(u) & np.isfinite(v)
        if live.any():
            overlaps.append(Overlap(scratch.number(first), scratch.number(second), u[live], v[live]))
    return align_tiles(len(scratch.grid), overlaps)


def _sampled(scratch: TileScratch, index: tuple[int, ...], region: Region) -> FloatArray:
    inside = region.relative_to(scratch.read_region(index))
    return np.array(scratch.tile("rgt", index)[0][sparse_slices(inside, OVERLAP_SAMPLES)]).ravel()
