"""Layers as functions of relative time and of place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from segwheel.domain.synthesis.layers import STEPS, LateralMap, Layers, draw_layers
from segwheel.domain.synthesis.recipe import SeismicRecipe

LATERAL = ((-5.0, 45.0), (-3.0, 39.0))


def drawn(recipe: SeismicRecipe, seed: int = 0) -> Layers:
    return draw_layers(np.random.default_rng(seed), recipe, (-10.0, 90.0), LATERAL)


def test_a_map_is_linear_between_its_samples_and_constant_outside() -> None:
    rng = np.random.default_rng(0)
    field = LateralMap(rng.random((9, 7), np.float32), (-2, 3))
    y, x = rng.uniform(-1.9, 5.9, 200).astype(np.float32), rng.uniform(3.1, 8.9, 200).astype(np.float32)
    expected = ndimage.map_coordinates(field.values, [y + 2, x - 3], order=1)
    assert field.at(y, x) == pytest.approx(expected, abs=1e-5)
    far = field.at(np.array([-50, 50], np.float32), np.array([-50, 50], np.float32))
    assert far == pytest.approx(field.values[[0, -1], [0, -1]], abs=2e-3)


@given(st.integers(0, 1000))
def test_time_grows_with_depth_everywhere(seed: int) -> None:
    layers = drawn(SeismicRecipe(bump_share=0.5), seed)
    z, y, x = np.meshgrid(np.arange(0, 80.0), np.arange(0, 40, 8.0), np.arange(0, 36, 8.0), indexing="ij")
    time = layers.time(*(a.astype(np.float32) for a in (z, y, x)))
    assert (np.diff(time, axis=0) > 0.5).all()


def test_relief_has_the_height_and_slope_asked_for() -> None:
    flat = SeismicRecipe(slope=(0, 0), secondary_relief=(0, 0), bump_share=0, fold_height=(12, 12))
    assert np.ptp(drawn(flat).depth.values) == pytest.approx(12, abs=1e-3)
    slope = replace(flat, fold_height=(0, 0), slope=(0.1, 0.1))
    rows, columns = np.gradient(drawn(slope).depth.values)
    assert (rows.mean(), columns.mean()) == pytest.approx((0.1, 0.1), abs=1e-4)


def test_bumps_rise_upwards() -> None:
    recipe = SeismicRecipe(slope=(0, 0), secondary_relief=(0, 0), bump_share=1, bumps=(1, 1), bump_width=(5, 5))
    depth = drawn(recipe).depth.values
    assert depth.mean() == pytest.approx(0, abs=1e-3)
    assert -depth.min() > 2 * depth.max(), "a narrow bump is further up than its surroundings are down"


def spikes(layers: Layers) -> np.ndarray:
    """Coefficients in the order of the interfaces, as sums over each triangle of the table."""
    labels, count = ndimage.label(layers.table != 0)
    return ndimage.sum_labels(layers.table, labels, np.arange(1, count + 1)) / STEPS


@pytest.mark.parametrize("normal", [0.0, 1.0])
def test_interfaces_have_the_thickness_amplitudes_and_signs_asked_for(normal: float) -> None:
    recipe = SeismicRecipe(
        layer_thickness=(8, 8),
        layer_jitter=0.5,
        amplitude=(0.2, 0.9),
        alternating_share=1,
        normal_amplitude_share=normal,
    )
    layers = drawn(recipe)
    found = spikes(layers)[1:-1]  # the first and last may be cut by the table's ends
    assert len(found) == pytest.approx(len(layers.table) / STEPS / 8, abs=3)
    assert (np.sign(found[1:]) == -np.sign(found[:-1])).all()
    assert 0.19 < np.abs(found).min() < np.abs(found).max() < 0.91


def test_shuffled_signs_are_half_negative_and_do_not_alternate() -> None:
    found = spikes(drawn(SeismicRecipe(layer_thickness=(5, 5), layer_jitter=0.2, alternating_share=0)))
    assert (found < 0).mean() == pytest.approx(0.5, abs=0.1)
    assert (np.sign(found[1:]) == np.sign(found[:-1])).any()


def test_a_spike_between_two_voxels_is_shared_by_them() -> None:
    layers = drawn(SeismicRecipe(layer_thickness=(10, 10), layer_jitter=0))
    total = [float(layers.reflectivity(np.arange(0, 80, dtype=np.float32) + f).sum()) for f in (0.0, 0.3, 0.7)]
    assert total == pytest.approx([total[0]] * 3, abs=1.0)
    dense = layers.reflectivity(np.arange(0, 60, 1 / STEPS, dtype=np.float32))
    assert np.count_nonzero(dense) / STEPS == pytest.approx(2 * 6, abs=2.1), "two voxels for each of six spikes"


def test_layers_are_thicker_where_they_lie_deeper() -> None:
    recipe = SeismicRecipe(bump_share=0, thickness_variation=(0.3, 0.3))
    layers = drawn(recipe)
    row, column = np.unravel_index(
        [layers.depth.values.argmin(), layers.depth.values.argmax()], layers.depth.values.shape
    )
    z = np.arange(0, 50, dtype=np.float32)
    thickness = [
        1
        / float(
            np.diff(
                layers.time(z, np.full_like(z, r + layers.depth.origin[0]), np.full_like(z, c + layers.depth.origin[1]))
            ).mean()
        )
        for r, c in zip(row, column, strict=True)
    ]
    assert thickness == pytest.approx([1.0, 1.3], abs=0.01)
