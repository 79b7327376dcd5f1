"""Random changes of 2D training patches: geometry for image and labels alike, intensity for the image."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  the name that everybody uses
from torch import Tensor

from segwheel.params.images import AugmentationParams


def random_affine(params: AugmentationParams, size: int, stored: int, rng: np.random.Generator) -> Tensor:
    """A random affine map (2, 3) that cuts a patch of `size` out of a stored patch of `stored` pixels.

    In the coordinates of `affine_grid`: -1 and 1 are the borders of the stored patch. The middle of the cut is
    anywhere where an unturned, unscaled patch stays inside.
    """
    angle = math.radians(rng.uniform(-params.rotation, params.rotation))
    if params.rot90:
        angle += rng.integers(4) * math.pi / 2
    flips = np.where(rng.random(2) < 0.5, -1.0, 1.0) if params.flips else np.ones(2)
    magnification = math.exp(rng.uniform(*np.log(params.scale)))
    spread = size / stored / magnification
    room = 1 - size / stored
    shift = rng.uniform(-room, room, 2)
    cosine, sine = math.cos(angle) * spread, math.sin(angle) * spread
    return torch.tensor(
        [[cosine * flips[0], -sine, shift[0]], [sine, cosine * flips[1], shift[1]]], dtype=torch.float32
    )


def warped(stack: Tensor, affine: Tensor, size: int, mode: str, padding: str) -> Tensor:
    """Channels (c, y, x) sampled through `affine` onto (c, size, size)."""
    grid = F.affine_grid(affine[None], [1, len(stack), size, size], align_corners=False)
    return F.grid_sample(stack[None], grid, mode=mode, padding_mode=padding, align_corners=False)[0]


def jitter_intensity(image: Tensor, params: AugmentationParams, rng: np.random.Generator) -> Tensor:
    """Random brightness, contrast, gamma, blur and noise of a normalised image (1, y, x)."""
    image = image * (1 + rng.uniform(-params.contrast, params.contrast))
    image = image + rng.uniform(-params.brightness, params.brightness)
    image = _with_gamma(image, 1 + rng.uniform(-params.gamma, params.gamma))
    sigma = rng.uniform(0, params.blur)
    if sigma > 0.3:  # a narrower Gaussian changes nothing
        image = _blurred(image, sigma)
    level = rng.uniform(0, params.noise)
    if level > 0:
        image = image + level * torch.from_numpy(rng.standard_normal(image.shape, dtype=np.float32))
    return image


def _with_gamma(image: Tensor, gamma: float) -> Tensor:
    low, high = image.amin(), image.amax()
    span = (high - low).clamp(min=1e-6)
    return ((image - low) / span) ** gamma * span + low


def _blurred(image: Tensor, sigma: float) -> Tensor:
    radius = math.ceil(2 * sigma)
    x = torch.arange(-radius, radius + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (x / sigma) ** 2)
    kernel = kernel / kernel.sum()
    padded = F.pad(image[None], [radius] * 4, mode="reflect")
    return F.conv2d(F.conv2d(padded, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))[0]
