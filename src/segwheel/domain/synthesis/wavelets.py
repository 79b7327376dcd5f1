"""Source wavelets, and convolving a volume with one along depth."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

import numpy as np
import numpy.typing as npt

from segwheel.domain.synthesis.fields import FloatArray, along
from segwheel.errors import InputError

Doubles = npt.NDArray[np.float64]

TAPER = 12.0  # samples: standard deviation of the Gaussian that ends every wavelet
REACH = 1.1  # periods of the nominal frequency after which a wavelet is over

# Functions of phase = pi * frequency * t. The frequency is the peak of the Ricker wavelet's spectrum; the spectra of
# the derivatives of a Gaussian and of a Ricker wavelet peak at 0.71 and 1.22 of it.
SHAPES: dict[str, Callable[[Doubles], Doubles]] = {
    "ricker": lambda phase: (1 - 2 * phase**2) * np.exp(-(phase**2)),
    "gaussian_derivative": lambda phase: -phase * np.exp(-(phase**2)),
    "ricker_derivative": lambda phase: (2 * phase**2 - 3) * phase * np.exp(-(phase**2)),
}


def half_length(frequency: float) -> int:
    """Samples that a wavelet of `frequency` (cycles per sample) lasts on either side of its middle."""
    return ceil(REACH / frequency)


def wavelet(kind: str, frequency: float) -> Doubles:
    """Wavelet of `frequency` cycles per sample: 2 `half_length` + 1 samples of unit L2 norm, time 0 in the middle.

    Raises InputError for a kind that is not in SHAPES.
    """
    if kind not in SHAPES:
        raise InputError(f"wavelet: expected one of {', '.join(SHAPES)}, found {kind}")
    half = half_length(frequency)
    t = np.arange(-half, half + 1, dtype=np.float64)
    values = SHAPES[kind](np.pi * frequency * t) * np.exp(-0.5 * (t / TAPER) ** 2)
    return values / np.linalg.norm(values)


def convolve_depth(reflectivity: FloatArray, padding: int, values: Doubles) -> FloatArray:
    """`reflectivity` convolved with a wavelet along axis 0, without the `padding` rows that it has at either end.

    Padding of at least the wavelet's half length keeps the ends as bright as the middle.
    """
    rows, length = reflectivity.shape[0] - 2 * padding, reflectivity.shape[0]
    half = len(values) // 2
    lag = np.arange(rows)[:, None] + padding - np.arange(length)[None, :]
    inside = np.abs(lag) <= half
    matrix = np.where(inside, values[np.clip(lag + half, 0, len(values) - 1)], 0.0)
    return along(matrix.astype(np.float32), reflectivity, 0)
