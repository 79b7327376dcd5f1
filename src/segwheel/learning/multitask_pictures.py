"""Pictures of what a multi-task network predicts while it trains: slices through the middle of each sample."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from segwheel.domain.patching import UNLABELLED
from segwheel.domain.volume_views import IMAGE, views_of_arrays
from segwheel.formats.seismic_picture import rendered, seismic_figure
from segwheel.learning.pictures import stretched

PICTURED = ("dhr", "rgt", "fsem", "fdip", "fstrike")


def pictures(outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The predicted attributes as `segwheel show` draws them, and each of them beside the truth."""
    return {"slices": _figures(outputs, batch)} | _beside_truth(outputs, batch)


def _figures(outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> Tensor:
    """Pictures (samples, 3, y, x)."""
    values = {IMAGE: batch["image"][:, 0], **{name: outputs[name] for name in PICTURED if name in outputs}}
    arrays = {name: one.float().cpu().numpy() for name, one in values.items()}
    samples = ({name: one[i] for name, one in arrays.items()} for i in range(len(arrays[IMAGE])))
    drawn = np.stack([rendered(seismic_figure(views_of_arrays(sample))) for sample in samples])
    return torch.from_numpy(drawn).movedim(-1, 1) / 255


def _beside_truth(outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """For each attribute a picture (samples, 1, depth, 3 x lateral): first input, truth and prediction side by side.

    Volumes are cut across their last axis. DHR has the range of the truth; everything else is 0..1, 0 where unlabelled.
    """
    first = stretched(_section(batch["image"][:, 0]))
    return {
        f"{name}: input, truth, prediction": torch.cat([first, *_pair(name, outputs, batch)], dim=2)[:, None]
        for name in PICTURED
        if name in outputs and name in batch
    }


def _section(values: Tensor) -> Tensor:
    """(samples, *axes) to (samples, depth, axis 2), through the middle."""
    return values.float() if values.ndim == 3 else values[..., values.shape[-1] // 2].float()


def _pair(name: str, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    found, wanted = _section(outputs[name]), _section(batch[name])
    wanted = torch.where(wanted == UNLABELLED, 0, wanted) if name == "fsem" else wanted.nan_to_num()
    if name == "dhr":
        low, high = wanted.amin((1, 2), keepdim=True), wanted.amax((1, 2), keepdim=True)
        span = (high - low).clamp_min(1e-6)
        found, wanted = (found - low) / span, (wanted - low) / span
    return wanted.clamp(0, 1), found.clamp(0, 1)
