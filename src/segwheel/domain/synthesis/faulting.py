"""Faults, and tracing coordinates back to before they slipped.

A volume is faulted by asking where each of its voxels came from. Faults are undone in reverse, the last one first: a
voxel on the side that moved goes back by the displacement. What a voxel shows (layers, time) and the zones of older
faults are then looked up at the place where it was, so that every later fault displaces everything older, exactly and
without resampling.

Coordinates are voxels, a float32 array (3, ...) in the order depth, axis 2, axis 3. A section is a volume one
voxel wide whose faults strike along axis 3 and slip up or down the dip.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import cos, inf, isinf, radians, sin

import numpy as np
import numpy.typing as npt

from segwheel.domain.orientation import HALF_TURN, angles, normals
from segwheel.domain.synthesis.fields import FloatArray
from segwheel.domain.synthesis.recipe import SeismicRecipe

Mask = npt.NDArray[np.bool_]
Vector = npt.NDArray[np.float64]
Place = FloatArray  # coordinates (3, ...)

MARGIN = 5.0  # voxels from top and bottom, within which no fault has its middle
LATERAL_MARGIN = 0.05  # the same along a lateral axis, as a part of its length
SPREAD = 6.0  # degrees by which conjugate faults differ from their common dip and strike
SLAB = 1 << 15  # voxels worked on at a time: few enough for the processor's cache


@dataclass(frozen=True)
class Fault:
    """One fault: a plane, or with a finite `radius` an arc that flattens with depth (listric).

    The side that the normal points to slips by `displacement` voxels (either sign) along
    cos(rake) * strike direction - sin(rake) * dip direction. A listric fault has `dip` at its `center` only; it is a
    cylinder around an axis along strike, and what lies above it slips as a rigid body turning about that axis.
    """

    center: tuple[float, float, float]
    dip: float
    strike: float
    rake: float
    displacement: float
    radius: float = inf

    @cached_property
    def normal(self) -> Vector:
        """Unit normal at the center, by the convention of `domain.orientation`."""
        return normals(self.dip, self.strike).astype(np.float64)

    @cached_property
    def down_dip(self) -> Vector:
        """Unit vector down the dip at the center."""
        d, s = radians(self.dip), radians(self.strike)
        return np.array([sin(d), cos(d) * cos(s), -cos(d) * sin(s)])

    @cached_property
    def along_strike(self) -> Vector:
        """Horizontal unit vector along strike."""
        s = radians(self.strike)
        return np.array([0.0, sin(s), cos(s)])

    @property
    def slip(self) -> Vector:
        """Displacement vector (3,) in voxels of the side that the normal points to, at the center."""
        rake = radians(self.rake)
        return self.displacement * (cos(rake) * self.along_strike - sin(rake) * self.down_dip)

    @property
    def planar(self) -> bool:
        return isinf(self.radius)

    @property
    def side(self) -> float:
        """+1 when the normal points to the axis of a listric fault, which lies above it, otherwise -1."""
        return 1.0 if self.normal[0] <= 0 else -1.0

    @property
    def turn(self) -> float:
        """Angle in radians by which a listric fault turns what slips, from normal towards down-dip."""
        return self.side * self.displacement * sin(radians(self.rake)) / self.radius

    def _radial(self, at: Place) -> tuple[FloatArray, FloatArray]:
        """Of a listric fault: coordinates (2, ...) from the axis along normal and down-dip, the distance from it."""
        axis = np.array(self.center) + self.side * self.radius * self.normal
        across = _components([self.normal, self.down_dip], at, axis)
        return across, np.sqrt(across[0] ** 2 + across[1] ** 2)  # several times faster than hypot

    def undo(self, at: Place) -> tuple[FloatArray, Mask]:
        """Move the coordinates `at` (in place) to where they were before this fault slipped.

        Returns the distance from the slip surface, positive on the side that the normal points to, and which voxels
        moved. Slip does not change the distance.
        """
        if self.planar:
            (distance,) = _components([self.normal], at, np.array(self.center))
            moved = distance > 0
            at -= np.multiply.outer(self.slip.astype(np.float32), moved.astype(np.float32))
            return distance, moved
        across, radius = self._radial(at)
        distance = np.float32(self.side) * (np.float32(self.radius) - radius)
        moved = distance > 0
        weight = moved.astype(np.float32)
        at += np.tensordot(self._back, np.concatenate([across * weight, weight[None]]), 1)
        return distance, moved

    @cached_property
    def _back(self) -> FloatArray:
        """Of a listric fault: what `undo` adds to coordinates, for each unit of the two from the axis and at all."""
        n, g = self.normal, self.down_dip
        less, sine = cos(self.turn) - 1, sin(self.turn)
        by_strike = -self.displacement * cos(radians(self.rake)) * self.along_strike
        return np.stack([less * n - sine * g, sine * n + less * g, by_strike], axis=1).astype(np.float32)

    @cached_property
    def rotation(self) -> FloatArray:
        """Matrix (3, 3) by which a listric fault has turned directions on the side that slipped."""
        n, g = self.normal, self.down_dip
        turned = np.eye(3) + (cos(self.turn) - 1) * (np.outer(n, n) + np.outer(g, g))
        turned += sin(self.turn) * (np.outer(g, n) - np.outer(n, g))
        return turned.astype(np.float32)

    def normals_at(self, at: Place) -> FloatArray:
        """Unit normals (3, n) of the surfaces parallel to this fault through n places."""
        if self.planar:
            return np.repeat(self.normal.astype(np.float32)[:, None], at.shape[1], axis=1)
        across, radius = self._radial(at)
        across /= np.maximum(radius, np.float32(1e-3)) * np.float32(-self.side)
        frame = np.stack([self.normal, self.down_dip], axis=1).astype(np.float32)
        lines: FloatArray = np.tensordot(frame, across, 1)
        return lines


def _components(directions: Sequence[Vector], at: Place, origin: Vector) -> FloatArray:
    """Components (k, ...) of `at` - `origin` along k `directions`."""
    rows = np.stack(directions)
    found: FloatArray = np.tensordot(rows.astype(np.float32), at, 1)
    found -= (rows @ origin).astype(np.float32).reshape(-1, *(1,) * (at.ndim - 1))
    return found


@dataclass(frozen=True)
class Zones:
    """Fault zones of some voxels: number of the fault (0 none, 1 the oldest), dip and strike in degrees (0 off)."""

    number: npt.NDArray[np.uint8]
    dip: FloatArray
    strike: FloatArray


def trace_back(
    at: Place, faults: Sequence[Fault], thickness: float, slip_offset: float, live: Mask | None = None
) -> Zones:
    """Undo all `faults` (given oldest first) at the coordinates `at`, in place, and mark the zones.

    Only `live` voxels are marked (None: all). A zone is the voxels within half the `thickness` of the surface that lies
    `slip_offset` behind the slip surface, seen along the normal. Where zones cross, the younger fault is marked.
    """
    shape = at.shape[1:]
    zones = Zones(np.zeros(shape, np.uint8), np.zeros(shape, np.float32), np.zeros(shape, np.float32))
    free = np.ones(shape, np.bool_) if live is None else live.copy()
    turns: list[tuple[Fault, Mask]] = []  # listric faults undone so far, youngest first, and what they moved
    for number in range(len(faults), 0, -1):
        fault = faults[number - 1]
        distance, moved = fault.undo(at)
        distance += np.float32(slip_offset)
        zone = (np.abs(distance, out=distance) <= np.float32(thickness / 2)) & free
        free ^= zone
        zones.number[zone] = number
        zones.dip[zone], zones.strike[zone] = _orientation(fault, at, zone, turns)
        if not fault.planar:
            turns.append((fault, moved))
    return zones


def _orientation(
    fault: Fault, at: Place, zone: Mask, turns: list[tuple[Fault, Mask]]
) -> tuple[FloatArray | float, FloatArray | float]:
    """Dip and strike of `fault` today at the voxels of `zone`, whose coordinates before it slipped are `at`."""
    if fault.planar and not turns:
        return fault.dip, fault.strike
    lines = fault.normals_at(at[:, zone])
    for later, moved in reversed(turns):
        turned = moved[zone]
        lines[:, turned] = later.rotation @ lines[:, turned]
    dip, strike = angles(lines)
    return dip, strike


def reach(faults: Sequence[Fault], shape: Sequence[int]) -> Vector:
    """Bounds (3,) on how far, along each axis, a voxel of a volume of `shape` comes from."""
    diagonal = float(np.linalg.norm(shape))
    total = np.zeros(3)
    for fault in faults:
        # What turns about a listric fault's axis goes any way, and further than the fault itself when outside of it.
        total += np.abs(fault.slip) if fault.planar else abs(fault.displacement) + abs(fault.turn) * diagonal
    return total


def places(rows: slice, volume: Sequence[int]) -> Place:
    """Coordinates of the voxels in `rows` (which may lie outside) of a volume with three axes."""
    axes = [np.arange(rows.start, rows.stop), *(np.arange(n) for n in volume[1:])]
    return np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)


def row_slabs(start: int, stop: int, volume: Sequence[int]) -> Iterator[slice]:
    """Rows `start` to `stop`, a few at a time."""
    step = max(1, SLAB // (volume[1] * volume[2]))
    for first in range(start, stop, step):
        yield slice(first, min(first + step, stop))


def draw_faults(rng: np.random.Generator, recipe: SeismicRecipe, volume: Sequence[int]) -> tuple[Fault, ...]:
    """Faults, oldest first, through a volume with three axes (the last has length 1 in a section)."""
    count = int(rng.integers(*recipe.faults, endpoint=True))
    conjugate = rng.random() < recipe.conjugate_share
    common = _draw_attitude(rng, recipe)
    faults = []
    for number in range(count):
        center = _draw_center(rng, volume)
        dip, strike, rake = _draw_attitude(rng, recipe)
        displacement = rng.uniform(*recipe.displacement) * (-1 if number % 2 == 0 else 1)
        if conjugate:
            dip, strike, rake = _similar(rng, common)
            displacement = -abs(displacement) if dip < HALF_TURN / 2 else abs(displacement)
        listric, radius = rng.random() < recipe.listric_share, rng.uniform(*recipe.listric_radius)
        if volume[2] == 1:
            strike, rake = 0.0, 90.0
        faults.append(Fault(center, dip, strike, rake, displacement, radius if listric else inf))
    return tuple(faults)


def _draw_attitude(rng: np.random.Generator, recipe: SeismicRecipe) -> tuple[float, float, float]:
    dip, strike, rake = (rng.uniform(*bounds) for bounds in (recipe.dip, recipe.strike, recipe.rake))
    return dip, strike, rake


def _similar(rng: np.random.Generator, attitude: tuple[float, float, float]) -> tuple[float, float, float]:
    """An attitude near the given one, or near its mirror image that dips the other way, slipping about down the dip."""
    dip, strike, _ = attitude
    dip = dip if rng.random() < 0.5 else HALF_TURN - dip
    return dip + rng.uniform(-SPREAD, SPREAD), (strike + rng.uniform(-SPREAD, SPREAD)) % HALF_TURN, rng.uniform(60, 120)


def _draw_center(rng: np.random.Generator, volume: Sequence[int]) -> tuple[float, float, float]:
    depth, second, third = volume
    top = min(MARGIN, depth / 4)
    z = rng.uniform(top, depth - top)
    y, x = (rng.uniform(LATERAL_MARGIN * n, (1 - LATERAL_MARGIN) * n) for n in (second, third))
    return z, y, 0.0 if third == 1 else x
