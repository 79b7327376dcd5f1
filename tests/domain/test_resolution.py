"""Resampling to the training resolution and back."""

from __future__ import annotations

import numpy as np

from segwheel.domain.resolution import resampled, resampled_label, training_shape


def test_the_shape_follows_the_ratio_of_pixel_sizes() -> None:
    assert training_shape((100, 60), 0.5, 1.0) == (50, 30)
    assert training_shape((3, 3), 0.1, 10.0) == (1, 1)
    assert training_shape((100, 60), None, 1.0) == training_shape((100, 60), 0.5, None) == (100, 60)


def test_a_smooth_map_survives_there_and_back() -> None:
    y, x = np.mgrid[:80, :60]
    smooth = (0.5 + 0.4 * np.sin(y / 15) * np.cos(x / 12)).astype(np.float32)
    assert np.abs(resampled(resampled(smooth, (40, 30)), (80, 60)) - smooth).max() < 0.06


def test_a_label_keeps_its_values_and_its_share() -> None:
    label = np.zeros((64, 64), np.uint8)
    label[:32], label[40:48] = 1, 255
    half = resampled_label(label, (32, 32))
    assert set(np.unique(half)) == {0, 1, 255}
    assert abs(float((half == 1).mean()) - 0.5) < 0.05
    assert resampled_label(label, label.shape) is label
