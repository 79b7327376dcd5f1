"""Which predicted object is which true object: intersection over union and optimal one-to-one matching."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from segwheel.domain.overlap import Counts
from segwheel.domain.patching import UNLABELLED

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Matching:
    """Matched pairs of objects and how many there were on either side."""

    predicted: Ints  # label of the predicted object of each pair, ascending
    true: Ints  # label of its true object
    iou: Floats  # of each pair
    predicted_count: int
    true_count: int

    @property
    def counts(self) -> Counts:
        """Matched objects, predicted objects without a true one, true objects without a predicted one."""
        matched = self.iou.size
        return Counts(matched, self.predicted_count - matched, self.true_count - matched)

    @property
    def mean_iou(self) -> float:
        """Mean IoU of the matched pairs, NaN without any."""
        return float(self.iou.mean()) if self.iou.size else nan


@dataclass(frozen=True)
class Overlaps:
    """Every pair of objects that share pixels, with its IoU; and the labels of all objects, ascending."""

    predicted: Ints
    true: Ints
    iou: Floats
    predicted_labels: Ints
    true_labels: Ints

    def match(self, threshold: float) -> Matching:
        """Match one to one: first only pairs with an IoU of at least `threshold` (above 0, at most 1) count.

        Among these as many as possible are matched and, of the ways to do so, one with the greatest sum of IoU.
        """
        assert 0 < threshold <= 1, f"IoU threshold {threshold}"
        near = self.iou >= threshold
        predicted, true, iou = self.predicted[near], self.true[near], self.iou[near]
        chosen = _assign(predicted, true, iou)
        return Matching(predicted[chosen], true[chosen], iou[chosen], self.predicted_labels.size, self.true_labels.size)


def match_objects(predicted: npt.NDArray[Any], true: npt.NDArray[Any], threshold: float = 0.5) -> Matching:
    """Match the objects of two instance label arrays of one shape (0 is background); see `Overlaps.match`."""
    return overlaps(predicted, true).match(threshold)


def overlaps(predicted: npt.NDArray[Any], true: npt.NDArray[Any]) -> Overlaps:
    """Count the pixels that each pair of objects shares, for the pairs that share any.

    Memory and time grow with the pixels and the touching pairs, not with the product of the object counts.
    """
    assert predicted.shape == true.shape, f"prediction of shape {predicted.shape}, truth of shape {true.shape}"
    columns = int(true.max(initial=0)) + 1
    pairs = predicted.astype(np.int64) * columns + true
    found, pixels = np.unique(pairs[pairs > 0], return_counts=True)  # 0 is background in both
    row, column = np.divmod(found, columns)
    predicted_area, true_area = np.bincount(row, pixels), np.bincount(column, pixels)
    both = (row > 0) & (column > 0)
    row, column, shared = row[both], column[both], pixels[both]
    iou = shared / (predicted_area[row] + true_area[column] - shared)
    return Overlaps(row, column, iou, _labels(predicted_area), _labels(true_area))


def judged(predicted: npt.NDArray[Any], truth: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    """The predicted objects that a label array of 0, 1 and 255 can judge, cut to its labelled pixels.

    An object of which more than half is unlabelled (255) is left out: it is neither right nor wrong.
    """
    hidden = truth == UNLABELLED
    if not hidden.any():
        return predicted
    area = np.bincount(predicted.ravel())
    outside = np.bincount(predicted[hidden], minlength=area.size)
    return np.where(hidden | (2 * outside > area)[predicted], 0, predicted)


def _labels(area: npt.NDArray[Any]) -> Ints:
    """Labels that occur, without the background."""
    present = np.flatnonzero(area)
    return present[present > 0]


def _assign(predicted: Ints, true: Ints, iou: Floats) -> Ints:
    """Indices of the pairs of an optimal matching.

    Most objects have one candidate, which has no other: nothing to choose. The rest falls into small groups of
    objects that compete, each solved for itself.
    """
    if not iou.size:
        return np.zeros(0, dtype=np.int64)
    rows, columns = predicted.max() + 1, true.max() + 1
    graph = coo_array((np.ones(iou.size), (predicted, true + rows)), shape=(rows + columns,) * 2)
    group = connected_components(graph, directed=False)[1][predicted]
    members = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[members], prepend=-1))
    chosen = [part if part.size == 1 else _solve(part, predicted, true, iou) for part in np.split(members, starts[1:])]
    return np.sort(np.concatenate(chosen))


def _solve(part: Ints, predicted: Ints, true: Ints, iou: Floats) -> Ints:
    """Indices, out of `part`, of the matching with the most pairs and then the greatest sum of IoU."""
    rows, row = np.unique(predicted[part], return_inverse=True)
    columns, column = np.unique(true[part], return_inverse=True)
    index = np.full((rows.size, columns.size), -1)
    index[row, column] = part
    gain = np.zeros(index.shape)
    gain[row, column] = iou[part] + min(index.shape)  # one more pair outweighs every difference of IoU
    picked = index[linear_sum_assignment(gain, maximize=True)]
    return picked[picked >= 0]
