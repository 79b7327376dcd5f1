"""Figures for faults and the denoised image, under a mask of what counts."""

from __future__ import annotations

from math import inf, isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp

from segwheel.domain.faults import correlation, fault_dice, mean_normal_error, signal_to_noise, tolerant_iou

MASKS = hnp.arrays(np.bool_, (4, 5, 3))


def plane(at: int, n: int = 24) -> np.ndarray:
    mask = np.zeros((n, n, n), np.bool_)
    mask[:, at : at + 3] = True
    return mask


def test_dice_of_a_known_overlap() -> None:
    assert fault_dice(plane(4), plane(5)) == pytest.approx(2 / 3)
    assert fault_dice(plane(4), plane(4)) == 1
    assert fault_dice(plane(4), plane(12)) == 0


@settings(max_examples=50)
@given(MASKS, MASKS)
def test_tolerance_zero_is_the_usual_iou(p: np.ndarray, t: np.ndarray) -> None:
    union = np.count_nonzero(p | t)
    usual = np.count_nonzero(p & t) / union if union else 1.0
    assert tolerant_iou(p, t, 0) == pytest.approx(usual)


@settings(max_examples=50)
@given(MASKS, MASKS)
def test_tolerance_only_helps_and_is_symmetric(p: np.ndarray, t: np.ndarray) -> None:
    scores = [tolerant_iou(p, t, radius) for radius in (0, 1, 1.5, 2)]
    assert scores == sorted(scores)
    assert scores[2] == pytest.approx(tolerant_iou(t, p, 1.5))


def test_a_shift_within_the_tolerance_is_a_hit_and_beyond_it_a_miss() -> None:
    assert tolerant_iou(plane(4), plane(6), 2) == 1
    assert tolerant_iou(plane(4), plane(7), 2) == pytest.approx((2 / 3) ** 2 / (4 / 3 - 4 / 9))
    assert tolerant_iou(plane(4), plane(12), 2) == 0


def test_the_tolerance_is_euclidean() -> None:
    first, second = np.zeros((2, 9, 9), np.bool_)
    first[4, 4], second[6, 6] = True, True
    assert tolerant_iou(first, second, 2) == 0
    assert tolerant_iou(first, second, 2.9) == 1


def test_empty_masks() -> None:
    empty = np.zeros_like(plane(4))
    assert fault_dice(empty, plane(4)) == tolerant_iou(empty, plane(4), 2) == 0
    assert fault_dice(empty, empty) == tolerant_iou(empty, empty, 2) == 1


def test_only_live_voxels_count() -> None:
    """Whatever the dead half holds, the figures are those of the live half."""
    rng = np.random.default_rng(0)
    true, live = plane(9), np.zeros((24, 24, 24), np.bool_)
    live[:12] = True
    junk = np.where(live, plane(10), rng.random(live.shape) < 0.5)
    assert fault_dice(junk, true, live) == fault_dice(plane(10)[:12], true[:12])
    assert tolerant_iou(junk, true, 1, live) == tolerant_iou(plane(10)[:12], true[:12], 1)
    dip, strike = np.full(true.shape, 60, np.float32), np.full(true.shape, 30, np.float32)
    wrong = np.where(live, dip, np.float32(170))
    assert mean_normal_error(wrong, strike, dip, strike, true, live) == pytest.approx(0, abs=1e-3)
    field = rng.standard_normal(true.shape).astype(np.float32)
    damaged = np.where(live, field, np.float32(1e6))
    assert correlation(damaged, field, live) == pytest.approx(1)
    assert signal_to_noise(damaged, field, live) == inf


def test_normal_error_is_that_of_lines() -> None:
    true = plane(3, 8)
    full = np.ones(true.shape, np.float32)
    assert mean_normal_error(120 * full, 180 * full, 60 * full, 0 * full, true) == pytest.approx(0, abs=1e-3)
    assert mean_normal_error(70 * full, 45 * full, 60 * full, 45 * full, true) == pytest.approx(10, abs=1e-3)
    assert mean_normal_error(120 * full, None, 60 * full, None, true) == pytest.approx(60, abs=1e-3)


def test_guessing_normals_gives_the_documented_error() -> None:
    rng = np.random.default_rng(1)
    lines = rng.standard_normal((2, 3, 20000))
    n = lines / np.linalg.norm(lines, axis=1, keepdims=True)
    n *= np.where(n[:, 2:3] > 0, -1, 1)
    dip, strike = np.rad2deg(np.arccos(-n[:, 0])), np.rad2deg(np.arctan2(-n[:, 2], n[:, 1]))
    everywhere = np.ones(20000, np.bool_)
    assert mean_normal_error(dip[0], strike[0], dip[1], strike[1], everywhere) == pytest.approx(57.3, abs=0.5)


def test_signal_to_noise_and_correlation_of_known_noise() -> None:
    rng = np.random.default_rng(2)
    signal = rng.standard_normal((32, 32, 32)).astype(np.float32)
    noise = rng.standard_normal(signal.shape).astype(np.float32)
    assert signal_to_noise(signal + 0.1 * noise, signal) == pytest.approx(20, abs=0.1)
    assert correlation(signal + noise, signal) == pytest.approx(2**-0.5, abs=0.01)
    assert correlation(-3 * signal + 7, signal) == pytest.approx(-1)


def test_figures_of_nothing_are_nan() -> None:
    zero, dead = np.zeros((4, 4), np.float32), np.zeros((4, 4), np.bool_)
    assert isnan(signal_to_noise(zero, zero))
    assert isnan(correlation(zero, zero))
    assert isnan(correlation(zero + 1, zero, dead))
    assert isnan(mean_normal_error(zero, None, zero, None, dead))
