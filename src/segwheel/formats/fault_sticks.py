"""Fault surfaces as fault sticks, in the text form that Petrel and OpendTect import.

A stick is where a fault cuts one section: a polyline that runs down the fault. Sections are cut every few
inlines and crosslines; in each, faults are thinned to lines, separated where they meet and followed from top to
bottom. Sticks of neighbouring sections that lie beside each other belong to one fault, and of a fault those sticks
are kept that cut it more directly, across inlines or across crosslines. A 2D image is one section.

The file has one node a line and no header, in the columns of Petrel's Charisma fault sticks:

    INLINE-  <inline> <crossline> <x> <y> <z> <fault> <stick>

z grows downwards in the unit of the depth axis. Sticks are numbered through the file, so that programs that read
x, y, z and a stick number only (OpendTect, "stick index") keep them apart. Where the volume has no coordinates,
x and y are crossline and inline numbers; a line has its own number as crossline and inline 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage.morphology import skeletonize

from segwheel.axes import Region
from segwheel.formats.files import write_text
from segwheel.formats.geometry import Floats, Geometry
from segwheel.formats.space import writing
from segwheel.formats.volume import Readable, sections

NEIGHBOURS = np.ones((3, 3), dtype=int)
REACH = 1.5  # between a point and its eight neighbours
THICKEST = 5.0  # half the thickness in elements at which a fault runs along the section rather than through it
TOLERANCE = 0.5  # elements by which a stick may miss its fault
PARALLEL = np.cos(np.radians(30))  # sticks of one fault run within 30 degrees of each other

Mask = npt.NDArray[np.bool_]
Points = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Stick:
    """A stick of fault number `fault`, cut by a section: nodes (n, axes of the volume) in indices, downwards."""

    section: int
    nodes: Floats
    fault: int = -1

    @property
    def direction(self) -> Floats:
        """Unit vector from the first node to the last."""
        along: Floats = self.nodes[-1] - self.nodes[0]
        return along / np.linalg.norm(along)


def find_sticks(
    volume: Readable, *, threshold: float = 0.5, every: int = 5, min_length: int = 10, min_sections: int = 2
) -> list[Stick]:
    """The sticks of all faults in a volume of fault probabilities (or a mask), the largest fault first.

    A voxel is a fault from `threshold` on. Sections are `every` lines apart; sticks shorter than `min_length`
    elements and faults seen in fewer than `min_sections` sections are dropped (a 2D image has one section).
    """
    if len(volume.shape) == 2:
        plane = volume.read(Region.whole(volume.shape))
        return _numbered([[Stick(0, nodes)] for nodes in trace_lines(plane >= threshold, min_length)])
    found = [fault for axis in (1, 2) for fault in _faults_across(volume, axis, threshold, every, min_length)]
    seen = [fault for fault in found if len(fault) >= min_sections]
    return _numbered(_without_repeats(seen, volume.shape, max(every, 4)))


def _without_repeats(faults: list[list[Stick]], shape: tuple[int, ...], cell: int) -> list[list[Stick]]:
    """Each fault once, the largest first: it has more sticks in the sections that it runs through more directly.

    A fault is repeated where most of its nodes lie in or beside cubes of `cell` elements that hold a larger one.
    """
    kept: list[list[Stick]] = []
    covered = np.zeros([n // cell + 3 for n in shape], dtype=bool)
    around = np.argwhere(np.ones([3] * len(shape))) - 1
    for fault in sorted(faults, key=lambda fault: -sum(len(stick.nodes) for stick in fault)):
        cells = np.concatenate([stick.nodes for stick in fault]).astype(int) // cell + 1
        if covered[tuple(cells.T)].mean() <= 0.5:
            covered[tuple((cells[:, None] + around).reshape(-1, len(shape)).T)] = True
            kept.append(fault)
    return kept


def _faults_across(volume: Readable, axis: int, threshold: float, every: int, min_length: int) -> list[list[Stick]]:
    """Sticks in the sections across one lateral axis, a list for each fault."""
    faults = _Sets()
    sticks: list[Stick] = []
    previous = range(0)
    count = volume.shape[axis]
    for section, plane in sections(volume, axis, {*range(0, count, every), count - 1}):  # the last one is always there
        lines = trace_lines(plane >= threshold, min_length)
        current = range(len(sticks), len(sticks) + len(lines))
        sticks += [Stick(section, np.insert(nodes, axis, section, axis=1)) for nodes in lines]
        faults.grow(len(sticks))
        for one, other in _neighbours(sticks, previous, current, 2 + 1.5 * every):
            faults.join(one, other)
        previous = current
    grouped: dict[int, list[Stick]] = {}
    for i, stick in enumerate(sticks):
        grouped.setdefault(faults.root(i), []).append(stick)
    return list(grouped.values())


def trace_lines(mask: Mask, min_length: int) -> list[Floats]:
    """Centre lines of what is set in a section, as points (n, 2) from top to bottom, without gaps.

    Lines are cut where they meet. Twigs shorter than `min_length` are not lines, and neither is what is much
    thicker than a fault.
    """
    # Holes of an element or two would become rings; the margin keeps the sides of the section as they are.
    closed = ndimage.binary_closing(np.pad(mask, 2), NEIGHBOURS)
    half = ndimage.distance_transform_edt(closed)[2:-2, 2:-2]
    mask = closed[2:-2, 2:-2]
    lines = []
    for piece in _pieces(_pruned(_thin(mask), min_length)):
        path = _follow(piece)
        if len(path) >= min_length and half[tuple(path.T)].mean() <= THICKEST:
            lines.append((path if path[0, 0] <= path[-1, 0] else path[::-1]).astype(np.float64))
    return lines


def _pruned(thin: Mask, min_length: int) -> Mask:
    """Without the twigs that thinning leaves on thick lines."""
    junctions = np.argwhere(_junctions(thin))
    if not len(junctions):
        return thin
    groups = ndimage.label(_junctions(thin), NEIGHBOURS)[0][tuple(junctions.T)]
    tree, kept = cKDTree(junctions), thin.copy()
    for piece in _pieces(thin):
        touching = np.unique(np.concatenate(tree.query_ball_point(piece, REACH)).astype(int))
        # A twig ends at one junction; a short piece between two belongs to a line.
        if len(piece) < min_length and np.unique(groups[touching]).size == 1:
            kept[tuple(piece.T)] = False
    return _thin(kept)


def _thin(mask: Mask) -> Mask:
    thin: Mask = skeletonize(mask)
    return thin


def _junctions(thin: Mask) -> Mask:
    """Points of a thin line where more than two arms meet."""
    return thin & (ndimage.convolve(thin.astype(np.int8), NEIGHBOURS, mode="constant") > 3)


def _pieces(thin: Mask) -> list[Points]:
    """The points of every arm between junctions."""
    labels, count = ndimage.label(thin & ~_junctions(thin), NEIGHBOURS)
    points = np.argwhere(labels)
    numbers = labels[tuple(points.T)]
    order = np.argsort(numbers, kind="stable")
    return np.split(points[order], np.searchsorted(numbers[order], np.arange(2, count + 1))) if count else []


def _follow(points: Points) -> Points:
    """The points of one arm in the order along it, from one end to the other."""
    neighbours: list[list[int]] = [[] for _ in points]
    for a, b in cKDTree(points).query_pairs(REACH):
        neighbours[a].append(b)
        neighbours[b].append(a)
    ends = [i for i, others in enumerate(neighbours) if len(others) == 1]
    path = [ends[0] if ends else 0]
    seen = set(path)
    while True:
        here = points[path[-1]]
        # Direct neighbours before diagonal ones, so that no point is left out.
        steps = [(int(np.abs(points[i] - here).sum()), i) for i in neighbours[path[-1]] if i not in seen]
        if not steps:
            return points[path]
        path.append(min(steps)[1])
        seen.add(path[-1])


def _neighbours(sticks: list[Stick], previous: range, current: range, distance: float) -> Iterator[tuple[int, int]]:
    """Pairs of sticks of two neighbouring sections that continue each other: of either, the nearest in the other."""
    gaps = {
        (one, other): gap
        for one in previous
        for other in current
        if (gap := _gap(sticks[one], sticks[other])) <= distance
    }
    for side in (0, 1):
        nearest: dict[int, tuple[int, int]] = {}
        for pair in sorted(gaps, key=gaps.__getitem__):
            nearest.setdefault(pair[side], pair)
        yield from nearest.values()


def _gap(one: Stick, other: Stick) -> float:
    """Mean distance of the shorter stick from the longer one; infinite for sticks that are not parallel."""
    if abs(float(one.direction @ other.direction)) < PARALLEL:
        return np.inf
    short, long = sorted((one, other), key=lambda stick: len(stick.nodes))
    return float(np.mean(cKDTree(long.nodes).query(short.nodes)[0]))


class _Sets:
    """Disjoint sets of numbers 0, 1, 2..."""

    def __init__(self) -> None:
        self._parent: list[int] = []

    def grow(self, count: int) -> None:
        self._parent += range(len(self._parent), count)

    def root(self, item: int) -> int:
        while self._parent[item] != item:
            item = self._parent[item]
        return item

    def join(self, one: int, other: int) -> None:
        low, high = sorted((self.root(one), self.root(other)))
        self._parent[high] = low


def _numbered(faults: list[list[Stick]]) -> list[Stick]:
    """All sticks, simplified, with the numbers of their faults."""
    return [
        replace(stick, nodes=_simplified(stick.nodes), fault=number)
        for number, fault in enumerate(faults)
        for stick in fault
    ]


def _simplified(nodes: Floats) -> Floats:
    """As few of the nodes as leave none further than TOLERANCE from the polyline (Douglas and Peucker, 1973)."""
    kept, spans = {0, len(nodes) - 1}, [(0, len(nodes) - 1)]
    while spans:
        begin, end = spans.pop()
        along, between = nodes[end] - nodes[begin], nodes[begin + 1 : end] - nodes[begin]
        if not len(between):
            continue
        share = np.clip(between @ along / max(float(along @ along), 1e-9), 0, 1)
        misses = np.linalg.norm(between - share[:, None] * along, axis=1)
        if misses.max() > TOLERANCE:
            worst = begin + 1 + int(misses.argmax())
            kept.add(worst)
            spans += [(begin, worst), (worst, end)]
    return nodes[sorted(kept)]


def write_sticks(path: Path, sticks: Sequence[Stick], geometry: Geometry) -> None:
    """Write the sticks found in a volume with this geometry, atomically."""
    lines = [line for number, stick in enumerate(sticks, start=1) for line in _lines(number, stick, geometry)]
    with writing(path):
        write_text(path, "".join(lines))


def _lines(number: int, stick: Stick, geometry: Geometry) -> Iterator[str]:
    lateral = geometry.axes[1:]
    numbers = [[axis.number(i) for axis, i in zip(lateral, node[1:], strict=True)] for node in stick.nodes]
    on_lines = np.array([[0.0, *some][-2:] for some in numbers])
    places = geometry.frame.position(stick.nodes[:, 1:]) if geometry.frame else on_lines[:, ::-1]
    for depth, (iline, xline), (x, y) in zip(stick.nodes[:, 0], on_lines, places, strict=True):
        z = geometry.axes[0].number(depth)
        fault = f"Fault_{stick.fault + 1}"
        yield f"INLINE-  {iline:>8.0f} {xline:>8.0f} {x:>15.3f} {y:>15.3f} {z:>12.3f} {fault:<10} {number:>6d}\n"
