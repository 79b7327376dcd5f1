"""Bringing images of another pixel size to the training resolution, and results back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from skimage.transform import resize


def training_shape(
    shape: Sequence[int], pixel_size: float | None, training_pixel_size: float | None
) -> tuple[int, ...]:
    """Shape at the training resolution; the same shape where either pixel size (um) is unknown."""
    if pixel_size is None or training_pixel_size is None:
        return tuple(shape)
    return tuple(max(1, round(n * pixel_size / training_pixel_size)) for n in shape)


def resampled(array: npt.NDArray[Any], shape: Sequence[int]) -> npt.NDArray[np.float32]:
    """`array` of intensities or probabilities resampled to `shape`, linear, low-passed when it shrinks."""
    if array.shape == tuple(shape):
        return array.astype(np.float32, copy=False)
    result: npt.NDArray[np.float32] = resize(
        array.astype(np.float32), shape, order=1, anti_aliasing=True, preserve_range=True
    ).astype(np.float32)
    return result


def resampled_label(label: npt.NDArray[np.uint8], shape: Sequence[int]) -> npt.NDArray[np.uint8]:
    """A label array of 0, 1 and 255 resampled to `shape`: foreground where more than half of it was."""
    if label.shape == tuple(shape):
        return label
    foreground = resampled(label == 1, shape) > 0.5
    unlabelled = resampled(label == 255, shape) > 0.5
    return np.where(unlabelled, 255, foreground).astype(np.uint8)
