"""What generated seismic volumes are made of: every ingredient, with the range that it is drawn from."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from segwheel.errors import InputError

Range = tuple[float, float]  # uniform between the two, both included
Counts = tuple[int, int]  # whole numbers between the two, both included


@dataclass(frozen=True)
class SeismicRecipe:
    """Ranges of the generator; the defaults follow the published multi-task recipe (Gao 2024, and its generator RGM).

    Lengths are voxels, angles degrees, frequencies cycles per sample (0.1 is 100 Hz at 1 ms). Nothing depends on the
    volume's size except the counts, so that a tile cut from a large volume looks like a small volume. A `share` is the
    probability that a volume, or a fault, has something.
    """

    # Layers: reflectivity spikes at about regular steps of relative time.
    layer_thickness: Range = (7.0, 24.0)  # drawn uniformly in layers per voxel, so that thin layers are usual
    layer_jitter: float = 2 / 3  # an interface lies up to this part of the thickness below its regular place
    amplitude: Range = (0.1, 1.0)  # absolute reflection coefficient
    normal_amplitude_share: float = 0.5  # of volumes with normally distributed instead of uniform amplitudes
    alternating_share: float = 0.5  # of volumes whose signs alternate; elsewhere half the signs, shuffled, are negative

    # Folding: how deep a layer lies at each lateral place.
    fold_height: Range = (2.0, 20.0)  # from the lowest to the highest place of smoothed noise
    fold_smoothing: Range = (15.0, 25.0)  # standard deviation of the smoothing
    thickness_variation: Range = (0.0, 0.1)  # layers are up to this part thicker in the lowest places
    bump_share: float = 0.25  # of volumes folded by Gaussian bumps instead of noise
    bumps: Counts = (1, 3)
    bump_height: Range = (15.0, 35.0)  # the most that a bump may have; each is between 0 and this
    bump_width: Range = (25.0, 50.0)  # standard deviation along each lateral axis
    bump_thickness_variation: Range = (0.1, 0.2)
    secondary_relief: Range = (0.0, 0.1)  # height of relief on a fifth of the scale, as a part of the main relief
    slope: Range = (-0.2, 0.2)  # voxels of depth per voxel along each lateral axis

    # Faults, in the order in which they happen.
    faults: Counts = (1, 12)
    dip: Range = (50.0, 130.0)
    strike: Range = (0.0, 180.0)
    rake: Range = (0.0, 180.0)
    displacement: Range = (2.0, 20.0)  # along the fault; every other fault slips the other way
    fault_thickness: float = 3.0  # of the marked zone, across the fault
    slip_offset: float = 0.7  # from the zone's middle to the slip surface, along the normal, as in published cubes
    listric_share: float = 0.0  # of faults that flatten with depth
    listric_radius: Range = (150.0, 600.0)
    conjugate_share: float = 0.0  # of volumes whose faults are all normal faults of one strike, dipping either way

    # From reflectivity to an image.
    wavelets: tuple[str, ...] = ("ricker", "gaussian_derivative", "ricker_derivative")
    frequency: Range = (0.1, 0.18)  # of the input's wavelet
    dhr_frequency_ratio: float = 1.25
    lateral_smoothing: Range = (1.5, 3.0)  # standard deviation, of the input only
    noise: Range = (0.0, 0.5)  # greatest noise as a part of the greatest amplitude
    noise_smoothing: Range = (0.0, 3.5)  # standard deviation along each axis; below 0.5 there is none

    # Options that the published cubes do not have.
    unconformities: Counts = (0, 0)  # erosion surfaces with younger, gentler, unfaulted layers above
    unconformity_depth: Range = (0.05, 0.35)  # of the surface's highest place, as a part of the depth
    unconformity_relief: Range = (0.05, 0.1)  # as a part of the depth
    amplitude_decay: Range = (0.0, 0.0)  # natural logarithm of the amplitude at the top over that at the bottom

    def __post_init__(self) -> None:
        """Raise InputError for a range that runs backwards or leaves what makes sense."""
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "wavelets":
                continue
            bounds = value if isinstance(value, tuple) else (value, value)
            if bounds[0] > bounds[1]:
                raise InputError(
                    f"{field.name}: expected a lower, then an upper bound, found {bounds[0]} and {bounds[1]}"
                )
            lowest, highest = _sensible(field.name)
            if not lowest <= bounds[0] <= bounds[1] <= highest:
                found = " to ".join(f"{one:g}" for one in dict.fromkeys(bounds))
                raise InputError(f"{field.name}: expected from {lowest:g} to {highest:g}, found {found}")


def _sensible(name: str) -> Range:
    """The least and the greatest value that an ingredient may have."""
    if name.endswith("_share") or name in ("unconformity_depth", "unconformity_relief"):
        return 0.0, 1.0
    return SENSIBLE.get(name, (0.0, math.inf))


SENSIBLE: dict[str, Range] = {
    "layer_thickness": (1.0, math.inf),
    "fold_smoothing": (0.1, math.inf),
    "bump_width": (0.1, math.inf),
    "faults": (0, 255),  # they are numbered in a byte
    "unconformities": (0, 255),
    "bumps": (0, 255),
    "slope": (-math.inf, math.inf),
    "dip": (1.0, 179.0),  # a level fault shifts nothing apart
    "strike": (0.0, 180.0),
    "rake": (0.0, 180.0),
    "fault_thickness": (0.1, math.inf),
    "listric_radius": (1.0, math.inf),
    "frequency": (0.001, 0.5),  # up to Nyquist's
    "dhr_frequency_ratio": (0.1, math.inf),
    "amplitude_decay": (-math.inf, math.inf),
    "slip_offset": (-math.inf, math.inf),
}


RECIPES = {
    "published": SeismicRecipe(),
    # What real surveys show beside it: thinner and thicker layers, unconformities, listric and conjugate faults, decay.
    "field": SeismicRecipe(
        layer_thickness=(4.0, 24.0),
        frequency=(0.07, 0.2),
        listric_share=0.15,
        conjugate_share=0.4,
        unconformities=(0, 1),
        amplitude_decay=(0.0, 1.0),
    ),
}
