"""Normalisation of intensities: measured once on the training samples, applied the same way everywhere."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from segwheel.axes import Region
from segwheel.domain.slabs import blocks
from segwheel.errors import FormatError
from segwheel.formats.volume import CHUNK_ELEMENTS, Volume


@dataclass(frozen=True)
class Normalization:
    """Shift and scale that give the training intensities mean 0 and standard deviation 1."""

    mean: float
    std: float

    def apply(self, image: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
        """Normalised copy, float32, same shape."""
        return (image.astype(np.float32) - np.float32(self.mean)) / np.float32(self.std)

    @classmethod
    def measure(cls, images: Iterable[npt.NDArray[np.generic]]) -> Normalization:
        """Mean and standard deviation over all elements of all images, one image in memory at a time.

        A constant input gets a standard deviation of 1, so that applying stays defined.
        """
        count, measured = _measured(images)
        assert count, "normalisation needs at least one element"
        return measured


def measure_volume(volume: Volume) -> Normalization:
    """Mean and standard deviation over the live voxels of a volume, a chunk in memory at a time.

    A constant volume gets a standard deviation of 1. Raises FormatError when nothing is live.
    """
    read = (volume.read_with_live(block) for block in blocks(Region.whole(volume.shape), CHUNK_ELEMENTS))
    count, measured = _measured(values[live] for values, live in read)
    if not count:
        raise FormatError(volume.path, expected="at least one live sample", found="none")
    return measured


def _measured(parts: Iterable[npt.NDArray[np.generic]]) -> tuple[int, Normalization]:
    """The number of elements, and their mean and standard deviation."""
    count, total, squares = 0, 0.0, 0.0
    for part in parts:
        values = part.astype(np.float64)
        count += values.size
        total += float(values.sum())
        squares += float(np.square(values).sum())
    mean = total / max(count, 1)
    variance = max(squares / max(count, 1) - mean**2, 0.0)
    return count, Normalization(mean, variance**0.5 if variance > 1e-12 * max(mean**2, 1e-12) else 1.0)
