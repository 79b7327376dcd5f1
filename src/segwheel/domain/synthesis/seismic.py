"""Generated seismic volumes with exact attributes, to train the multi-task networks on.

After the method of Gao (2024), Geophys. J. Int., doi 10.1093/gji/ggad424: layered reflectivity is folded, faulted,
convolved with a wavelet, smoothed and made noisy. Everything is looked up at coordinates traced back through the
faults, so the image and its attributes share one geometry to the voxel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from segwheel.domain.orientation import HALF_TURN
from segwheel.domain.synthesis.faulting import Fault, draw_faults, places, reach, row_slabs, trace_back
from segwheel.domain.synthesis.fields import FloatArray, smooth_noise, smoothed, stretched
from segwheel.domain.synthesis.layers import LateralMap, Layers, draw_layers
from segwheel.domain.synthesis.recipe import SeismicRecipe
from segwheel.domain.synthesis.wavelets import convolve_depth, half_length, wavelet
from segwheel.errors import InputError

IMAGE_NORM = {2: 100.0, 3: 1000.0}  # L2 norm of image and DHR, by the number of axes, as published
TARGETS = {2: ("rgt", "dhr", "fsem", "fdip"), 3: ("rgt", "dhr", "fsem", "fdip", "fstrike")}
Mask = npt.NDArray[np.bool_]

SMALLEST = 8  # samples along an axis
GENTLE = -0.25  # slopes and relief of layers above an unconformity, as a part of the recipe's
HIATUS = 1.0  # voxels of relative time between the youngest layer below an unconformity and the oldest above


@dataclass(frozen=True)
class SeismicSample:
    """An image and its exact attributes, float32 arrays of one shape, depth along axis 0.

    image, dhr: L2 norm IMAGE_NORM, that is standard deviation IMAGE_NORM / sqrt(size). rgt: 0 to 1, both reached.
    fsem: 0 or 1. fdip, fstrike: degrees / 180 on faults, else 0; fstrike is 0 throughout in a section.
    fault_number: 0 off faults, else the place in `faults`, from 1; faults are in the order in which they happened.
    """

    image: FloatArray
    rgt: FloatArray
    dhr: FloatArray
    fsem: FloatArray
    fdip: FloatArray
    fstrike: FloatArray
    fault_number: npt.NDArray[np.uint8]
    faults: tuple[Fault, ...]

    @property
    def targets(self) -> dict[str, FloatArray]:
        """The attributes by name, in the order of the published layout; a section has no fstrike."""
        return {name: getattr(self, name) for name in TARGETS[self.image.ndim]}


@dataclass
class _Model:
    """What a volume shows before any wavelet: arrays with `padding` more rows at top and bottom."""

    reflectivity: FloatArray
    time: FloatArray
    dip: FloatArray
    strike: FloatArray
    package: npt.NDArray[np.uint8]
    number: npt.NDArray[np.uint8]
    padding: int


def generate(shape: Sequence[int], recipe: SeismicRecipe, seed: int | np.random.Generator) -> SeismicSample:
    """One volume (three axes) or section (two axes) of `shape`, depth first.

    The same shape, recipe and seed give the same arrays. Raises InputError for another number of axes or an axis
    that is too short.
    """
    check_shape(shape)
    rng = np.random.default_rng(seed)
    # One stream per ingredient: changing the range of one leaves what the others draw as it was.
    layer_rng, fault_rng, wave_rng, noise_rng = rng.spawn(4)
    volume = (*shape, 1)[:3]
    faults = draw_faults(fault_rng, recipe, volume)
    frequency = wave_rng.uniform(*recipe.frequency)
    kind = str(wave_rng.choice(recipe.wavelets))
    padding = half_length(frequency)
    packages = _draw_packages(layer_rng, recipe, volume, padding, faults)
    model = _build(volume, padding, packages, faults, recipe)
    return _finished(shape, model, faults, _images(model, recipe, kind, frequency, wave_rng, noise_rng))


def check_shape(shape: Sequence[int]) -> None:
    """Raise InputError unless `shape` is that of a section or a volume that is large enough."""
    if len(shape) not in IMAGE_NORM or min(shape) < SMALLEST:
        raise InputError(
            f"shape: expected 2 or 3 axes of at least {SMALLEST} samples, found {' x '.join(map(str, shape))}"
        )


def _draw_packages(
    rng: np.random.Generator, recipe: SeismicRecipe, volume: Sequence[int], padding: int, faults: Sequence[Fault]
) -> list[Layers]:
    """Packages of layers, youngest first; the last one is the oldest, the only one that the faults cut."""
    far = reach(faults, volume)
    depths = (-padding - far[0], volume[0] - 1 + padding + far[0])
    lateral = ((-far[1], volume[1] - 1 + far[1]), (-far[2], volume[2] - 1 + far[2]))
    oldest = draw_layers(rng, recipe, depths, lateral)
    count = rng.integers(*recipe.unconformities, endpoint=True)
    here = ((0.0, volume[1] - 1.0), (0.0, volume[2] - 1.0))
    tops = np.sort(rng.uniform(*recipe.unconformity_depth, count)) * volume[0]
    return [
        draw_layers(rng, recipe, depths, here, GENTLE, _draw_erosion(rng, recipe, volume, float(top))) for top in tops
    ] + [oldest]


def _draw_erosion(rng: np.random.Generator, recipe: SeismicRecipe, volume: Sequence[int], top: float) -> LateralMap:
    """Depth of an erosion surface whose highest place is at `top`."""
    shape = [n + 2 for n in volume[1:]]
    relief = rng.uniform(*recipe.unconformity_relief) * volume[0]
    surface = smooth_noise(rng, shape, [0.2 * n for n in volume[1:]])
    return LateralMap(stretched(surface, top, top + relief), (-1, -1))


def _build(
    volume: Sequence[int], padding: int, packages: list[Layers], faults: Sequence[Fault], recipe: SeismicRecipe
) -> _Model:
    """Look the layers up at every voxel, some rows at a time."""
    rows = volume[0] + 2 * padding
    padded = (rows, *volume[1:])
    reflectivity, time, dip, strike = (np.empty(padded, np.float32) for _ in range(4))
    package, number = (np.zeros(padded, np.uint8) for _ in range(2))
    model = _Model(reflectivity, time, dip, strike, package, number, padding)
    for slab in row_slabs(0, rows, volume):
        _fill(model, slab, volume, packages, faults, recipe)
    _stack_times(model.time, model.package, len(packages))
    return model


def _fill(
    model: _Model,
    slab: slice,
    volume: Sequence[int],
    packages: list[Layers],
    faults: Sequence[Fault],
    recipe: SeismicRecipe,
) -> None:
    """Fill the rows `slab` of the model: what lies above an erosion surface first, then the faulted rest."""
    at = places(slice(slab.start - model.padding, slab.stop - model.padding), volume)
    rest: Mask | None = None  # where no package was laid down yet; None for everywhere
    for number, package in enumerate(packages):
        here = rest
        if package.base is not None:
            above = at[0] < package.base.at(at[1], at[2])
            here = above if rest is None else above & rest
            rest = ~above if rest is None else rest & ~above
        else:
            zones = trace_back(at, faults, recipe.fault_thickness, recipe.slip_offset, rest)
            model.number[slab], model.dip[slab], model.strike[slab] = zones.number, zones.dip, zones.strike
        time = package.time(*at)
        where = slice(None) if here is None else here
        model.time[slab][where] = time[where]
        model.reflectivity[slab][where] = package.reflectivity(time)[where]
        model.package[slab][where] = number


def _stack_times(time: FloatArray, package: npt.NDArray[np.uint8], count: int) -> None:
    """Shift the relative time of each younger package, in place, to end before the next older one begins."""
    for number in range(count - 2, -1, -1):
        here, older = package == number, package > number
        if here.any() and older.any():
            time[here] += time[older].min() - HIATUS - time[here].max()


def _images(
    model: _Model,
    recipe: SeismicRecipe,
    kind: str,
    frequency: float,
    wave_rng: np.random.Generator,
    noise_rng: np.random.Generator,
) -> tuple[FloatArray, FloatArray]:
    """The noisy, smoothed image and the sharper, clean one, not yet normalised."""
    dhr = convolve_depth(model.reflectivity, model.padding, wavelet(kind, frequency * recipe.dhr_frequency_ratio))
    image = convolve_depth(model.reflectivity, model.padding, wavelet(kind, frequency))
    image = smoothed(image, [0.0, *wave_rng.uniform(*recipe.lateral_smoothing, 2)])
    rows = np.linspace(0, 1, image.shape[0], dtype=np.float32)[:, None, None]
    decay = np.exp(-np.float32(wave_rng.uniform(*recipe.amplitude_decay)) * rows)
    dhr, image = dhr * decay, image * decay
    return _noisy(image, recipe, noise_rng), dhr


def _noisy(image: FloatArray, recipe: SeismicRecipe, rng: np.random.Generator) -> FloatArray:
    """`image` with coloured noise whose greatest value is a drawn part of the image's."""
    level = rng.uniform(*recipe.noise)
    sigmas = [sigma if sigma >= 0.5 else 0.0 for sigma in rng.uniform(*recipe.noise_smoothing, 3)]
    draw = (rng.standard_normal, rng.random, rng.standard_exponential)[rng.integers(3)]
    noise = smoothed(draw(image.shape, np.float32), sigmas, "wrap")
    noise -= noise.mean()
    noise *= np.float32(level * np.abs(image).max() / max(float(np.abs(noise).max()), 1e-12))
    return image + noise


def _finished(
    shape: Sequence[int], model: _Model, faults: tuple[Fault, ...], images: tuple[FloatArray, FloatArray]
) -> SeismicSample:
    """Arrays of the wanted shape and units."""
    inside = slice(model.padding, model.padding + shape[0])
    image, dhr = (_normalised(values.reshape(shape)) for values in images)
    number = model.number[inside].reshape(shape).copy()
    return SeismicSample(
        image=image,
        rgt=stretched(model.time[inside].reshape(shape), 0, 1),
        dhr=dhr,
        fsem=(number > 0).astype(np.float32),
        fdip=model.dip[inside].reshape(shape) / np.float32(HALF_TURN),
        fstrike=model.strike[inside].reshape(shape) / np.float32(HALF_TURN),
        fault_number=number,
        faults=faults,
    )


def _normalised(values: FloatArray) -> FloatArray:
    """`values` with the published L2 norm; nothing at all stays nothing."""
    norm = float(np.linalg.norm(values))
    return values * np.float32(IMAGE_NORM[values.ndim] / norm if norm else 0.0)
