"""Smoothing by matrices is smoothing by convolution, and noise is what it says."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from segwheel.domain.synthesis.fields import along, gaussian_matrix, smooth_noise, smoothed, stretched


@pytest.mark.parametrize(("border", "mode"), [("extend", "nearest"), ("wrap", "wrap")])
@pytest.mark.parametrize("shape", [(40, 33), (17, 24, 30)])
def test_smoothing_is_that_of_scipy(border: str, mode: str, shape: tuple[int, ...]) -> None:
    field = np.random.default_rng(0).standard_normal(shape, np.float32)
    sigmas = [2.5, 1.2, 0.0][: len(shape)]
    expected = ndimage.gaussian_filter(field, sigmas, mode=mode)
    assert np.abs(smoothed(field, sigmas, border) - expected).max() < 1e-5  # type: ignore[arg-type]


def test_a_kernel_longer_than_the_axis_still_sums_to_one() -> None:
    for border in ("wrap", "extend"):
        assert gaussian_matrix(3, 20.0, border).sum(axis=1) == pytest.approx(np.ones(3))  # type: ignore[arg-type]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_matrix_is_applied_along_the_axis_named(axis: int) -> None:
    rng = np.random.default_rng(1)
    field, matrix = rng.random((3, 4, 5), np.float32), rng.random((2, 3 + axis), np.float32)
    expected = np.moveaxis(np.tensordot(matrix, field, (1, axis)), 0, axis)
    assert along(matrix, field, axis) == pytest.approx(expected, rel=1e-5)


def test_noise_is_as_variable_at_the_border_as_inside() -> None:
    rng = np.random.default_rng(2)
    fields = np.stack([smooth_noise(rng, (24, 24), (2.0, 2.0)) for _ in range(800)])
    spread = fields.std(axis=0)
    assert spread[0].mean() == pytest.approx(spread[12].mean(), rel=0.05)


def test_stretching_reaches_both_ends_and_leaves_a_constant_alone() -> None:
    field = stretched(np.array([3, 5, 4], np.float32), -1, 7)
    assert field.tolist() == [-1, 7, 3]
    assert stretched(np.full(3, 5, np.float32), 2, 9).tolist() == [2, 2, 2]
