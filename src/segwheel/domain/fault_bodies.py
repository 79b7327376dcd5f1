"""Faults as objects: connected bodies of a predicted fault probability, each with its size, place and orientation.

Voxels are collected a block at a time, and only those that are faults are kept: memory grows with the faults, not with
the volume. Two voxels that touch, be it at a corner, belong to one body if their normals are about the same line: where
faults cross, they are two bodies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse import csgraph

from segwheel.axes import Region
from segwheel.domain.orientation import ANGLE_NAMES, angles, normals, outer_products, principal_axes, unweighted
from segwheel.domain.slabs import blocks
from segwheel.formats.volume import CHUNK_ELEMENTS, Volume

FloatArray = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

PARALLEL = np.cos(np.radians(30))  # of the normals of neighbours in one body, as of the sticks of one fault


@dataclass(frozen=True)
class FaultVoxels:
    """The voxels of all faults: `position` (voxels, axes), `probability` (voxels,) and unit `normals` (axes, voxels).

    Normals are None where no angles are known.
    """

    position: Indices
    probability: FloatArray
    normals: FloatArray | None


def fault_bodies(predicted: Mapping[str, Volume], threshold: float, min_voxels: int) -> list[dict[str, Any]]:
    """A row for each body of at least `min_voxels`, the largest first, from `fsem` and, where they are, the angles.

    Columns: fault (from 1), voxels, probability (mean), dip and strike (degrees, those of the mean normal as a line,
    None where not predicted), and for every axis centroid_<axis>, start_<axis>, stop_<axis> (array indices, half-open)
    and extent_<axis>. Angles are in voxels: an axis of another spacing is not stretched.
    """
    fsem = predicted["fsem"]
    voxels = _voxels(predicted, threshold)
    labels = connected(voxels.position, fsem.shape, voxels.normals)
    sizes = np.bincount(labels)
    # By size, then by the place in the volume, which is the order of the labels.
    chosen = [int(label) for label in np.argsort(-sizes, kind="stable") if sizes[label] >= min_voxels]
    order = np.argsort(labels, kind="stable")
    ends = np.cumsum(sizes)
    members = (order[ends[label] - sizes[label] : ends[label]] for label in chosen)
    return [{"fault": number} | _row(voxels, inside, fsem.axes) for number, inside in enumerate(members, start=1)]


def _voxels(predicted: Mapping[str, Volume], threshold: float) -> FaultVoxels:
    fsem = predicted["fsem"]
    names = ANGLE_NAMES[len(fsem.shape)]
    lines = [predicted[name] for name in names if name in predicted]
    positions, probabilities, directions = [np.empty((0, len(fsem.shape)), np.int64)], [np.empty(0, np.float32)], []
    for block in blocks(Region.whole(fsem.shape), CHUNK_ELEMENTS):
        values = fsem.read(block)
        at = np.nonzero(values >= threshold)
        if not len(at[0]):
            continue
        chance = values[at]
        positions.append(np.stack(at, axis=1) + np.array(block.start))
        probabilities.append(chance)
        if len(lines) == len(names):
            directions.append(normals(*(unweighted(line.read(block)[at], chance) for line in lines)))
    known = np.concatenate(directions, axis=1) if directions else None
    return FaultVoxels(np.concatenate(positions), np.concatenate(probabilities), known)


def connected(position: Indices, shape: tuple[int, ...], lines: FloatArray | None = None) -> Indices:
    """The number of the body that each voxel belongs to, from 0; `position` (voxels, axes) has no voxel twice.

    With `lines`, the normals (axes, voxels) as unit vectors of either sign, neighbours of other ones are no neighbours.
    """
    grown = tuple(n + 2 for n in shape)  # a margin, so that no neighbour is on the other side of the volume
    index = np.ravel_multi_index(tuple((position + 1).T), grown)
    order = np.argsort(index)
    ordered = index[order]
    first, second = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for step in _forward(len(shape)):
        wanted = ordered + int(np.ravel_multi_index(tuple(np.array(step) + 1), grown)) - _origin(grown)
        place = np.minimum(np.searchsorted(ordered, wanted), max(len(ordered) - 1, 0))
        there = np.flatnonzero(ordered[place] == wanted)
        one, other = order[there], order[place[there]]
        if lines is not None:
            alike = np.abs((lines[:, one] * lines[:, other]).sum(axis=0)) >= PARALLEL
            one, other = one[alike], other[alike]
        first.append(one)
        second.append(other)
    ends = (np.concatenate(first), np.concatenate(second))
    graph = sparse.coo_array((np.ones(len(ends[0]), np.int8), ends), shape=(len(index), len(index)))
    labels: Indices = csgraph.connected_components(graph, directed=False)[1].astype(np.int64)
    return labels


def _origin(shape: tuple[int, ...]) -> int:
    return int(np.ravel_multi_index((1,) * len(shape), shape))


def _forward(ndim: int) -> Iterator[tuple[int, ...]]:
    """Half of the steps to the neighbours of a voxel; the other half are these backwards."""
    return (step for step in product((-1, 0, 1), repeat=ndim) if step > (0,) * ndim)


def _row(voxels: FaultVoxels, inside: Indices, axes: tuple[str, ...]) -> dict[str, Any]:
    position, chance = voxels.position[inside], voxels.probability[inside]
    row: dict[str, Any] = {"voxels": len(inside), "probability": round(float(chance.mean()), 4)}
    row |= {"dip": None, "strike": None}
    if voxels.normals is not None:
        total = (outer_products(voxels.normals[:, inside]) * chance).sum(axis=1, dtype=np.float64).astype(np.float32)
        found = angles(principal_axes(total))
        row |= {name: round(float(angle), 2) for name, angle in zip(("dip", "strike"), found, strict=False)}
    starts, stops, centres = position.min(axis=0), position.max(axis=0) + 1, position.mean(axis=0)
    for name, start, stop, centre in zip(axes, starts, stops, centres, strict=True):
        row |= {f"centroid_{name}": round(float(centre), 2), f"start_{name}": int(start), f"stop_{name}": int(stop)}
        row[f"extent_{name}"] = int(stop - start)
    return row
