from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from segwheel.domain.matching import judged, match_objects, overlaps
from segwheel.domain.overlap import Counts

small = hnp.arrays(np.int32, (6, 6), elements=st.integers(0, 4))


def dense_iou(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """IoU by its definition: rows are the predicted objects, columns the true ones."""
    return np.array(
        [
            [np.sum((predicted == p) & (true == t)) / np.sum((predicted == p) | (true == t)) for t in labels(true)]
            for p in labels(predicted)
        ]
    ).reshape(len(labels(predicted)), len(labels(true)))


def labels(array: np.ndarray) -> list[int]:
    return [int(value) for value in np.unique(array) if value]


def best_by_trying_all(iou: np.ndarray, threshold: float) -> tuple[int, float]:
    """Most pairs at or above the threshold, then the greatest sum of IoU."""
    iou = iou if iou.shape[0] <= iou.shape[1] else iou.T
    best = (0, 0.0)
    for columns in permutations(range(iou.shape[1]), iou.shape[0]):
        values = [iou[row, column] for row, column in enumerate(columns) if iou[row, column] >= threshold]
        best = max(best, (len(values), round(sum(values), 9)))
    return best


@given(small, small)
@settings(deadline=None)
def test_iou_is_its_definition(predicted: np.ndarray, true: np.ndarray) -> None:
    found = overlaps(predicted, true)
    assert found.predicted_labels.tolist() == labels(predicted)
    assert found.true_labels.tolist() == labels(true)
    dense = np.zeros((5, 5))
    dense[found.predicted, found.true] = found.iou
    expected = dense_iou(predicted, true)
    np.testing.assert_allclose(dense[np.ix_(labels(predicted), labels(true))].reshape(expected.shape), expected)


@given(small, small, st.sampled_from([0.05, 0.2, 1 / 3, 0.5, 0.75, 1.0]))
@settings(deadline=None)
def test_matching_is_optimal_and_one_to_one(predicted: np.ndarray, true: np.ndarray, threshold: float) -> None:
    found = match_objects(predicted, true, threshold)
    assert len(set(found.predicted.tolist())) == len(set(found.true.tolist())) == found.iou.size
    assert (found.iou >= threshold).all()
    assert (found.counts.tp, round(found.iou.sum(), 9)) == best_by_trying_all(dense_iou(predicted, true), threshold)


def test_the_threshold_comes_first() -> None:
    # By the sum of IoU alone 1-2 and 2-1 (.32 each) would beat 1-1 (.51), and no pair would count.
    predicted = np.array([[1] * 50 + [1] * 24 + [2] * 24])
    true = np.array([[1] * 50 + [2] * 24 + [1] * 24])
    found = match_objects(predicted, true, 0.5)
    assert found.counts == Counts(tp=1, fp=1, fn=1)
    assert found.mean_iou == pytest.approx(50 / 98)


def test_more_pairs_are_better_than_one_good_pair() -> None:
    # Object 1 overlaps both true ones, object 2 only true 1: 1-1 would be the best single pair.
    predicted = np.array([[1] * 6 + [1] * 3 + [2] * 4])
    true = np.array([[1] * 6 + [2] * 3 + [1] * 4])
    found = match_objects(predicted, true, 0.2)
    assert list(zip(found.predicted.tolist(), found.true.tolist(), strict=True)) == [(1, 2), (2, 1)]


def test_an_iou_at_the_threshold_counts_once() -> None:
    predicted = np.array([[1, 1, 2, 2]])
    found = match_objects(predicted, np.ones((1, 4), int), 0.5)
    assert found.counts == Counts(1, 1, 0)
    assert found.mean_iou == 0.5


def test_two_empty_images_agree_and_empty_against_full_does_not() -> None:
    empty, full = np.zeros((4, 4), int), np.ones((4, 4), int)
    assert match_objects(empty, empty).counts.f1 == 1
    assert np.isnan(match_objects(empty, empty).mean_iou)
    assert match_objects(empty, full).counts == Counts(0, 0, 1)
    assert match_objects(full, empty).counts == Counts(0, 1, 0)


@given(small, small)
@settings(deadline=None)
def test_swapping_the_sides_swaps_the_errors(predicted: np.ndarray, true: np.ndarray) -> None:
    one, other = match_objects(predicted, true, 0.3).counts, match_objects(true, predicted, 0.3).counts
    assert (one.tp, one.fp, one.fn) == (other.tp, other.fn, other.fp)


def test_objects_that_nobody_judged_are_left_out() -> None:
    predicted = np.array([[1, 1, 1, 0, 2, 2, 2, 0, 3, 3]])
    truth = np.array([[1, 1, 255, 0, 0, 255, 255, 255, 0, 0]], np.uint8)
    np.testing.assert_array_equal(judged(predicted, truth), [[1, 1, 0, 0, 0, 0, 0, 0, 3, 3]])


def test_many_objects_need_no_dense_table() -> None:
    squares = np.kron(np.arange(1, 40001).reshape(200, 200), np.ones((3, 3), int))
    shifted = np.roll(squares, 1, axis=1)  # two of three columns stay: 6 of 12 pixels, an IoU of one half
    assert match_objects(squares, squares).counts == Counts(40000, 0, 0)
    assert match_objects(shifted, squares, 0.5).counts == Counts(40000, 0, 0)
