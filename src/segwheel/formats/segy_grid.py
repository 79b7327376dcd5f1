"""Laying traces out on a grid by their line numbers, along any number of lateral axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt

from segwheel.formats.geometry import Axis, Floats, Frame

SPARSEST = 20  # cells per trace; line numbers that need more are no line numbers
Integers = npt.NDArray[np.int64]


class GridError(Exception):
    """Why traces do not lie on a grid. `duplicate`: some share a cell; `line`: they follow a line through it."""

    def __init__(self, found: str, *, duplicate: bool = False, line: bool = False) -> None:
        super().__init__(found)
        self.duplicate, self.line = duplicate, line


@dataclass(frozen=True)
class Column:
    """The numbers of all traces along one lateral axis, in the order of the file."""

    name: str
    numbers: npt.NDArray[np.int32]

    def axis(self) -> tuple[Axis, Integers]:
        """The axis, counted upwards by the greatest common step, and the index of every trace along it."""
        distinct = np.unique(self.numbers).astype(np.int64)
        first, step = distinct[0], np.gcd.reduce(np.diff(distinct)) if distinct.size > 1 else np.int64(1)
        return Axis(self.name, float(first), float(step)), (self.numbers.astype(np.int64) - first) // step

    def text(self) -> str:
        low, high = int(self.numbers.min()), int(self.numbers.max())
        return f"{self.name} {low}" if low == high else f"{self.name}s {low}..{high}"


@dataclass(frozen=True)
class Grid:
    """Traces on a grid: `traces` has one cell per combination of numbers and holds the trace in it, or -1."""

    axes: tuple[Axis, ...]
    traces: Integers
    indices: Integers  # (traces, axes): the cell of every trace


def lay_out(columns: Sequence[Column]) -> Grid:
    """The grid of traces whose numbers along each axis are given.

    Raises GridError when traces share a cell, when an axis has one number only or no cell has a neighbour (a
    line), or when the cells outnumber the traces more than SPARSEST times.
    """
    axes, positions = zip(*(column.axis() for column in columns), strict=True)
    indices: Integers = np.stack(positions, axis=-1)
    count, numbers = len(indices), " and ".join(column.text() for column in columns)
    shape = tuple(int(n) + 1 for n in indices.max(axis=0))
    cells = prod(shape)
    if cells > SPARSEST * max(count, 10):
        steps = " and ".join(f"{axis.step:g}" for axis in axes)
        raise GridError(f"{count} traces on {cells} places ({numbers}, steps {steps})", line=count == max(shape))
    flat = np.ravel_multi_index(tuple(indices.T), shape)
    traces = np.full(cells, -1, dtype=np.int64)
    traces[flat] = np.arange(count)
    shared = count - np.count_nonzero(traces >= 0)
    if shared:
        columns_text = " and ".join(column.name for column in columns)
        raise GridError(f"{shared} of {count} traces with the {columns_text} of another", duplicate=True)
    if min(shape) == 1 or (len(shape) > 1 and count == max(shape)):
        raise GridError(f"a 2D line of {count} traces ({numbers})", line=True)
    return Grid(axes, traces.reshape(shape), indices)


def place(grid: Grid, xy: Floats) -> Frame | None:
    """The affine grid on the map that fits trace positions (traces, 2) best; (0, 0) is no position.

    None where positions are missing, do not follow a grid (off by more than half a step) or fold it onto a line.
    """
    known = xy.any(axis=1)
    if np.count_nonzero(known) <= len(grid.axes):
        return None
    origin = xy[known].mean(axis=0)  # map coordinates are large; the fit is done about their centre
    design = np.column_stack([np.ones(np.count_nonzero(known)), grid.indices[known]])
    solution, _, rank, _ = np.linalg.lstsq(design, xy[known] - origin, rcond=None)
    if rank < design.shape[1]:
        return None
    residual = float(np.sqrt(np.mean(np.sum((design @ solution - (xy[known] - origin)) ** 2, axis=1))))
    steps = solution[1:]
    lengths = np.hypot(*steps.T)
    area = np.sqrt(np.linalg.det(steps @ steps.T).clip(0))
    if area < 0.1 * lengths.prod() or residual > 0.5 * lengths.min() or not area:
        return None
    # The last digits depend on the linear algebra library, and equal files should give equal volumes.
    decimals = 9 - int(np.floor(np.log10(lengths.max())))
    (x, y), *rounded = np.round([origin + solution[0], *steps], decimals).tolist()
    return Frame((x, y), tuple((dx, dy) for dx, dy in rounded), round(residual, decimals))
