"""Damaged attributes, like those that a network predicts at first, to train the refinement on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from segwheel.domain.orientation import HALF_TURN
from segwheel.domain.synthesis.faulting import draw_faults, trace_back
from segwheel.domain.synthesis.fields import FloatArray, smooth_noise, stretched
from segwheel.domain.synthesis.recipe import Counts, Range, SeismicRecipe
from segwheel.domain.synthesis.seismic import SeismicSample

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class CorruptionRecipe:
    """How much is damaged; the defaults follow the published recipe. A `patch` is a standard deviation in voxels."""

    removed: Range = (0.05, 0.45)  # part of the volume in which faults are removed
    false_faults: Counts = (6, 16)
    false_dip: Range = (40.0, 130.0)
    false_kept: Range = (0.05, 0.15)  # part of the volume in which false faults are left
    fault_patch: float = 4.0
    rgt_noise: Range = (0.0, 0.1)  # greatest relative change of RGT
    dhr_masked: float = 0.2  # DHR is zero where smooth noise (0 to 1) is below this
    dhr_kept: float = 0.5  # and whole where it is above this
    patch: float = 5.0  # of the noise on RGT and of DHR's mask
    dhr_noise: float = 0.05  # greatest noise as a part of DHR's greatest value
    dhr_noise_patch: float = 2.0


def corrupted(
    sample: SeismicSample,
    seed: int | np.random.Generator,
    recipe: SeismicRecipe | None = None,
    corruption: CorruptionRecipe | None = None,
) -> dict[str, FloatArray]:
    """Damaged copies of `sample.targets`, same names, shapes and units.

    Faults are missing in patches, with pieces of false ones added (drawn by `recipe`, as many as `corruption` says);
    RGT is multiplied by smooth noise and cut to 0..1; DHR fades to nothing in patches and is noisy.
    """
    corruption = corruption or CorruptionRecipe()
    fault_rng, rgt_rng, dhr_rng = np.random.default_rng(seed).spawn(3)
    damaged = {
        "rgt": _corrupted_rgt(sample.rgt, corruption, rgt_rng),
        "dhr": _corrupted_dhr(sample.dhr, corruption, dhr_rng),
        **_corrupted_faults(sample, recipe or SeismicRecipe(), corruption, fault_rng),
    }
    return {name: damaged[name] for name in sample.targets}


def _patches(rng: np.random.Generator, shape: Sequence[int], size: float, part: float) -> Mask:
    """Patches that cover `part` of the volume."""
    noise = smooth_noise(rng, shape, [size] * len(shape))
    return noise < np.quantile(noise, part)


def _corrupted_faults(
    sample: SeismicSample, recipe: SeismicRecipe, corruption: CorruptionRecipe, rng: np.random.Generator
) -> dict[str, FloatArray]:
    shape = sample.image.shape
    kept = ~_patches(rng, shape, corruption.fault_patch, rng.uniform(*corruption.removed))
    true = {name: getattr(sample, name) * kept for name in ("fsem", "fdip", "fstrike")}

    false_recipe = replace(recipe, faults=corruption.false_faults, dip=corruption.false_dip)
    faults = draw_faults(rng, false_recipe, (*shape, 1)[:3])
    open_to_false = _patches(rng, shape, corruption.fault_patch, rng.uniform(*corruption.false_kept))
    where = np.nonzero(open_to_false & (true["fsem"] == 0))
    places = np.stack((*where, np.zeros_like(where[0]))[:3]).astype(np.float32)
    zones = trace_back(places, faults, recipe.fault_thickness, recipe.slip_offset)
    true["fsem"][where] = zones.number > 0
    true["fdip"][where] = zones.dip / np.float32(HALF_TURN)
    true["fstrike"][where] = zones.strike / np.float32(HALF_TURN)
    return true


def _corrupted_rgt(rgt: FloatArray, corruption: CorruptionRecipe, rng: np.random.Generator) -> FloatArray:
    noise = smooth_noise(rng, rgt.shape, [corruption.patch] * rgt.ndim)
    noise *= np.float32(rng.uniform(*corruption.rgt_noise) / np.abs(noise).max())
    damaged: FloatArray = np.clip(rgt * (noise - noise.mean() + np.float32(1)), 0, 1)
    return damaged


def _corrupted_dhr(dhr: FloatArray, corruption: CorruptionRecipe, rng: np.random.Generator) -> FloatArray:
    mask = stretched(smooth_noise(rng, dhr.shape, [corruption.patch] * dhr.ndim), 0, 1)
    mask[mask < corruption.dhr_masked] = 0
    mask[mask > corruption.dhr_kept] = 1
    noise = smooth_noise(rng, dhr.shape, [corruption.dhr_noise_patch] * dhr.ndim)
    noise -= noise.mean()
    noise *= np.float32(corruption.dhr_noise * dhr.max() / max(float(np.abs(noise).max()), 1e-12))
    return mask * (dhr + noise)
