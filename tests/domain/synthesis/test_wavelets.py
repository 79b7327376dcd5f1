"""Wavelets and convolution along depth."""

from __future__ import annotations

import numpy as np
import pytest

from segwheel.domain.synthesis.wavelets import SHAPES, convolve_depth, half_length, wavelet
from segwheel.errors import InputError


def peak_frequency(values: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(values, 4096))
    return float(spectrum.argmax()) / 4096


@pytest.mark.parametrize("frequency", [0.1, 0.14, 0.18])
@pytest.mark.parametrize(
    ("kind", "ratio"), [("gaussian_derivative", 0.5**0.5), ("ricker", 1.0), ("ricker_derivative", 1.5**0.5)]
)
def test_the_spectrum_peaks_where_it_says(kind: str, ratio: float, frequency: float) -> None:
    assert peak_frequency(wavelet(kind, frequency)) == pytest.approx(ratio * frequency, rel=0.08)


@pytest.mark.parametrize("kind", SHAPES)
def test_a_wavelet_has_unit_norm_hardly_a_mean_and_an_end(kind: str) -> None:
    values = wavelet(kind, 0.1)
    assert np.linalg.norm(values) == pytest.approx(1)
    assert abs(values.sum()) < 0.05 * np.abs(values).sum()
    assert np.abs(values[[0, -1]]).max() < 0.01 * np.abs(values).max()


def test_an_unknown_wavelet_is_refused() -> None:
    with pytest.raises(InputError, match="expected one of ricker, .*, found mexican_hat"):
        wavelet("mexican_hat", 0.1)


def test_convolution_is_that_of_numpy_and_needs_no_more_than_the_padding() -> None:
    rng = np.random.default_rng(0)
    values, padding = wavelet("gaussian_derivative", 0.12), half_length(0.12)
    reflectivity = rng.standard_normal((40 + 2 * padding, 5), np.float32)
    expected = np.stack([np.convolve(trace, values, "valid") for trace in reflectivity.T], axis=1)
    assert convolve_depth(reflectivity, padding, values) == pytest.approx(expected, abs=1e-5)
