"""How well faults and the denoised image are predicted. Every figure counts live, labelled voxels only.

`live` is a boolean array (True = counts) of the shape of the other arrays, or None when everything counts. Fault masks
are boolean arrays. Two empty masks agree (1); other figures without anything to count are nan.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from math import ceil, inf, log10, nan, sqrt

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from segwheel.domain.orientation import FloatArray, line_angle, normals
from segwheel.domain.overlap import pixel_overlap
from segwheel.domain.patching import UNLABELLED

Mask = npt.NDArray[np.bool_]


def fault_dice(predicted: Mask, true: Mask, live: Mask | None = None) -> float:
    """2 |P and T| / (|P| + |T|) of two fault masks."""
    labels = true.astype(np.uint8)
    return pixel_overlap(predicted, labels if live is None else np.where(live, labels, np.uint8(UNLABELLED))).f1


@dataclass(frozen=True)
class Nearby:
    """Fault voxels of a prediction and of the truth, and those of each that have one of the other nearby."""

    predicted: int
    true: int
    hits: int  # predicted voxels with a true one nearby
    reached: int  # true voxels with a predicted one nearby

    @classmethod
    def count(cls, predicted: Mask, true: Mask, radius: float, inside: tuple[slice, ...] = ()) -> Nearby:
        """Count voxels, those of the part `inside` of the arrays only; nearby is within `radius` voxels (Euclidean)."""
        hits, reached = predicted & _grown(true, radius), true & _grown(predicted, radius)
        return cls(*(int(np.count_nonzero(mask[inside])) for mask in (predicted, true, hits, reached)))

    def __add__(self, other: Nearby) -> Nearby:
        return Nearby(
            self.predicted + other.predicted,
            self.true + other.true,
            self.hits + other.hits,
            self.reached + other.reached,
        )

    @property
    def iou(self) -> float:
        """The IoU of `tolerant_iou`."""
        if not self.predicted or not self.true:
            return 0.0 if self.predicted or self.true else 1.0
        p, q = self.hits / self.predicted, self.reached / self.true
        return p * q / (p + q - p * q) if p and q else 0.0


def tolerant_iou(predicted: Mask, true: Mask, radius: float, live: Mask | None = None) -> float:
    """Intersection over union of two fault masks in which a miss by at most `radius` voxels is a hit.

    With p = the share of predicted voxels that have a true voxel within `radius` (Euclidean, in voxels), and q = the
    share of true voxels that have a predicted one within it (the relaxed precision and recall of Mnih and Hinton 2010,
    used on faults by Guillon et al. 2020, The Leading Edge 39, 734-741), it is p q / (p + q - p q): the IoU that
    belongs to this precision and recall, and at radius 0 the usual IoU. One empty mask gives 0, two give 1.
    """
    return Nearby.count(_lively(predicted, live), _lively(true, live), radius).iou


def mean_normal_error(
    predicted_dip: FloatArray,
    predicted_strike: FloatArray | None,
    true_dip: FloatArray,
    true_strike: FloatArray | None,
    faults: Mask,
    live: Mask | None = None,
) -> float:
    """Mean angle in degrees between predicted and true fault normals, as lines, over the true `faults`.

    Dips and strikes are degrees; strikes are None in 2D. Guessing at random gives 57.3 degrees in 3D and 45 in 2D.
    """
    at = _lively(faults, live)
    if not at.any():
        return nan
    first = normals(predicted_dip[at], None if predicted_strike is None else predicted_strike[at])
    second = normals(true_dip[at], None if true_strike is None else true_strike[at])
    return float(line_angle(first, second).mean(dtype=np.float64))


@dataclass(frozen=True)
class Moments:
    """Sums over pairs of predicted and true values; those of parts add up."""

    count: int = 0
    predicted: float = 0.0
    true: float = 0.0
    predicted_squared: float = 0.0
    true_squared: float = 0.0
    product: float = 0.0
    difference_squared: float = 0.0

    @classmethod
    def of(cls, predicted: npt.NDArray[np.floating], true: npt.NDArray[np.floating]) -> Moments:
        """The sums over two arrays of one shape."""
        p, t = predicted.ravel().astype(np.float64), true.ravel().astype(np.float64)
        d = p - t
        return cls(p.size, *(float(total) for total in (p.sum(), t.sum(), p @ p, t @ t, p @ t, d @ d)))

    def __add__(self, other: Moments) -> Moments:
        return Moments(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @property
    def signal_to_noise(self) -> float:
        """In dB; infinite for a perfect prediction, nan without a signal."""
        if not self.true_squared:
            return nan
        ratio = self.true_squared / self.difference_squared if self.difference_squared else inf
        return 10 * log10(ratio)

    @property
    def correlation(self) -> float:
        """Pearson correlation; nan when either is constant."""
        spreads = [
            squared - total**2 / max(self.count, 1)
            for squared, total in ((self.predicted_squared, self.predicted), (self.true_squared, self.true))
        ]
        rounding = 1e-12 * min(self.predicted_squared, self.true_squared)
        if min(spreads) <= rounding:
            return nan
        return (self.product - self.predicted * self.true / self.count) / sqrt(spreads[0] * spreads[1])


def signal_to_noise(predicted: FloatArray, true: FloatArray, live: Mask | None = None) -> float:
    """10 log10(sum of t^2 / sum of (p - t)^2) in dB; infinite for a perfect prediction."""
    return Moments.of(_counted(predicted, live), _counted(true, live)).signal_to_noise


def correlation(predicted: FloatArray, true: FloatArray, live: Mask | None = None) -> float:
    """Pearson correlation; nan when either is constant."""
    return Moments.of(_counted(predicted, live), _counted(true, live)).correlation


def _lively(mask: Mask, live: Mask | None) -> Mask:
    return mask if live is None else mask & live


def _counted(values: FloatArray, live: Mask | None) -> FloatArray:
    return values if live is None else values[live]


def _grown(mask: Mask, radius: float) -> Mask:
    """`mask` and every voxel within `radius` of it."""
    reach = np.arange(-ceil(radius), ceil(radius) + 1)
    distances = np.sqrt(sum(axis**2 for axis in np.meshgrid(*[reach] * mask.ndim, indexing="ij")))
    return ndimage.binary_dilation(mask, distances <= radius)
