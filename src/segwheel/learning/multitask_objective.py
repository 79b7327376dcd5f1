"""What the multi-task networks are trained for: their losses, and how well they do, on what is labelled."""

from __future__ import annotations

from collections.abc import Mapping
from math import pi

import torch
from torch import Tensor
from torch.nn import functional

from segwheel.domain.patching import UNLABELLED
from segwheel.learning.losses import BY_DICE, BY_LOSS, Ratio, Tensors
from segwheel.learning.multitask import ANGLES, unweighted
from segwheel.learning.multitask_losses import MultitaskLoss, normals

TOLERANCE = 2  # voxels by which a fault may be missed in `tolerant_iou`
SCORES = {
    "dice": "fault Dice",
    "tolerant_iou": f"fault IoU, {TOLERANCE} voxels tolerance",
    "normal_error": "angle of the fault normals (degrees)",
    "rgt_mae": "RGT, mean absolute error",
    "rgt_decreasing": "share of steps down in which RGT falls",
    "dhr_snr": "DHR, signal to noise (dB)",
}


class MultitaskObjective:
    """Losses by `MultitaskLoss`, scores as in `domain.faults` and `domain.rgt`.

    Outputs and labels are (batch, *axes). Scores of voxels are over all voxels of all batches; `tolerant_iou` and
    `dhr_snr` are means over samples. The best model has the best fault Dice, or without faults the least loss.
    """

    def __init__(self, loss: MultitaskLoss, attributes: tuple[str, ...], threshold: float) -> None:
        self.loss, self.threshold = loss, threshold
        self.selection = BY_DICE if "fsem" in attributes else BY_LOSS

    def losses(self, outputs: Tensors, labels: Tensors) -> dict[str, Tensor]:
        wanted = _with_channel({name: y for name, y in labels.items() if name in outputs})
        device = next(iter(outputs.values())).device.type
        with torch.autocast(device, enabled=False):  # the windows of SSIM want float32
            return self.loss(_with_channel(outputs), wanted)

    def scores(self, outputs: Tensors, labels: Tensors) -> dict[str, Ratio]:
        found = {name: y.float() for name, y in outputs.items()}
        scores: dict[str, Ratio] = {}
        if "fsem" in found and "fsem" in labels:
            scores |= fault_scores(found, labels, self.threshold)
        if "rgt" in found and "rgt" in labels:
            scores |= rgt_scores(found["rgt"], labels["rgt"])
        if "dhr" in found and "dhr" in labels:
            scores["dhr_snr"] = signal_to_noise(found["dhr"], labels["dhr"])
        return scores


def _with_channel(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: values[:, None] for name, values in tensors.items()}


def fault_scores(found: Tensors, labels: Tensors, threshold: float) -> dict[str, Ratio]:
    """Dice, tolerant IoU and mean angle of the normals, over labelled voxels."""
    labelled, true = labels["fsem"] != UNLABELLED, labels["fsem"] == 1
    predicted = (found["fsem"] > threshold) & labelled
    scores = {"dice": (2 * (predicted & true).sum(), predicted.sum() + true.sum())}
    scores["tolerant_iou"] = tolerant_iou(predicted, true, labelled)
    names = ANGLES[true.ndim - 1]
    if all(name in labels for name in names):
        scores["normal_error"] = normal_error(found, labels, true)
    return scores


def tolerant_iou(predicted: Tensor, true: Tensor, labelled: Tensor) -> Ratio:
    """Sum over samples of `domain.faults.tolerant_iou`, and the number of samples with a labelled voxel."""
    counts = [_count(predicted), _count(true), _count(predicted & _grown(true)), _count(true & _grown(predicted))]
    found, wanted, hits, reached = (count.double() for count in counts)
    p, q = hits / found.clamp_min(1), reached / wanted.clamp_min(1)
    iou = p * q / (p + q - p * q).clamp_min(1e-12)
    iou = torch.where((found == 0) & (wanted == 0), 1.0, iou)
    some = _count(labelled) > 0
    return (iou * some).sum(), some.sum()


def _count(mask: Tensor) -> Tensor:
    return mask.flatten(1).sum(1)


def _grown(mask: Tensor) -> Tensor:
    """Masks (batch, *axes) and everything within TOLERANCE voxels of them."""
    ndim = mask.ndim - 1
    reach = torch.arange(-TOLERANCE, TOLERANCE + 1, device=mask.device)
    distances = sum(axis**2 for axis in torch.meshgrid(*[reach] * ndim, indexing="ij"))
    ball = (distances <= TOLERANCE**2).float()[None, None]  # type: ignore[union-attr]  # a sum of tensors
    convolve = {2: functional.conv2d, 3: functional.conv3d}[ndim]
    return convolve(mask.float()[:, None], ball, padding=TOLERANCE)[:, 0] > 0.5


def normal_error(found: Tensors, labels: Tensors, true: Tensor) -> Ratio:
    """Sum of the angles in degrees between predicted and true normals, as lines, and the number of fault voxels."""
    names = ANGLES[true.ndim - 1]
    for name in names:
        true = true & ~labels[name].isnan()
    first = normals(*(unweighted(found, name)[true][:, None] for name in names))
    second = normals(*(labels[name][true][:, None] for name in names))
    chord = torch.minimum((first - second).norm(dim=1), (first + second).norm(dim=1))
    degrees = torch.asin((chord / 2).clamp_max(1)) * (360 / pi)
    return degrees.double().sum(), true.sum()


def rgt_scores(found: Tensor, label: Tensor) -> dict[str, Ratio]:
    """Mean absolute error, and the share of steps down between labelled voxels in which the predicted RGT falls."""
    known = ~label.isnan()
    error = torch.where(known, found - label, 0).abs().double().sum()
    steps = known[:, 1:] & known[:, :-1]
    falls = (found.diff(dim=1) < 0) & steps
    return {"rgt_mae": (error, known.sum()), "rgt_decreasing": (falls.sum(), steps.sum())}


def signal_to_noise(found: Tensor, label: Tensor) -> Ratio:
    """Sum over samples of 10 log10(sum of t^2 / sum of (p - t)^2) in dB, and the number of samples that have any t."""
    known = ~label.isnan()
    signal = torch.where(known, label, 0).double().square().flatten(1).sum(1)
    noise = torch.where(known, found - label, 0).double().square().flatten(1).sum(1)
    some = signal > 0
    decibels = 10 * torch.log10(signal / noise.clamp_min(1e-12 * signal.clamp_min(1e-12)))
    return torch.where(some, decibels, 0).sum(), some.sum()
