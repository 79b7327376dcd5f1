"""The multi-task networks `mti` (image in) and `mtr` (attributes in): relative geologic time, denoised image, faults.

After Gao (2024), Geophys. J. Int., doi 10.1093/gji/ggad424, in the shape of its reference implementation: a U of nested
residual-U blocks, one decoder each for RGT and DHR, one for the faults with a head per fault attribute. Attributes of
submodules carry the reference's names, so that its weights load (`learning.reference_weights`).

Tensors are (batch, channels, *axes), depth first among the axes. A fault's dip and strike come as angle / 180 times the
fault probability, as the method defines them; `unweighted` takes the probability out again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from segwheel.domain.orientation import ANGLE_NAMES
from segwheel.errors import InputError
from segwheel.learning.residual_u import LAYERS, R1, R2, R3, ConvUnit, ResidualU, resized

TASKS = ("rgt", "dhr", "fault")
ANGLES = ANGLE_NAMES
HEADS = {"fsem": "semantic", "fdip": "dip", "fstrike": "strike"}
SMALLEST_AXIS = 16  # four halvings, and instance norm wants more than one element at the bottom


def attributes(ndim: int, tasks: Sequence[str] = TASKS) -> tuple[str, ...]:
    """Names of what `tasks` predict, in the order in which a refinement takes them: rgt, dhr, fsem, fdip[, fstrike].

    A section (two axes) has no strike. Raises InputError for a task that doesn't exist, and for none at all.
    """
    unknown = [task for task in tasks if task not in TASKS]
    if unknown or not tasks:
        raise InputError(f"tasks: expected some of {', '.join(TASKS)}, found {', '.join(unknown) or 'none'}")
    of_task = {"rgt": ("rgt",), "dhr": ("dhr",), "fault": ("fsem", *ANGLES[ndim])}
    return tuple(name for task in TASKS if task in tasks for name in of_task[task])


def unweighted(prediction: Mapping[str, Tensor], name: str) -> Tensor:
    """Angle / 180 of `name` (fdip or fstrike) without the fault probability that the networks multiply it with."""
    return prediction[name] / prediction["fsem"].clamp_min(1e-6)


def check_size(x: Tensor, channels: int, smallest: int = SMALLEST_AXIS) -> None:
    """Raise InputError unless `x` has `channels` channels and every axis at least `smallest` elements."""
    if x.shape[1] != channels or min(x.shape[2:]) < smallest:
        wanted = f"{channels} channel(s) and at least {smallest} samples along every axis"
        raise InputError(f"network input: expected {wanted}, found {x.shape[1]} and {tuple(x.shape[2:])}")


class AttributeDecoder(nn.Module):
    """From the three encoder levels to `outputs` channels at full size, without an activation."""

    def __init__(self, ndim: int, n: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.mode, conv = LAYERS[ndim].linear, LAYERS[ndim].conv
        self.decoder2 = ResidualU(ndim, R2, 6 * n, 2 * n)
        self.decoder1 = ResidualU(ndim, R1, 3 * n, n)
        self.out = nn.Sequential(
            conv(n, n, 3, padding=1), conv(n, n, 3, padding=1), conv(n, outputs, kernel, padding=kernel // 2)
        )

    def forward(self, level1: Tensor, level2: Tensor, level3: Tensor) -> Tensor:
        y = self.decoder2(torch.cat([resized(level3, level2.shape[2:], self.mode), level2], dim=1))
        y = self.decoder1(torch.cat([resized(y, level1.shape[2:], self.mode), level1], dim=1))
        return self.out(y)  # type: ignore[no-any-return]  # modules are called untyped


class FaultHead(nn.Module):
    """One fault attribute from the fault decoder's `n` channels: 0 to 1."""

    def __init__(self, ndim: int, n: int, *, norm: bool) -> None:
        super().__init__()
        widths = (n, 2 * n, 2 * n, 2 * n, n)
        self.conv = nn.Sequential(*(ConvUnit(ndim, a, b, norm=norm) for a, b in pairwise(widths)))
        self.out = nn.Sequential(LAYERS[ndim].conv(n, 1, 3, padding=1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return self.out(x + self.conv(x))  # type: ignore[no-any-return]  # modules are called untyped


class MultitaskNetwork(nn.Module):
    """`mti` (one channel in: the image) or, with `refine`, `mtr` (all attributes in, ordered as `attributes(ndim)`).

    `width` scales every number of channels; at 1 in 3D with all tasks they have 14,481,061 and 14,492,009 parameters.
    `forward` gives a (batch, 1, *axes) tensor per attribute of the tasks: rgt in 0..1, dhr, fsem in 0..1,
    fdip and fstrike as angle / 180 times fsem. A refinement takes every attribute whatever its tasks are.
    """

    def __init__(self, ndim: int, *, refine: bool = False, width: float = 1.0, tasks: Sequence[str] = TASKS) -> None:
        super().__init__()
        self.ndim, self.refine, self.width = ndim, refine, width
        self.attributes = attributes(ndim, tasks)
        self.tasks = tuple(task for task in TASKS if task in tasks)
        self.inputs = attributes(ndim) if refine else ("image",)
        n = max(1, round(16 * width))
        stem = max(1, round(4 * width))
        for i, _ in enumerate(self.inputs if refine else (), start=1):
            self.add_module(f"input{i}", nn.Sequential(ConvUnit(ndim, 1, stem), ConvUnit(ndim, stem, stem)))
        self.pool = LAYERS[ndim].pool(2)
        self.encoder1 = ResidualU(ndim, R1, len(self.inputs) * stem if refine else 1, n)
        self.encoder2 = ResidualU(ndim, R2, n, 2 * n)
        self.encoder3 = ResidualU(ndim, R3, 2 * n, 4 * n)
        for task in self.tasks:
            outputs, kernel = (n, 3) if task == "fault" else (1, 1)
            self.add_module(f"decoder_{task}", AttributeDecoder(ndim, n, outputs, kernel))
        for name in self.attributes:
            if name in HEADS:
                self.add_module(f"subdecoder_fault_{HEADS[name]}", FaultHead(ndim, n, norm=name != "fsem"))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        check_size(x, len(self.inputs))
        level1: Tensor = self.encoder1(self._stems(x) if self.refine else x)
        level2: Tensor = self.encoder2(self.pool(level1))
        level3: Tensor = self.encoder3(self.pool(level2))
        decoded = {task: self.get_submodule(f"decoder_{task}")(level1, level2, level3) for task in self.tasks}
        found = {"rgt": torch.sigmoid(decoded["rgt"].float())} if "rgt" in decoded else {}
        found |= {"dhr": decoded["dhr"]} if "dhr" in decoded else {}
        return found | (self._faults(decoded["fault"]) if "fault" in decoded else {})

    def _stems(self, x: Tensor) -> Tensor:
        stems = [self.get_submodule(f"input{i}")(x[:, i - 1 : i]) for i in range(1, len(self.inputs) + 1)]
        return torch.cat(stems, dim=1)

    def _faults(self, x: Tensor) -> dict[str, Tensor]:
        heads = {
            name: self.get_submodule(f"subdecoder_fault_{HEADS[name]}")(x) for name in ("fsem", *ANGLES[self.ndim])
        }
        return {name: y if name == "fsem" else y * heads["fsem"] for name, y in heads.items()}
