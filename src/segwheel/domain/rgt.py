"""Relative geologic time (RGT): aligning what tiles predict, putting a volume on the scale 0..1, measuring errors.

RGT is relative: a network that sees one tile knows it up to a scale and an offset. Tiles are put on one scale by
fitting a (scale, offset) per tile to the values that neighbours predict for the same voxels, so that
scale_i * t_i + offset_i = scale_j * t_j + offset_j in their overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse import csgraph
from scipy.sparse import linalg as sparse_linalg

FloatArray = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

# Reach of the Cauchy weights in standard deviations: 95 % efficient on clean data (Holland and Welsch 1977).
ROBUST_REACH = 2.385
RIDGE = 1e-6  # how much an equal scale of all tiles weighs beside the overlaps: enough where nothing else decides
NO_BETTER = 1e-3  # of the range of RGT: misfits below this are not told apart
SETTLED = 1e-6


@dataclass(frozen=True)
class Overlap:
    """RGT of the same voxels in two tiles, 1D arrays of equal length in the same order.

    A few hundred voxels of an overlap tell as much as all of them.
    """

    first: int
    second: int
    first_values: FloatArray
    second_values: FloatArray


@dataclass(frozen=True)
class Alignment:
    """What puts each tile on the common scale: `scales[i] * rgt + offsets[i]`, both float64 (tiles,)."""

    scales: Doubles
    offsets: Doubles

    def apply(self, tile: int, rgt: FloatArray) -> FloatArray:
        """The RGT of `tile` on the common scale, a float32 copy."""
        aligned: FloatArray = (self.scales[tile] * rgt + self.offsets[tile]).astype(np.float32)
        return aligned


def align_tiles(tiles: int, overlaps: Sequence[Overlap], rounds: int = 20) -> Alignment:
    """One (scale, offset) per tile by weighted least squares over all overlaps, robust at faults.

    Neighbours disagree by many voxels where one of them misplaces a fault, so voxels are reweighted by their misfit
    (Cauchy weights, at most `rounds` times). Everything would fit if it were shrunk to nothing; the gauge is therefore
    fixed: in each group of connected tiles the mean scale is 1 and the mean offset 0. A tile without overlaps keeps
    its values.
    """
    groups = _groups(tiles, overlaps)
    solution = np.concatenate([np.ones(tiles), np.zeros(tiles)])
    robust = [np.ones(o.first_values.size) for o in overlaps]
    for _ in range(rounds):
        before, solution = solution, _solved(tiles, overlaps, robust, groups)
        if np.abs(solution - before).max(initial=0) < SETTLED:
            break
        robust = _reweighted([_misfit(o, solution, tiles) for o in overlaps])
    return Alignment(solution[:tiles], solution[tiles:])


def _groups(tiles: int, overlaps: Iterable[Overlap]) -> npt.NDArray[np.int32]:
    """Number of the connected group that each tile belongs to, from 0."""
    pairs = np.array([(o.first, o.second) for o in overlaps], np.int64).reshape(-1, 2)
    graph = sparse.coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(tiles, tiles))
    labels: npt.NDArray[np.int32] = csgraph.connected_components(graph, directed=False)[1]
    return labels


def _misfit(overlap: Overlap, solution: Doubles, tiles: int) -> Doubles:
    i, j = overlap.first, overlap.second
    first = solution[i] * overlap.first_values.astype(np.float64) + solution[tiles + i]
    second = solution[j] * overlap.second_values.astype(np.float64) + solution[tiles + j]
    misfit: Doubles = first - second
    return misfit


def _reweighted(misfits: list[Doubles]) -> list[Doubles]:
    """Cauchy weights of misfits against their common spread (from the median absolute misfit)."""
    everything = np.concatenate([np.zeros(1), *misfits])
    spread = max(1.4826 * float(np.median(np.abs(everything))), NO_BETTER)
    return [1 / (1 + (misfit / (ROBUST_REACH * spread)) ** 2) for misfit in misfits]


def _solved(tiles: int, overlaps: Sequence[Overlap], robust: list[Doubles], groups: npt.NDArray[np.int32]) -> Doubles:
    """Scales, then offsets: the least-squares solution under the gauge, from its normal equations.

    Only an overlap's weighted moments enter, so the system's size is that of the tiles, not of their voxels.
    """
    rows, columns, values = [], [], []
    for overlap, factor in zip(overlaps, robust, strict=True):
        i, j = overlap.first, overlap.second
        u, v = overlap.first_values.astype(np.float64), overlap.second_values.astype(np.float64)
        design = np.stack([u, -v, np.ones_like(u), -np.ones_like(u)])
        unknowns = np.array([i, j, tiles + i, tiles + j])
        rows.append(np.repeat(unknowns, 4))
        columns.append(np.tile(unknowns, 4))
        values.append(((design * factor) @ design.T).ravel())
    total = max((float(value[-1]) for value in values), default=1.0) or 1.0
    rows.append(np.arange(tiles))
    columns.append(np.arange(tiles))
    values.append(np.full(tiles, RIDGE * total))
    index = (np.concatenate(rows), np.concatenate(columns))
    normal = sparse.coo_array((np.concatenate(values), index), shape=(2 * tiles, 2 * tiles))
    ridge = np.concatenate([np.full(tiles, RIDGE * total), np.zeros(tiles)])
    return _constrained(normal, ridge, groups, total)


def _constrained(normal: sparse.coo_array, right: Doubles, groups: npt.NDArray[np.int32], total: float) -> Doubles:
    """Solve `normal` x = `right` with mean scale 1 and mean offset 0 in each group, by Lagrange multipliers."""
    tiles, count = len(groups), int(groups.max(initial=-1)) + 1
    sizes = np.bincount(groups, minlength=count)
    membership = sparse.coo_array((total / sizes[groups], (groups, np.arange(tiles))), shape=(count, tiles))
    gauge = sparse.block_diag([membership, membership])
    system = sparse.block_array([[normal, gauge.T], [gauge, None]], format="csc")
    wanted = np.concatenate([right, np.full(count, total), np.zeros(count)])
    solution: Doubles = sparse_linalg.spsolve(system, wanted)
    return solution[: 2 * tiles]


def rescale(rgt: FloatArray, live: Mask | None = None) -> FloatArray:
    """`rgt` with its least live value at 0 and its greatest at 1; dead voxels become 0. Constant values become 0."""
    low, high = value_range(rgt if live is None else rgt[live])
    scaled = ((rgt - np.float32(low)) / np.float32(high - low or 1)).astype(np.float32)
    return scaled if live is None else np.where(live, scaled, np.float32(0))


def value_range(values: FloatArray) -> tuple[float, float]:
    """Least and greatest value, (0, 0) of nothing."""
    return (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)


def fit_affine(values: FloatArray, wanted: FloatArray) -> tuple[float, float]:
    """The (scale, offset) for which `scale * values + offset` is nearest to `wanted` in the least-squares sense.

    Constant values get scale 0 and the mean of what is wanted.
    """
    x, y = values.ravel().astype(np.float64), wanted.ravel().astype(np.float64)
    centred = x - x.mean()
    spread = float(centred @ centred)
    scale = float(centred @ y) / spread if spread else 0.0
    return scale, float(y.mean() - scale * x.mean())


@dataclass(frozen=True)
class RgtScores:
    """How far a predicted RGT is from the true one.

    `mae`: mean absolute error as predicted. `mae_affine`: after the best scale and offset, since RGT is relative.
    `decreasing`: share of vertical steps between live voxels in which the *predicted* RGT decreases with depth.
    nan where nothing counts.
    """

    mae: float
    mae_affine: float
    decreasing: float


def rgt_scores(predicted: FloatArray, true: FloatArray, live: Mask | None = None) -> RgtScores:
    """Scores over live, labelled voxels; arrays have depth along axis 0."""
    live = np.ones(true.shape, np.bool_) if live is None else live
    p, t = predicted[live].astype(np.float64), true[live].astype(np.float64)
    if not p.size:
        return RgtScores(nan, nan, nan)
    scale, offset = fit_affine(predicted[live], true[live])
    return RgtScores(
        mae=float(np.abs(p - t).mean()),
        mae_affine=float(np.abs(scale * p + offset - t).mean()),
        decreasing=decreasing_share(predicted, live),
    )


def decreasing_share(rgt: FloatArray, live: Mask | None = None) -> float:
    """Share of vertical steps (both voxels live) in which RGT decreases with depth (axis 0); nan without any step."""
    falls = np.diff(rgt, axis=0) < 0
    if live is None:
        return float(falls.mean()) if falls.size else nan
    steps = live[1:] & live[:-1]
    return float(falls[steps].mean()) if steps.any() else nan
