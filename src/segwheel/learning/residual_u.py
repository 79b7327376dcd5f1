"""Nested residual-U blocks: a small U inside every step of a larger one.

The three kinds of block are those of Gao (2024), Geophys. J. Int., doi 10.1093/gji/ggad424, after the residual U-blocks
of Qin et al. (2020), Pattern Recognition 106, 107404. They are one class and three rows of numbers. Tensors are
(batch, channels, *axes) with the depth axis first among the axes; two or three axes are a matter of which layers are
picked, once, from `LAYERS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


class Layers(NamedTuple):
    """The layer classes for one number of axes, and the name of its linear interpolation."""

    conv: type[nn.Conv2d] | type[nn.Conv3d]
    norm: type[nn.InstanceNorm2d] | type[nn.InstanceNorm3d]
    pool: type[nn.MaxPool2d] | type[nn.MaxPool3d]
    linear: str
    channels_last: torch.memory_format


LAYERS = {
    2: Layers(nn.Conv2d, nn.InstanceNorm2d, nn.MaxPool2d, "bilinear", torch.channels_last),
    3: Layers(nn.Conv3d, nn.InstanceNorm3d, nn.MaxPool3d, "trilinear", torch.channels_last_3d),
}


class ConvUnit(nn.Module):
    """Convolution (kernel 3, size kept), instance norm without parameters (`norm`), ReLU."""

    def __init__(self, ndim: int, inputs: int, outputs: int, dilation: int = 1, *, norm: bool = True) -> None:
        super().__init__()
        layers = LAYERS[ndim]
        self.c = nn.Sequential(
            layers.conv(inputs, outputs, 3, padding=dilation, dilation=dilation),
            *([layers.norm(outputs)] if norm else []),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.c(x)  # type: ignore[no-any-return]  # modules are called untyped


@dataclass(frozen=True)
class UShape:
    """One kind of block, in multiples of its channels n: (channels, dilation) of every level going down, then below.

    The level going up has the channels and the dilation of the level at its side.
    """

    levels: tuple[tuple[int, int], ...]
    bottom: tuple[int, int]
    pooled: bool


R1 = UShape(levels=((1, 1), (2, 1), (4, 1)), bottom=(16, 2), pooled=True)
R2 = UShape(levels=((1, 1), (2, 1)), bottom=(8, 2), pooled=True)
R3 = UShape(levels=((1, 1), (2, 2), (2, 4)), bottom=(4, 8), pooled=False)


class ResidualU(nn.Module):
    """One block: `inputs` channels in, `n` out, the size kept; its result is the last plus the first convolution.

    A pooled block halves every axis once per level, so every axis needs at least 2 ** levels elements. Sizes that do
    not divide are pooled down to the floor and padded with zeros on the way up.
    """

    def __init__(self, ndim: int, shape: UShape, inputs: int, n: int) -> None:
        super().__init__()
        self.depth = len(shape.levels)
        self.pool: nn.Module = LAYERS[ndim].pool(2) if shape.pooled else nn.Identity()
        self.mode = LAYERS[ndim].linear if shape.pooled else ""
        self.conv0 = ConvUnit(ndim, inputs, n)
        below = n
        for i, (multiple, dilation) in enumerate(shape.levels, start=1):
            self.add_module(f"conv{i}", ConvUnit(ndim, below, multiple * n, dilation))
            below = multiple * n
        multiple, dilation = shape.bottom
        self.convd = ConvUnit(ndim, below, multiple * n, dilation)
        below = multiple * n
        for i, (multiple, dilation) in reversed(list(enumerate(shape.levels, start=1))):
            self.add_module(f"up{i}", ConvUnit(ndim, below + multiple * n, multiple * n, dilation))
            below = multiple * n
        self.up0 = ConvUnit(ndim, n, n)

    def forward(self, x: Tensor) -> Tensor:
        first: Tensor = self.conv0(x)
        y, sides = first, []
        for i in range(1, self.depth + 1):
            y = self.get_submodule(f"conv{i}")(y)
            sides.append(y)
            y = self.pool(y)
        y = self.convd(y)
        for i in range(self.depth, 0, -1):
            side = sides[i - 1]
            y = doubled(y, side.shape[2:], self.mode) if self.mode else y
            y = self.get_submodule(f"up{i}")(torch.cat([y, side], dim=1))
        return self.up0(y) + first  # type: ignore[no-any-return]  # modules are called untyped


def doubled(x: Tensor, size: Sequence[int], mode: str) -> Tensor:
    """`x` up-sampled by 2 with half-pixel centres, then padded with zeros to `size`, the odd one at the far end."""
    y = functional.interpolate(x, scale_factor=2, mode=mode, align_corners=False)
    missing = [a - b for a, b in zip(size, y.shape[2:], strict=True)]
    pads = [pad for m in reversed(missing) for pad in (m // 2, m - m // 2)]
    return functional.pad(y, pads) if any(pads) else y


def resized(x: Tensor, size: Sequence[int], mode: str) -> Tensor:
    """`x` resized linearly to `size`, its corner elements on the new corner elements."""
    return functional.interpolate(x, size=tuple(size), mode=mode, align_corners=True)
