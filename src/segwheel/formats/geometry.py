"""Where the elements of a volume lie: numbers along each axis, and the place of the lateral axes on the map.

Axis order of every volume and image cut from one is depth first: [depth, inline, crossline] for a survey,
[depth, trace] for a single line. Depth is the axis along a trace, in time or in depth. Numbers grow with the
index along every axis, whatever the order of the traces in the file that the volume came from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

DEPTH = "depth"
AXIS_NAMES = {2: (DEPTH, "trace"), 3: (DEPTH, "inline", "crossline")}

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Axis:
    """Numbers along one axis: element i has the number `first + i * step`.

    `unit` is ms, m or ft along depth ("sample" where the file doesn't say), and "" for line and trace numbers.
    """

    name: str
    first: float = 0.0
    step: float = 1.0
    unit: str = ""

    def number(self, index: float) -> float:
        """The number of an element; between two elements for a fractional index."""
        return self.first + index * self.step

    def text(self, count: int) -> str:
        """The axis in words, as `inline 111..133 step 1`."""
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.name} {self.first:g}..{self.number(count - 1):g} step {self.step:g}{unit}"


@dataclass(frozen=True)
class Frame:
    """Place of the lateral axes on the map, an affine grid in the coordinates of the source (scalar applied).

    The element with lateral indices (i, j, ...) lies at `origin + i * steps[0] + j * steps[1] + ...`, all (x, y).
    `residual` is the root mean square distance of the traces from that grid.
    """

    origin: tuple[float, float]
    steps: tuple[tuple[float, float], ...]
    residual: float = 0.0

    def position(self, indices: npt.ArrayLike) -> Floats:
        """Map positions (..., 2) of lateral indices (..., number of lateral axes)."""
        moved: Floats = np.asarray(indices, dtype=np.float64) @ np.asarray(self.steps) + np.asarray(self.origin)
        return moved


@dataclass(frozen=True)
class Source:
    """The file that a volume came from: as it was named, the MD5 of its bytes, and how it was read.

    `header_bytes` are the 1-based positions in the trace header of the numbers along each lateral axis;
    `sample_format` is the code that the samples were read with where it isn't the one in the file.
    """

    path: str
    md5: str
    header_bytes: tuple[int, ...] = ()
    sample_format: int | None = None


@dataclass(frozen=True)
class Geometry:
    """Axes of a volume in array order, its place on the map where that is known, and its source."""

    axes: tuple[Axis, ...]
    frame: Frame | None = None
    source: Source | None = None

    @classmethod
    def plain(cls, ndim: int) -> Geometry:
        """Axes counted from zero, for an array that says nothing about where it lies."""
        depth, *lateral = AXIS_NAMES[ndim]
        return cls((Axis(depth, unit="sample"), *(Axis(name) for name in lateral)))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(axis.name for axis in self.axes)

    def spacing(self) -> tuple[float, ...]:
        """Distance between neighbours along every axis: depth in its unit, lateral ones in those of the map (or 1)."""
        lateral = [float(np.hypot(*step)) for step in self.frame.steps] if self.frame else [1.0] * (len(self.axes) - 1)
        return (self.axes[0].step, *lateral)

    def corners(self, shape: Sequence[int]) -> list[dict[str, float]]:
        """Line numbers and map position of the lateral corners of an array of `shape`; [] without a frame."""
        if self.frame is None:
            return []
        ends = np.array(np.meshgrid(*((0, n - 1) for n in shape[1:]), indexing="ij")).reshape(len(shape) - 1, -1).T
        return [
            {axis.name: axis.number(i) for axis, i in zip(self.axes[1:], end, strict=True)} | {"x": x, "y": y}
            for end, (x, y) in zip(ends.tolist(), self.frame.position(ends).tolist(), strict=True)
        ]

    def without_source(self) -> Geometry:
        """The same place for something derived from the source."""
        return replace(self, source=None)

    def text(self, shape: Sequence[int]) -> str:
        """The axes in words."""
        return ", ".join(axis.text(n) for axis, n in zip(self.axes, shape, strict=True))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Geometry:
        """The inverse of `to_json`, after a round trip through JSON. Raises KeyError and TypeError."""
        frame, source = value["frame"], value["source"]
        return cls(
            axes=tuple(Axis(**axis) for axis in value["axes"]),
            frame=frame and Frame(_pair(frame["origin"]), tuple(map(_pair, frame["steps"])), frame["residual"]),
            source=source and Source(**{**source, "header_bytes": tuple(source["header_bytes"])}),
        )


def _pair(values: Sequence[float]) -> tuple[float, float]:
    x, y = values
    return x, y
