"""How well two masks agree, and how sure a mean over a few images is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student_t


@dataclass(frozen=True)
class Counts:
    """True positives, false positives and false negatives, of pixels or of objects.

    Where nothing is predicted and nothing is true, the two agree and every ratio is 1. Any other ratio of
    nothing is 0: predicting nothing where there is something has precision 0.
    """

    tp: int
    fp: int
    fn: int

    @property
    def precision(self) -> float:
        return self._ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        return self._ratio(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; of pixels it is the Dice coefficient."""
        return self._ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def iou(self) -> float:
        """Intersection over union, the Jaccard index."""
        return self._ratio(self.tp, self.tp + self.fp + self.fn)

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    def _ratio(self, part: int, whole: int) -> float:
        if self.tp + self.fp + self.fn == 0:
            return 1.0
        return part / whole if whole else 0.0


def pixel_overlap(predicted: npt.NDArray[Any], truth: npt.NDArray[np.uint8]) -> Counts:
    """Compare a predicted mask (boolean or 0/1) with a label array of 0, 1 and 255, both of one shape.

    Pixels that are unlabelled (255) in the truth are not counted.
    """
    assert predicted.shape == truth.shape, f"prediction of shape {predicted.shape}, truth of shape {truth.shape}"
    predicted = predicted.astype(bool, copy=False)
    true, false = truth == 1, truth == 0
    return Counts(
        tp=int(np.count_nonzero(predicted & true)),
        fp=int(np.count_nonzero(predicted & false)),
        fn=int(np.count_nonzero(~predicted & true)),
    )


@dataclass(frozen=True)
class Interval:
    """A mean of `n` values and the bounds of its confidence interval."""

    mean: float
    low: float
    high: float
    n: int


def mean_interval(values: Sequence[float] | npt.NDArray[Any], confidence: float = 0.95) -> Interval:
    """The mean and its interval by Student's t distribution, which holds its coverage with few values.

    NaN values are left out. The bounds of fewer than two values, and the mean of none, are NaN.
    """
    array = np.asarray(values, dtype=np.float64)
    array = array[~np.isnan(array)]
    n = array.size
    mean = float(array.mean()) if n else nan
    if n < 2:
        return Interval(mean, nan, nan, n)
    half = float(student_t.ppf(0.5 + confidence / 2, n - 1)) * float(array.std(ddof=1)) / sqrt(n)
    return Interval(mean, mean - half, mean + half, n)


def paired_interval(
    before: Sequence[float] | npt.NDArray[Any], after: Sequence[float] | npt.NDArray[Any], confidence: float = 0.95
) -> Interval:
    """The mean of `after - before` and its interval; both hold the same images in the same order.

    Pairs with a NaN are left out.
    """
    first, second = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    assert first.shape == second.shape, f"{first.size} values before, {second.size} after"
    return mean_interval(second - first, confidence)
