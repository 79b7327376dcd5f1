"""Random changes of 2D training patches: geometry for image and labels alike, intensity for the image."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  the name that everybody uses
from scipy.ndimage import gaussian_filter
from torch import Tensor

from segwheel.params.images import AugmentationParams


def random_grid(params: AugmentationParams, size: int, stored: int, rng: np.random.Generator) -> Tensor:
    """Where a patch of `size` is sampled in a stored patch of `stored` pixels: (1, size, size, 2) for `grid_sample`.

    A random affine map in coordinates of which -1 and 1 are the borders of the stored patch. The middle of the cut is
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
    affine = torch.tensor(
        [[[cosine * flips[0], -sine, shift[0]], [sine, cosine * flips[1], shift[1]]]], dtype=torch.float32
    )
    return F.affine_grid(affine, [1, 1, size, size], align_corners=False)


def sampled(stack: Tensor, grid: Tensor, mode: str, padding: str) -> Tensor:
    """Channels (c, y, x) at the places of a grid."""
    return F.grid_sample(stack[None], grid, mode=mode, padding_mode=padding, align_corners=False)[0]


def jitter_intensity(image: Tensor, params: AugmentationParams, rng: np.random.Generator) -> Tensor:
    """Random brightness, contrast, gamma, blur and noise of a normalised image (1, y, x)."""
    image = image * (1 + rng.uniform(-params.contrast, params.contrast))
    image = image + rng.uniform(-params.brightness, params.brightness)
    image = _with_gamma(image, 1 + rng.uniform(-params.gamma, params.gamma))
    sigma = rng.uniform(0, params.blur)
    if sigma > 0.3:  # a narrower Gaussian changes nothing
        image = torch.from_numpy(gaussian_filter(image.numpy(), (0, sigma, sigma), mode="mirror", truncate=2))
    level = rng.uniform(0, params.noise)
    if level > 0:
        generator = torch.Generator().manual_seed(int(rng.integers(2**63)))  # twice as fast as NumPy's
        image = image + level * torch.randn(image.shape, generator=generator)
    return image


def _with_gamma(image: Tensor, gamma: float) -> Tensor:
    low, high = image.amin(), image.amax()
    span = (high - low).clamp(min=1e-6)
    return ((image - low) / span) ** gamma * span + low
