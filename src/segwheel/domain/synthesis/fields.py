"""Gaussian smoothing and smooth random fields of any number of axes.

Smoothing multiplies each axis by a matrix: for cubes of a hundred or so voxels a matrix product is several times faster
than a convolution, and the boundary is a matter of where an entry goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

REACH = 4.0  # standard deviations at which a Gaussian is cut


def along(matrix: FloatArray, field: FloatArray, axis: int) -> FloatArray:
    """`field` with `matrix` (rows out, columns in) applied along `axis`."""
    before, length = int(np.prod(field.shape[:axis])), field.shape[axis]
    columns = field.reshape(before, length, -1)
    # One product when the axis is first or last, one per leading index when it lies between.
    result = (columns[..., 0] @ matrix.T) if columns.shape[2] == 1 else matrix @ columns
    return result.reshape(*field.shape[:axis], len(matrix), *field.shape[axis + 1 :])


def gaussian_matrix(length: int, sigma: float, border: Literal["wrap", "extend"]) -> FloatArray:
    """Matrix (length, length) that smooths one axis with a Gaussian of standard deviation `sigma` > 0.

    Beyond the border the field is itself again ("wrap") or its last value ("extend").
    """
    reach = np.arange(-int(REACH * sigma + 0.5), int(REACH * sigma + 0.5) + 1)
    kernel = np.exp(-0.5 * (reach / sigma) ** 2)
    rows, offsets = np.meshgrid(np.arange(length), reach, indexing="ij")
    columns = (rows + offsets) % length if border == "wrap" else np.clip(rows + offsets, 0, length - 1)
    matrix = np.zeros((length, length))
    np.add.at(matrix, (rows, columns), np.broadcast_to(kernel / kernel.sum(), rows.shape))
    return matrix.astype(np.float32)


def smoothed(field: FloatArray, sigmas: Sequence[float], border: Literal["wrap", "extend"] = "extend") -> FloatArray:
    """`field` smoothed with one standard deviation per axis; 0 leaves an axis alone."""
    for axis, (length, sigma) in enumerate(zip(field.shape, sigmas, strict=True)):
        if sigma > 0 and length > 1:
            field = along(gaussian_matrix(length, sigma, border), field, axis)
    return field


def smooth_noise(rng: np.random.Generator, shape: Sequence[int], sigmas: Sequence[float]) -> FloatArray:
    """Normally distributed noise, smoothed; as variable at the border as inside. Its scale is left as it comes out."""
    return smoothed(rng.standard_normal(tuple(shape), np.float32), sigmas, "wrap")


def stretched(field: FloatArray, low: float, high: float) -> FloatArray:
    """`field` with its least value at `low` and its greatest at `high`; a constant one becomes `low`."""
    least, greatest = float(field.min()), float(field.max())
    scale = (high - low) / (greatest - least) if greatest > least else 0.0
    return ((field - np.float32(least)) * np.float32(scale) + np.float32(low)).astype(np.float32, copy=False)
