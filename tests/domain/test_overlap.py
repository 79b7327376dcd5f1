from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from segwheel.domain.overlap import Counts, mean_interval, paired_interval, pixel_overlap

counts = st.builds(Counts, *(st.integers(0, 50) for _ in range(3)))


def test_a_known_overlap() -> None:
    found = pixel_overlap(np.array([[1, 1, 1, 0, 0]]), np.array([[1, 1, 0, 1, 0]], np.uint8))
    assert found == Counts(tp=2, fp=1, fn=1)
    assert found.f1 == pytest.approx(4 / 6)
    assert found.iou == pytest.approx(2 / 4)
    assert found.precision == found.recall == pytest.approx(2 / 3)


def test_unlabelled_pixels_do_not_count() -> None:
    truth = np.array([[255, 255, 1, 0]], np.uint8)
    assert pixel_overlap(np.array([[True, False, True, True]]), truth) == Counts(1, 1, 0)


def test_two_empty_masks_agree() -> None:
    empty = np.zeros((3, 3), np.uint8)
    found = pixel_overlap(empty, empty)
    assert (found.f1, found.iou, found.precision, found.recall) == (1, 1, 1, 1)


@pytest.mark.parametrize("found", [Counts(0, 4, 0), Counts(0, 0, 4)])
def test_something_against_nothing_is_worth_nothing(found: Counts) -> None:
    assert (found.f1, found.iou, found.precision, found.recall) == (0, 0, 0, 0)


@given(counts)
def test_scores_are_fractions_and_dice_follows_from_iou(found: Counts) -> None:
    assert 0 <= found.iou <= found.f1 <= 1
    assert found.f1 == pytest.approx(2 * found.iou / (1 + found.iou))


@given(hnp.arrays(bool, (6, 6)), hnp.arrays(np.uint8, (6, 6), elements=st.sampled_from([0, 1, 255])))
def test_parts_add_up(predicted: np.ndarray, truth: np.ndarray) -> None:
    whole = pixel_overlap(predicted, truth)
    assert whole == pixel_overlap(predicted[:2], truth[:2]) + pixel_overlap(predicted[2:], truth[2:])


def test_an_interval_from_a_table_of_students_t() -> None:
    found = mean_interval([1, 2, 3, 4, 5])  # t(0.975, 4) = 2.776, standard error 0.7071
    assert (found.mean, found.n) == (3, 5)
    assert found.low == pytest.approx(3 - 2.7764 * 0.70711, abs=1e-3)
    assert found.high == pytest.approx(3 + 2.7764 * 0.70711, abs=1e-3)


def test_intervals_cover_what_they_promise() -> None:
    samples = np.random.default_rng(0).normal(0.8, 0.1, (2000, 6))
    covered = [found.low <= 0.8 <= found.high for found in map(mean_interval, samples)]
    assert 0.935 < np.mean(covered) < 0.965


def test_few_values_have_no_bounds() -> None:
    one = mean_interval([0.7, float("nan")])
    assert (one.mean, one.n) == (0.7, 1)
    assert np.isnan([one.low, one.high]).all()
    assert np.isnan(mean_interval([]).mean)


def test_pairs_are_compared_one_by_one() -> None:
    before = np.array([0.2, 0.5, 0.9, 0.4])
    gain = np.array([0.02, 0.03, 0.02, 0.03])
    found = paired_interval(before, before + gain)
    assert found.mean == pytest.approx(0.025)
    assert found.low > 0  # though the images themselves differ by far more
    assert found.n == 4
