"""Regions of N-dimensional arrays. Nothing here knows how many dimensions there are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod


@dataclass(frozen=True)
class Region:
    """A half-open box in array order: `start` is inclusive, `stop` is exclusive.

    A region may be empty along an axis (stop == start), never inverted.
    """

    start: tuple[int, ...]
    stop: tuple[int, ...]

    def __post_init__(self) -> None:
        assert len(self.start) == len(self.stop), f"start {self.start} and stop {self.stop} differ in length"
        assert all(a <= b for a, b in zip(self.start, self.stop, strict=True)), f"inverted region {self}"

    @classmethod
    def whole(cls, shape: Iterable[int]) -> Region:
        """The region that covers an array of `shape`."""
        shape = tuple(shape)
        return cls((0,) * len(shape), shape)

    @classmethod
    def at(cls, start: Sequence[int], shape: Sequence[int]) -> Region:
        """The region of `shape` that begins at `start`."""
        return cls(tuple(start), tuple(a + n for a, n in zip(start, shape, strict=True)))

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(b - a for a, b in zip(self.start, self.stop, strict=True))

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def slices(self) -> tuple[slice, ...]:
        return tuple(slice(a, b) for a, b in zip(self.start, self.stop, strict=True))

    def shifted(self, offset: Sequence[int]) -> Region:
        """The same box moved by `offset`."""
        return Region(
            tuple(a + o for a, o in zip(self.start, offset, strict=True)),
            tuple(b + o for b, o in zip(self.stop, offset, strict=True)),
        )

    def relative_to(self, other: Region) -> Region:
        """This box in the coordinates of an array that holds `other`."""
        return self.shifted(tuple(-a for a in other.start))

    def intersection(self, other: Region) -> Region:
        """The common box; empty (size 0) where the two do not meet."""
        start = tuple(max(a, b) for a, b in zip(self.start, other.start, strict=True))
        stop = tuple(min(a, b) for a, b in zip(self.stop, other.stop, strict=True))
        return Region(start, tuple(max(a, b) for a, b in zip(start, stop, strict=True)))
