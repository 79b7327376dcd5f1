"""Slices of volumes that a person should look at: the one that shows most, and those to correct first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from segwheel.axes import Region
from segwheel.domain.acquisition import Probability, Ranked, rank
from segwheel.domain.slabs import blocks
from segwheel.formats.volume import CHUNK_ELEMENTS, Volume, sections
from segwheel.params.volumes import VolumeSelectParams

KNOWN = 0.5  # a slice is labelled where more than this part of its live voxels is

Counts = list[npt.NDArray[np.int64]]  # for every axis, of each slice across it


@dataclass(frozen=True)
class SlicePlace:
    """A slice of a sample's volume, named as in `domain.volume_slices`; a section has no axis and no index."""

    basename: str
    axis: str
    index: int | None

    @property
    def name(self) -> str:
        return f"{self.basename}_{self.axis}_{self.index}" if self.axis else self.basename


def clearest_slice(label: Volume) -> SlicePlace:
    """The vertical slice with the most labelled faults, or without any the one with the most labels."""
    if len(label.shape) == 2:
        return SlicePlace("", "", None)
    faults, labelled = _counts(label, 1), _counts(label, 0)
    chosen = faults if any(count.any() for count in faults) else labelled
    axis = max(range(1, len(label.shape)), key=lambda i: int(chosen[i].max()))
    return SlicePlace("", label.axes[axis], int(chosen[axis].argmax()))


def rank_slices(
    basename: str, fsem: Volume, label: Volume | None, threshold: float, params: VolumeSelectParams
) -> list[tuple[SlicePlace, Ranked]]:
    """The slices of a volume of fault probabilities that nobody has labelled, most worth correcting first.

    Slices are taken every `spacing` across `axes`. Those nearer than that to a parallel one that is labelled in
    `label` are left out, and so are dead ones. A section is one slice.
    """
    places = {place.name: place for place in _candidates(basename, fsem, label, params)}
    ranked = rank(params.method, _planes(fsem, list(places.values())), threshold, params.seed)
    return [(places[one.basename], one) for one in ranked]


def _candidates(basename: str, fsem: Volume, label: Volume | None, params: VolumeSelectParams) -> Iterator[SlicePlace]:
    live = _live(fsem)
    known = [np.flatnonzero(share > KNOWN) for share in _labelled_shares(live, label)]
    if len(fsem.shape) == 2:
        if not any(len(labelled) for labelled in known):
            yield SlicePlace(basename, "", None)
        return
    for name in params.axes:
        axis = fsem.axes.index(name)
        count, spacing = fsem.shape[axis], params.spacing
        for index in range(min(spacing, count) // 2, count, spacing):
            if live[axis][index] and not (np.abs(known[axis] - index) < spacing).any():
                yield SlicePlace(basename, name, index)


def _labelled_shares(live: Counts, label: Volume | None) -> list[npt.NDArray[np.float64]]:
    """The labelled part of the live voxels of every slice across every axis."""
    if label is None:
        return [np.zeros(len(count)) for count in live]
    labelled = [a + b for a, b in zip(_counts(label, 0), _counts(label, 1), strict=True)]
    return [some / np.maximum(count, 1) for some, count in zip(labelled, live, strict=True)]


def _live(volume: Volume) -> Counts:
    """How many live voxels the slices across every axis have."""
    counts = [np.zeros(n, np.int64) for n in volume.shape]
    for block in blocks(Region.whole(volume.shape), CHUNK_ELEMENTS):
        _add(counts, block, volume.live(block))
    return counts


def _counts(label: Volume, value: int) -> Counts:
    """How many voxels of a label the slices across every axis have."""
    counts = [np.zeros(n, np.int64) for n in label.shape]
    for block in blocks(Region.whole(label.shape), CHUNK_ELEMENTS):
        _add(counts, block, label.read(block) == value)
    return counts


def _add(counts: Counts, block: Region, mask: npt.NDArray[np.bool_]) -> None:
    for axis, count in enumerate(counts):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        count[block.slices[axis]] += np.count_nonzero(mask, axis=others)


def _planes(fsem: Volume, places: list[SlicePlace]) -> Iterator[tuple[str, Probability]]:
    """The probabilities of every slice by its name, those across one axis in one pass."""
    if len(fsem.shape) == 2:
        yield from ((place.name, fsem.read(Region.whole(fsem.shape))) for place in places)
        return
    for axis, name in enumerate(fsem.axes):
        across = {place.index: place.name for place in places if place.axis == name}
        for index, plane in sections(fsem, axis, [index for index in across if index is not None]):
            yield across[index], plane
