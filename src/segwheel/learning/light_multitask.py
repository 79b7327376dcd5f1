"""A light network with the inputs and attributes of `mti` and `mtr`, for machines without a GPU.

One small U of residual units (He et al. 2016) instead of four decoders of nested ones. What makes it cheap:

* Space to depth (Shi et al. 2016 the other way round). Blocks of 2 voxels along every axis become channels, so that no
  convolution runs at full size, where the published network spends most of its operations. Nothing of the image is
  lost, and the head gives the blocks back.
* One decoder and one head. Faults, horizons and the denoised image are found in the same places.
* Most units sit at the bottom, where they see the whole cube, as relative geologic time must, for little.
* Easy parts are given: RGT starts as the depth ramp and DHR as the image, in a refinement as what is refined.
* A fault's orientation is predicted as a vector along its normal, a line in space, from which dip and strike follow. As
  numbers they jump between 180 and 0 for planes that are nearly the same.

Tensors are (batch, channels, *axes), depth first among the axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import pi

import torch
from torch import Tensor, nn
from torch.nn import functional

from segwheel.learning.multitask import ANGLES, TASKS, attributes, check_size
from segwheel.learning.residual_u import LAYERS

BLOCK = 2  # voxels along each axis that become channels
RARE = -2.0  # logit of the fault probability to begin with


@dataclass(frozen=True)
class Levels:
    """The U from top to bottom: its levels are at 1/2, 1/4, 1/8 ... of the size."""

    channels: tuple[int, ...]
    units_down: tuple[int, ...]  # residual units at each level on the way down
    units_up: tuple[int, ...]  # and on the way up

    @property
    def multiple(self) -> int:
        """Sizes are padded to a multiple of this."""
        return BLOCK << (len(self.channels) - 1)


LEVELS = {
    3: Levels((24, 48, 56, 48), (0, 1, 1, 1), (0, 1, 1)),
    # Sections are cheap and wide: a deeper bottom sees as much of them as of a cube.
    2: Levels((24, 48, 64, 64, 64), (0, 1, 1, 2, 4), (0, 1, 1, 1)),
}


def to_channels(x: Tensor) -> Tensor:
    """Blocks become channels: (b, c, *n) -> (b, c * BLOCK ** axes, *n / BLOCK). Sizes must divide."""
    sizes, count = x.shape[2:], x.ndim - 2
    x = x.reshape(*x.shape[:2], *(part for n in sizes for part in (n // BLOCK, BLOCK)))
    within, between = range(3, 3 + 2 * count, 2), range(2, 2 + 2 * count, 2)
    return x.permute(0, 1, *within, *between).flatten(1, 1 + count)


def from_channels(x: Tensor) -> Tensor:
    """Channels become blocks, the inverse of `to_channels`."""
    sizes, count = x.shape[2:], x.ndim - 2
    x = x.reshape(x.shape[0], -1, *(BLOCK,) * count, *sizes)
    x = x.permute(0, 1, *(axis for i in range(count) for axis in (2 + count + i, 2 + i)))
    return x.reshape(*x.shape[:2], *(n * BLOCK for n in sizes))


def angles(vectors: Tensor) -> tuple[Tensor, ...]:
    """Dip (and in 3D strike) / 180 of the planes normal to `vectors` (batch, axes, *axes), of any length and sign.

    The inverse of `multitask_losses.normals`; each is (batch, 1, *axes). Gradients are finite everywhere.
    """
    down, second, *rest = torch.split(vectors, 1, dim=1)
    across = rest[0] if rest else -second  # in a section the second component plays both parts
    sign = torch.where(across > 0, -1.0, 1.0)
    down, second, across = sign * down, sign * second, sign * across
    if not rest:
        return (_turn(-across, -down) / pi,)
    level = torch.sqrt(second**2 + across**2 + 1e-12)
    return _turn(level, -down) / pi, _turn(-across, second) / pi


def _turn(y: Tensor, x: Tensor) -> Tensor:
    """atan2 whose gradient at the origin isn't NaN."""
    origin = (x.abs() < 1e-6) & (y.abs() < 1e-6)
    return torch.atan2(y, torch.where(origin, 1e-6, x))


class NormedConv(nn.Module):
    """Convolution without bias, instance norm with a scale and an offset per channel, ReLU."""

    def __init__(self, ndim: int, inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        layers = LAYERS[ndim]
        padding = 0 if stride > 1 else kernel // 2
        self.conv = layers.conv(inputs, outputs, kernel, stride=stride, padding=padding, bias=False)
        self.norm = layers.norm(outputs, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.norm(self.conv(x)), inplace=True)


class ResidualUnit(nn.Module):
    """Two convolutions beside an identity. They begin as nothing: the scale of the second norm is zero."""

    def __init__(self, ndim: int, n: int) -> None:
        super().__init__()
        self.first = NormedConv(ndim, n, n)
        self.second = LAYERS[ndim].conv(n, n, 3, padding=1, bias=False)
        self.norm = LAYERS[ndim].norm(n, affine=True)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.norm(self.second(self.first(x))))


class LightMultitaskNetwork(nn.Module):
    """The light counterpart of `MultitaskNetwork`: same arguments, same input channels, same outputs.

    `width` scales the number of channels; at 1 in 3D it has fewer than a million parameters. Image and DHR are expected
    at unit standard deviation. RGT is kept within 0..1 in evaluation mode only, since a cut has no gradient.
    """

    def __init__(self, ndim: int, *, refine: bool = False, width: float = 1.0, tasks: Sequence[str] = TASKS) -> None:
        super().__init__()
        self.ndim, self.refine, self.width = ndim, refine, width
        self.attributes = attributes(ndim, tasks)
        self.tasks = tuple(task for task in TASKS if task in tasks)
        self.inputs = attributes(ndim) if refine else ("image",)
        self.fields = tuple(name for name in self.attributes if name not in ANGLES[ndim])
        levels = LEVELS[ndim]
        n = [max(4, 4 * round(channels * width / 4)) for channels in levels.channels]
        self.stem = NormedConv(ndim, len(self.inputs) * BLOCK**ndim + 1, n[0])
        self.units_down = nn.ModuleList(_units(ndim, a, count) for a, count in zip(n, levels.units_down, strict=True))
        self.down = nn.ModuleList(NormedConv(ndim, a, b, kernel=2, stride=2) for a, b in pairwise(n))
        self.up = nn.ModuleList(LAYERS[ndim].conv(b, a, 1) for a, b in pairwise(n))
        self.join = nn.ModuleList(NormedConv(ndim, a, a) for a in n[:-1])
        self.units_up = nn.ModuleList(_units(ndim, a, count) for a, count in zip(n[:-1], levels.units_up, strict=True))
        self.head = LAYERS[ndim].conv(n[0], len(self.fields) * BLOCK**ndim, 1)
        self.normal = LAYERS[ndim].conv(n[0], ndim, 1) if "fault" in self.tasks else None
        self._begin()
        self.to(memory_format=LAYERS[ndim].channels_last)  # a third less time to train on a processor

    def _begin(self) -> None:
        """Start at the given parts of RGT and DHR and at rare faults."""
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.get_parameter("bias"))
        if "fsem" in self.fields:
            bias = self.head.get_parameter("bias").view(len(self.fields), -1)
            nn.init.constant_(bias[self.fields.index("fsem")], RARE)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        check_size(x, len(self.inputs))
        size = x.shape[2:]
        x = _padded(x, LEVELS[self.ndim].multiple)
        ramp = _ramp(x, size[0])
        features = self._features(x, ramp)
        parts = torch.split(from_channels(self.head(features)), 1, dim=1)
        found = dict(zip(self.fields, parts, strict=True))
        if "rgt" in found:
            rgt = found["rgt"] + (self._given(x, "rgt") if self.refine else ramp)
            found["rgt"] = rgt if self.training else rgt.clamp(0, 1)
        if "dhr" in found:
            found["dhr"] = found["dhr"] + self._given(x, "dhr" if self.refine else "image")
        if self.normal is not None:
            found |= self._faults(found["fsem"], self.normal(features))
        inside = (slice(None), slice(None), *(slice(0, n) for n in size))
        return {name: found[name][inside] for name in self.attributes}

    def _features(self, x: Tensor, ramp: Tensor) -> Tensor:
        coarse_ramp = ramp[:, :, ::BLOCK].expand(len(x), -1, *(n // BLOCK for n in x.shape[2:]))
        y: Tensor = self.stem(torch.cat([to_channels(x), coarse_ramp], dim=1))
        sides = []
        for units, down in zip(self.units_down[:-1], self.down, strict=True):
            sides.append(units(y))
            y = down(sides[-1])
        y = self.units_down[-1](y)
        for i in range(len(sides) - 1, -1, -1):
            above = functional.interpolate(self.up[i](y), scale_factor=2, mode=LAYERS[self.ndim].linear)
            y = self.units_up[i](self.join[i](above + sides[i]))
        return y

    def _given(self, x: Tensor, name: str) -> Tensor:
        channel = self.inputs.index(name)
        return x[:, channel : channel + 1]

    def _faults(self, logit: Tensor, vectors: Tensor) -> dict[str, Tensor]:
        fsem = torch.sigmoid(logit.float())  # near 1, half the bits leave steps that cross-entropy cannot learn from
        names = ANGLES[self.ndim]
        # Neighbouring vectors may point opposite ways along the same line: repeat them, never interpolate.
        full = [functional.interpolate(angle, scale_factor=BLOCK, mode="nearest") for angle in angles(vectors)]
        return {"fsem": fsem} | {name: angle * fsem for name, angle in zip(names, full, strict=True)}


def _units(ndim: int, n: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualUnit(ndim, n) for _ in range(count)))


def _padded(x: Tensor, multiple: int) -> Tensor:
    """`x` continued with its far border to a multiple, twice at least: norms want more than one element."""
    missing = [max(2 * multiple, -(-n // multiple) * multiple) - n for n in x.shape[2:]]
    pads = [pad for m in reversed(missing) for pad in (0, m)]
    return functional.pad(x, pads, mode="replicate") if any(pads) else x


def _ramp(x: Tensor, rows: int) -> Tensor:
    """Depth from 0 to 1 over the first `rows` and on at that slope: (1, 1, depth, 1[, 1])."""
    ramp = torch.arange(x.shape[2], dtype=x.dtype, device=x.device) / (rows - 1)
    return ramp.reshape(1, 1, -1, *(1,) * (x.ndim - 3))
