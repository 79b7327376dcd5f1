"""Which predictions a person should correct first."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Probability = npt.NDArray[np.float32]
BAND = 5  # pixels on either side of the predicted boundary


@dataclass(frozen=True)
class Ranked:
    """One place of the queue."""

    basename: str
    score: float  # the higher, the sooner
    reason: str


def rank(method: str, predictions: Iterable[tuple[str, Probability]], threshold: float, seed: int) -> list[Ranked]:
    """All predictions with their names, most worth correcting first; equal scores in the order of their names.

    Predictions are looked at one after the other and not kept.
    """
    score = SCORES[method]
    ranked = [Ranked(name, *score(name, probability, threshold, seed)) for name, probability in predictions]
    return sorted(ranked, key=lambda one: (-one.score, one.basename))


def boundary_uncertainty(_name: str, probability: Probability, threshold: float, _seed: int) -> tuple[float, str]:
    """Mean uncertainty, 1 - |2p - 1|, within a few pixels of the predicted boundary, 0..1.

    Far from a boundary a network is sure of itself even where it is wrong, and large images have much of that;
    averaging over the boundary alone compares images of any size and coverage. Where nothing is predicted the
    highest uncertainty of the image counts.
    """
    mask = probability > threshold
    structure = ndimage.generate_binary_structure(mask.ndim, mask.ndim)
    grown = ndimage.binary_dilation(mask, structure, BAND)
    band = grown & ~ndimage.binary_erosion(mask, structure, BAND, border_value=1)
    uncertainty = 1 - np.abs(2 * probability - 1)
    if not band.any():
        return float(uncertainty.max()), "nothing was found; highest uncertainty of the image"
    return float(uncertainty[band].mean()), "mean uncertainty along the predicted boundary"


def foreground_random(name: str, probability: Probability, threshold: float, seed: int) -> tuple[float, str]:
    """Random, but every image with predicted foreground before those without."""
    drawn = float(np.random.default_rng([seed, zlib.crc32(name.encode())]).random())
    if (probability > threshold).any():
        return (1 + drawn) / 2, "random among images with predicted foreground"
    return drawn / 2, "random among images without predicted foreground"


SCORES = {"boundary_uncertainty": boundary_uncertainty, "foreground_random": foreground_random}
