"""Losses of the multi-task networks. Only what is labelled counts.

Predictions and targets are (batch, 1, *axes) tensors by attribute name. A voxel is unlabelled where a mask target
(fsem) is 255, where a field or angle target is NaN, and wherever the live mask is false. A target that isn't in the
batch, or is unlabelled everywhere, gives a term of exactly zero whose gradients are zeros.

The defaults are those of Gao (2024), Geophys. J. Int., doi 10.1093/gji/ggad424: RGT 5 (1 - SSIM + L1), DHR 10 MSE,
fault Dice, dip and strike 10 L1 over all labelled voxels, on and off faults.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from math import pi, prod
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from segwheel.domain.patching import UNLABELLED
from segwheel.learning.multitask import ANGLES, unweighted


@dataclass(frozen=True)
class MultitaskLoss:
    """Weights and choices of the loss terms.

    `fault`: `dice`, or `dice_bce` which adds binary cross-entropy and so keeps a gradient where Dice has none.
    `angle`: `l1` compares dip and strike as numbers; `line` compares the fault's normal as a line, sin² of the angle
    between the two, on fault voxels only: strike 0 and 180 are then the same and nothing is learned off faults.
    `rgt_slope` weighs the mean absolute error of RGT's first differences times the axis' length, summed over the axes.
    """

    rgt_weight: float = 5.0
    dhr_weight: float = 10.0
    fault_weight: float = 1.0
    angle_weight: float = 10.0
    rgt_slope: float = 0.0
    fault: Literal["dice", "dice_bce"] = "dice"
    angle: Literal["l1", "line"] = "l1"

    def __call__(
        self, prediction: Mapping[str, Tensor], target: Mapping[str, Tensor], live: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Weighted terms by attribute (`orientation` for the line of dip and strike); the loss is their sum.

        There is a term for everything predicted, so that every prediction is part of the graph.
        """
        found = {name: y.float() for name, y in prediction.items()}
        known = {name: _valid(name, y, target.get(name), live) for name, y in found.items()}
        wanted = {name: _filled(y, target.get(name), known[name]) for name, y in found.items()}
        terms = {name: self._term(name, found[name], wanted[name], known[name]) for name in found}
        if self.angle == "line" and "fsem" in found:
            names = ANGLES[found["fsem"].ndim - 2]
            terms = {name: term for name, term in terms.items() if name not in names}
            terms["orientation"] = self.angle_weight * line_loss(found, wanted, known)
        return terms

    def _term(self, name: str, found: Tensor, wanted: Tensor, known: Tensor) -> Tensor:
        error = (found - wanted).abs()
        if name == "rgt":
            similar = masked_mean(1 - ssim(found, wanted, known), known) + masked_mean(error, known)
            return self.rgt_weight * similar + (
                self.rgt_slope * slope_error(found, wanted, known) if self.rgt_slope else 0
            )
        if name == "dhr":
            return self.dhr_weight * masked_mean(error**2, known)
        if name == "fsem":
            entropy = masked_mean(cross_entropy(found, wanted), known) if self.fault == "dice_bce" else 0
            return self.fault_weight * (dice_loss(found, wanted, known) + entropy)
        return self.angle_weight * masked_mean(error, known)


def _valid(name: str, prediction: Tensor, target: Tensor | None, live: Tensor | None) -> Tensor:
    """Where `target` is labelled and the input is alive, in the shape of the prediction."""
    if target is None:
        return torch.zeros_like(prediction, dtype=torch.bool)
    labelled = target != UNLABELLED if name == "fsem" else ~target.isnan()
    return labelled if live is None else labelled & live.to(torch.bool)


def _filled(prediction: Tensor, target: Tensor | None, known: Tensor) -> Tensor:
    """`target` with zeros where it isn't known: NaN times zero is NaN, so masking must come before arithmetic."""
    zeros = torch.zeros_like(prediction)
    return zeros if target is None else torch.where(known, target.to(prediction.dtype), zeros)


def masked_mean(x: Tensor, known: Tensor) -> Tensor:
    """Mean of `x` where `known`; zero with zero gradients where nothing is."""
    return torch.where(known, x, 0).sum() / known.sum().clamp_min(1)


def dice_loss(probability: Tensor, mask: Tensor, known: Tensor) -> Tensor:
    """1 - Dice of a probability over all known voxels of the batch together, one voxel added above and below."""
    p, t = torch.where(known, probability, 0), torch.where(known, mask, 0)
    return 1 - (2 * (p * t).sum() + 1) / (p.sum() + t.sum() + 1)


def cross_entropy(probability: Tensor, mask: Tensor) -> Tensor:
    """Binary cross-entropy per voxel."""
    return functional.binary_cross_entropy_with_logits(torch.logit(probability, 1e-6), mask, reduction="none")


def slope_error(found: Tensor, wanted: Tensor, known: Tensor) -> Tensor:
    """Mean absolute error of the first differences between known neighbours, times the axis' length, over all axes."""
    total = found.new_zeros(())
    for axis in range(2, found.ndim):
        size = found.shape[axis]
        pairs = known.narrow(axis, 1, size - 1) & known.narrow(axis, 0, size - 1)
        total = total + size * masked_mean((found.diff(dim=axis) - wanted.diff(dim=axis)).abs(), pairs)
    return total


def normals(dip: Tensor, strike: Tensor | None = None) -> Tensor:
    """Unit normals (batch, number of axes, *axes) of planes whose dip and strike (angle / 180) are (batch, 1, *axes).

    (-cos d, sin d cos s, -sin d sin s) along (depth, axis 2, axis 3); without a strike (-cos d, sin d) in the section.
    """
    d = dip * pi
    if strike is None:
        return torch.cat([-d.cos(), d.sin()], dim=1)
    s = strike * pi
    return torch.cat([-d.cos(), d.sin() * s.cos(), -d.sin() * s.sin()], dim=1)


def line_loss(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor], known: Mapping[str, Tensor]) -> Tensor:
    """Mean sin² of the angle between predicted and true fault normals over the voxels of labelled faults."""
    names = ANGLES[found["fsem"].ndim - 2]
    fault = known["fsem"] & (wanted["fsem"] > 0.5)
    for name in names:
        fault = fault & known[name]
    # Faults are a few percent of the voxels: angles become normals there only.
    ours = normals(*(unweighted(found, name)[fault][:, None] for name in names))
    theirs = normals(*(wanted[name][fault][:, None] for name in names))
    return (1 - (ours * theirs).sum(dim=1) ** 2).sum() / fault.sum().clamp_min(1)


def ssim(x: Tensor, y: Tensor, known: Tensor, sigma: float = 1.5, radius: int = 5) -> Tensor:
    """Structural similarity per voxel of two (batch, 1, *axes) fields of range 1, over the known voxels only.

    Wang et al. (2004), IEEE TIP 13(4), with its Gaussian window; windows are cut to the array and to what is known, and
    their weights renormalised. The value at an unknown voxel means nothing.
    """
    k = known.to(x.dtype)
    # Two calls for six blurs, of what depends on the prediction and what does not.
    total, y1, yy = _blur(torch.cat([k, k * y, k * y * y]), sigma, radius).chunk(3)
    x1, xx, xy = _blur(torch.cat([k * x, k * x * x, k * x * y]), sigma, radius).chunk(3)
    total = total.clamp_min(1e-6)
    mean_x, mean_y, xx, yy, xy = (v / total for v in (x1, y1, xx, yy, xy))
    var_x, var_y, cov = xx - mean_x**2, yy - mean_y**2, xy - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    return ((2 * mean_x * mean_y + c1) * (2 * cov + c2)) / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))


def _blur(x: Tensor, sigma: float, radius: int) -> Tensor:
    """Truncated Gaussian weights summed along every axis; matrix products are faster here than convolutions."""
    shape = x.shape
    for axis in range(2, x.ndim):
        weights = _window(shape[axis], sigma, radius, x.device)
        x = (weights @ x.reshape(-1, shape[axis], prod(shape[axis + 1 :]))).reshape(shape)
    return x


@cache
def _window(size: int, sigma: float, radius: int, device: torch.device) -> Tensor:
    """Weights (size, size) of the neighbours of each position along an axis."""
    with torch.inference_mode(False):  # kept from a validation, it serves a training too
        i = torch.arange(size, dtype=torch.float32, device=device)
        offset = i[:, None] - i
        weights = torch.exp(-0.5 * (offset / sigma) ** 2) * (offset.abs() <= radius)
        weights /= sigma * (2 * pi) ** 0.5
        return weights
