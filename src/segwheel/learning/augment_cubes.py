"""Random changes of training volumes and sections: lateral flips and turns, contrast and noise of the image.

A flip turns the planes of the faults too. With the fault normal (-cos d, sin d cos s, -sin d sin s) along (depth,
axis 2, axis 3), a plane of strike s and dip d gets (180 - s, d) where axis 2 is mirrored and (180 - s, 180 - d) where
axis 3 is. Where the two are exchanged it gets (270 - s, d) for s of at least 90 and (90 - s, 180 - d) below. In a
section the normal is (-cos d, sin d), and a mirrored dip is 180 - d.

Samples are arrays by name: `image`, and the attributes rgt, dhr, fsem, fdip and fstrike, depth first, any of them.
fdip and fstrike are angle / 180 on faults and 0 off them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from segwheel.params.volumes import VolumeAugmentationParams

Arrays = dict[str, npt.NDArray[np.float32]]


def mirrored(arrays: Mapping[str, npt.NDArray[np.float32]], axis: int) -> Arrays:
    """Everything flipped along a lateral `axis` (array index, from 1)."""
    flipped = {name: np.flip(values, axis) for name, values in arrays.items()}
    if "fdip" not in flipped:
        return flipped
    dip, strike = flipped["fdip"], flipped.get("fstrike")
    fault = dip > 0
    if strike is None or axis == 2:
        flipped["fdip"] = np.where(fault, 1 - dip, dip)
    if strike is not None:
        flipped["fstrike"] = np.where(fault, 1 - strike, strike)
    return flipped


def turned(arrays: Mapping[str, npt.NDArray[np.float32]]) -> Arrays:
    """Axes 2 and 3 of volumes exchanged, which must be of one length."""
    swapped = {name: values.swapaxes(1, 2) for name, values in arrays.items()}
    if "fdip" not in swapped:
        return swapped
    dip, strike = swapped["fdip"], swapped["fstrike"]
    fault, low = dip > 0, strike < 0.5
    swapped["fdip"] = np.where(fault & low, 1 - dip, dip)
    swapped["fstrike"] = np.where(fault, np.where(low, 0.5 - strike, 1.5 - strike), strike)
    return swapped


def random_view(
    inputs: Arrays, targets: Arrays, params: VolumeAugmentationParams, rng: np.random.Generator
) -> tuple[Arrays, Arrays]:
    """Inputs and targets changed alike; contrast and noise only where an image goes in.

    The denoised image is stretched as the image is, so that it stays the same image without noise.
    """
    ndim = next(iter(inputs.values())).ndim
    for axis in range(1, ndim):
        if rng.random() < 0.5 and params.flips:
            inputs, targets = mirrored(inputs, axis), mirrored(targets, axis)
    if params.turns and ndim > 2 and rng.random() < 0.5:
        inputs, targets = turned(inputs), turned(targets)
    if "image" in inputs:
        factor = np.float32(1 + rng.uniform(-params.contrast, params.contrast))
        image = inputs["image"] * factor
        level = np.float32(rng.uniform(0, params.noise))
        if level > 0:  # none where the image is dead
            image = image + level * rng.standard_normal(image.shape, np.float32) * (image != 0)
        inputs = {**inputs, "image": image}
        targets = {name: values * factor if name == "dhr" else values for name, values in targets.items()}
    return inputs, targets
