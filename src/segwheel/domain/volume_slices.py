"""Slices of a volume: where they lie, and labels that are given slice by slice.

A slice is named by the axis that it cuts and its array index along it; its own axes are the remaining ones in array
order, depth first. A section, a volume of two axes, is one slice without an axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from segwheel.axes import Region
from segwheel.errors import FormatError
from segwheel.formats.tiff import UNLABELLED
from segwheel.formats.volume import Placed, Volume, create

Label = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Slice:
    """A region one element thick along axis number `across`; None for a whole section."""

    region: Region
    across: int | None

    @property
    def shape(self) -> tuple[int, ...]:
        """(y, x)"""
        return tuple(n for axis, n in enumerate(self.region.shape) if axis != self.across)


def find_slice(volume: Placed, axis: str, index: int | None) -> Slice:
    """The slice at `index` of `axis`. Raises FormatError for one that isn't there."""
    names, whole = volume.geometry.names, Region.whole(volume.shape)
    cuts = names if len(names) > 2 else ()
    if not axis and not cuts:
        return Slice(whole, None)
    if axis not in cuts:
        wanted = f"a slice across {' or '.join(cuts)}" if cuts else "the whole section, without an axis"
        raise FormatError(volume.path, expected=wanted, found=axis or "no axis")
    across = names.index(axis)
    if index is None or not 0 <= index < volume.shape[across]:
        raise FormatError(volume.path, expected=f"{axis} 0 to {volume.shape[across] - 1}", found=f"index {index}")
    start, stop = list(whole.start), list(whole.stop)
    start[across], stop[across] = index, index + 1
    return Slice(Region(tuple(start), tuple(stop)), across)


def read_slice(volume: Volume, axis: str, index: int | None) -> npt.NDArray[Any]:
    """Samples (zeros where dead) or labels of a slice, (y, x). Raises as `find_slice` does."""
    found = find_slice(volume, axis, index)
    return volume.read(found.region).reshape(found.shape)


@dataclass(frozen=True)
class LabelledSlice:
    """A slice that somebody labelled: 0, 1 and 255 (not judged), (y, x)."""

    name: str  # for messages
    place: Slice
    label: Label

    def part(self, region: Region) -> Label:
        """The labels of the elements of `region`, which lies inside the slice, in the shape of `region`."""
        whole = self.label.reshape(self.place.region.shape)
        return whole[region.relative_to(self.place.region).slices]


def write_labels(path: Path, image: Volume, base: Volume | None, slices: Sequence[LabelledSlice]) -> None:
    """Write a label volume on the grid of `image`: `base` (unlabelled where None) with `slices` laid over it.

    Slices come oldest first, and a later one has its say where they cross; what a slice doesn't judge stays. The
    slices, not the volume, are in memory.
    """
    with create(path, image.shape, np.uint8, geometry=image.geometry.without_source(), slab_axis=1) as writer:
        for region in writer.shards():
            values = base.read(region) if base else np.full(region.shape, UNLABELLED, np.uint8)
            for one in slices:
                common = one.place.region.intersection(region)
                if common.size:
                    label = one.part(common)
                    np.copyto(values[common.relative_to(region).slices], label, where=label != UNLABELLED)
            if (values != UNLABELLED).any():
                writer.write(region, values)


def disagreements(slices: Sequence[LabelledSlice]) -> list[tuple[LabelledSlice, LabelledSlice, int]]:
    """Pairs of slices (oldest first) that cross and judge some voxels differently, and how many."""
    found = []
    for older, newer in combinations(slices, 2):
        line = older.place.region.intersection(newer.place.region)
        if line.size:
            said, says = older.part(line), newer.part(line)
            count = int(np.count_nonzero((said != says) & (said != UNLABELLED) & (says != UNLABELLED)))
            if count:
                found.append((older, newer, count))
    return found
