"""Normalisation does not depend on how the elements are spread over images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segwheel.domain.intensity import Normalization, measure_volume
from segwheel.errors import FormatError
from segwheel.formats import volume


@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_measured_over_images_equals_measured_over_all_elements(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    images = [rng.integers(0, 60000, rng.integers(1, 9, 2)).astype(np.uint16) for _ in range(count)]
    everything = np.concatenate([image.ravel() for image in images]).astype(float)
    measured = Normalization.measure(images)
    assert np.isclose(measured.mean, everything.mean())
    if everything.std() > 1e-3:
        assert np.isclose(measured.std, everything.std(), rtol=1e-4)


def test_training_images_come_out_with_mean_zero_and_deviation_one() -> None:
    image = np.random.default_rng(1).normal(300, 25, (64, 64))
    normalised = Normalization.measure([image]).apply(image)
    assert normalised.dtype == np.float32
    assert abs(normalised.mean()) < 1e-3
    assert abs(normalised.std() - 1) < 1e-3


def test_a_constant_image_stays_finite() -> None:
    image = np.full((4, 4), 7, np.uint8)
    assert (Normalization.measure([image]).apply(image) == 0).all()


def test_a_volume_is_measured_over_what_is_live(tmp_path: Path) -> None:
    values = np.random.default_rng(2).normal(-40, 9, (70, 12, 66)).astype(np.float32)
    values[:, 3] = np.nan
    values[5, 0, 0] = np.inf
    volume.write_array(tmp_path / "v.zarr", values)
    measured = measure_volume(volume.open(tmp_path / "v.zarr"))
    living = values[np.isfinite(values)].astype(float)
    assert measured.mean == pytest.approx(living.mean())
    assert measured.std == pytest.approx(living.std())


def test_a_dead_volume_has_no_mean(tmp_path: Path) -> None:
    volume.write_array(tmp_path / "v.zarr", np.full((4, 5), np.nan, np.float32))
    with pytest.raises(FormatError, match=r"v\.zarr: expected at least one live sample, found none"):
        measure_volume(volume.open(tmp_path / "v.zarr"))
