"""Aligning tiles of relative geologic time, rescaling, and its errors."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segwheel.domain.rgt import Overlap, align_tiles, decreasing_share, fit_affine, rescale, rgt_scores


def ramp(shape: tuple[int, ...]) -> np.ndarray:
    depth = np.linspace(0, 1, shape[0], dtype=np.float32)
    return np.broadcast_to(depth.reshape(-1, *[1] * (len(shape) - 1)), shape).copy()


def grid_overlaps(
    rng: np.random.Generator, scales: np.ndarray, offsets: np.ndarray, noise: float = 0.0, wrong: float = 0.0
) -> list[Overlap]:
    """Tiles on a 3 x 4 grid, the values of each = (true - offset) / scale; a share of voxels is `wrong` by a lot."""
    tiles = np.arange(12).reshape(3, 4)
    pairs = [*zip(tiles[:-1].ravel(), tiles[1:].ravel(), strict=True)]
    pairs += [*zip(tiles[:, :-1].ravel(), tiles[:, 1:].ravel(), strict=True)]
    overlaps = []
    for i, j in pairs:
        true = rng.uniform(i // 4, i // 4 + 1, 300)
        seen = [(true - offsets[k]) / scales[k] + noise * rng.standard_normal(300) for k in (i, j)]
        bad = rng.random(300) < wrong
        seen[1] = np.where(bad, seen[1] + 0.5, seen[1])
        overlaps.append(Overlap(int(i), int(j), *(s.astype(np.float32) for s in seen)))
    return overlaps


def on_gauge(scales: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same alignment with mean scale 1 and mean offset 0."""
    factor = 1 / scales.mean()
    return scales * factor, offsets * factor - (offsets * factor).mean()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_scales_and_offsets_come_back(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scales, offsets = on_gauge(rng.uniform(0.5, 2, 12), rng.uniform(-1, 1, 12))
    found = align_tiles(12, grid_overlaps(rng, scales, offsets))
    assert found.scales == pytest.approx(scales, abs=2e-3)
    assert found.offsets == pytest.approx(offsets, abs=2e-3)


def test_a_fault_on_one_side_does_not_pull_the_fit() -> None:
    rng = np.random.default_rng(3)
    scales, offsets = on_gauge(rng.uniform(0.7, 1.5, 12), rng.uniform(-1, 1, 12))
    overlaps = grid_overlaps(rng, scales, offsets, noise=0.005, wrong=0.2)
    robust = align_tiles(12, overlaps)
    plain = align_tiles(12, overlaps, rounds=1)
    worst = np.abs(robust.offsets - offsets).max()
    assert worst < 0.03
    assert worst < np.abs(plain.offsets - offsets).max() / 5


def test_noise_does_not_shrink_a_long_row_of_tiles() -> None:
    rng = np.random.default_rng(4)
    true = rng.uniform(0, 1, (20, 400))
    overlaps = [
        Overlap(i, i + 1, *(true[i] + 0.02 * rng.standard_normal((2, 400))).astype(np.float32)) for i in range(20)
    ]
    found = align_tiles(21, overlaps)
    assert found.scales == pytest.approx(np.ones(21), abs=0.02)


def test_the_gauge_holds_in_every_group_and_a_lonely_tile_is_left_alone() -> None:
    rng = np.random.default_rng(5)
    values = rng.uniform(0, 1, 50).astype(np.float32)
    overlaps = [Overlap(0, 1, values, 2 * values), Overlap(3, 4, values, values + 1)]
    found = align_tiles(5, overlaps)
    for group in ([0, 1], [3, 4]):
        assert found.scales[group].mean() == pytest.approx(1)
        assert found.offsets[group].mean() == pytest.approx(0, abs=1e-9)
    assert found.scales[0] == pytest.approx(2 * found.scales[1], rel=1e-3)
    assert (found.scales[2], found.offsets[2]) == pytest.approx((1, 0))
    assert found.apply(0, values) == pytest.approx(found.apply(1, 2 * values), abs=1e-3)


def test_rescaling_reaches_0_and_1_over_live_voxels() -> None:
    rgt = ramp((10, 3, 3)) * 4 - 7
    live = np.ones(rgt.shape, np.bool_)
    live[0] = False
    rgt[0] = 99
    scaled = rescale(rgt, live)
    assert (scaled[live].min(), scaled[live].max()) == (0, 1)
    assert not scaled[0].any()
    assert not rescale(np.full((3, 3), 5, np.float32)).any()


@given(st.floats(-3, 3), st.floats(-5, 5))
def test_the_best_affine_is_found(scale: float, offset: float) -> None:
    values = np.linspace(0, 1, 50, dtype=np.float32)
    found = fit_affine(values, (scale * values + offset).astype(np.float32))
    assert found == pytest.approx((scale, offset), abs=1e-4)


def test_scores_with_and_without_the_best_affine() -> None:
    true = ramp((20, 4, 4))
    scores = rgt_scores(0.5 * true + 0.1, true)
    assert scores.mae == pytest.approx(np.abs(0.1 - 0.5 * true).mean(), abs=1e-6)
    assert scores.mae_affine == pytest.approx(0, abs=1e-6)
    assert scores.decreasing == 0


def test_dead_voxels_enter_no_score() -> None:
    true = ramp((20, 4, 4))
    live = np.ones(true.shape, np.bool_)
    live[8:12] = False
    predicted = np.where(live, true, np.float32(-50))
    assert rgt_scores(predicted, true, live).mae == 0
    assert rgt_scores(predicted, true, live).decreasing == 0
    assert rgt_scores(predicted, true).decreasing == pytest.approx(1 / 19)
    assert isnan(rgt_scores(predicted, true, np.zeros_like(live)).mae)
    assert isnan(decreasing_share(true, np.zeros_like(live)))


def test_the_share_of_decreasing_steps() -> None:
    rgt = np.array([[0, 0], [1, 1], [0.5, 2], [3, 3]], np.float32)
    assert decreasing_share(rgt) == pytest.approx(1 / 6)
