"""Losses and scores of image targets. Only what is labelled counts.

Outputs are logits, one tensor (batch, y, x) for each target. Labels of masks are uint8 with 255 for unlabelled,
labels of derived targets float32 with NaN for unlabelled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, nan
from typing import Literal, Protocol

import torch
import torch.nn.functional as F  # noqa: N812  the name that everybody uses
from torch import Tensor

from segwheel.domain.patching import UNLABELLED
from segwheel.params.images import LossParams

Tensors = Mapping[str, Tensor]
Ratio = tuple[Tensor, Tensor]  # numerator and denominator, to be summed over batches before dividing
OVERLAPS = ("dice", "iou")  # scores that are perfect when there was nothing to find and nothing was found


@dataclass(frozen=True)
class Selection:
    """The score that chooses the best model: its name, whether more or less of it is better, where it begins."""

    name: str
    mode: Literal["max", "min"]
    worst: float

    def better(self, first: float, second: float) -> float:
        """The better of two scores, the first where the second is NaN."""
        return max(first, second) if self.mode == "max" else min(first, second)


BY_DICE, BY_LOSS = Selection("dice", "max", 0.0), Selection("loss", "min", inf)


class Objective(Protocol):
    """What a network is trained for."""

    @property
    def selection(self) -> Selection:
        """What the best model is chosen by, on the validation samples."""

    def losses(self, outputs: Tensors, labels: Tensors) -> dict[str, Tensor]:
        """Weighted terms of the loss, to be added up; zero with zero gradient where nothing is labelled."""

    def scores(self, outputs: Tensors, labels: Tensors) -> dict[str, Ratio]:
        """Scores as sums over this batch."""


class ImageObjective:
    """Binary cross-entropy and soft Dice of the mask, binary cross-entropy of derived targets.

    Soft Dice is that of Milletari et al. (2016), "V-Net", without squares, over the whole batch. Cross-entropy also
    fits targets between 0 and 1, such as the normalised distance.
    """

    selection = BY_DICE

    def __init__(self, params: LossParams, threshold: float) -> None:
        self.params, self.threshold = params, threshold

    def losses(self, outputs: Tensors, labels: Tensors) -> dict[str, Tensor]:
        logits, label = outputs["mask"], labels["mask"]
        labelled = (label != UNLABELLED).float()
        truth = (label == 1).float()
        terms = {
            "bce": self.params.bce_weight * _mean(cross_entropy(logits, truth), labelled),
            "soft_dice": self.params.dice_weight * soft_dice_loss(logits.sigmoid(), truth, labelled),
        }
        for name in outputs.keys() - {"mask"}:
            known = (~labels[name].isnan()).float()
            loss = cross_entropy(outputs[name], labels[name].nan_to_num())
            terms[name] = self.params.auxiliary_weight * _mean(loss, known)
        return terms

    def scores(self, outputs: Tensors, labels: Tensors) -> dict[str, Ratio]:
        label = labels["mask"]
        labelled, truth = label != UNLABELLED, label == 1
        predicted = (outputs["mask"].sigmoid() > self.threshold) & labelled
        both = (predicted & truth).sum()
        either = predicted.sum() + truth.sum()
        return {"dice": (2 * both, either), "iou": (both, either - both)}


def cross_entropy(logits: Tensor, truth: Tensor) -> Tensor:
    """Binary cross-entropy of each element."""
    return F.binary_cross_entropy_with_logits(logits, truth, reduction="none")


def soft_dice_loss(probability: Tensor, truth: Tensor, labelled: Tensor) -> Tensor:
    """1 - 2 sum(p t) / (sum p + sum t) over labelled elements; 0 when both are empty there."""
    both = (probability * truth * labelled).sum()
    either = ((probability + truth) * labelled).sum()
    return 1 - (2 * both + 1) / (either + 1)


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum() / weights.sum().clamp(min=1)


def ratio(name: str, sums: Ratio) -> float:
    """A score from its sums; of nothing it is 1 for an overlap and NaN for anything else."""
    numerator, denominator = (float(value) for value in sums)
    if not denominator:
        return 1.0 if name in OVERLAPS else nan
    return numerator / denominator


def stacked(sums: Mapping[str, Ratio]) -> Tensor:
    """The sums of all scores as one tensor (scores, 2), so that devices can exchange them in one go."""
    return torch.stack([torch.stack([part.float() for part in pair]) for pair in sums.values()])
