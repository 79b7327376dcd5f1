"""Training an image network on a patch store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import Tensor, nn

from segwheel.formats.patch_store import PatchStore
from segwheel.learning.curves import LOSS_AND_DICE
from segwheel.learning.dataset import PatchDataset
from segwheel.learning.fitting import Layout, OnEpoch, Plan, TrainingData, TrainingRun, fit
from segwheel.learning.losses import ImageObjective
from segwheel.learning.networks import build_network
from segwheel.learning.pictures import mask_rows
from segwheel.learning.segmenter import Segmenter
from segwheel.params.images import TrainParams

PLAN = Plan(mask_rows, {"loss_plot.png": LOSS_AND_DICE})


@dataclass(frozen=True)
class ChannelOutputs:
    """Applies an image network: its channels are `targets`."""

    targets: Sequence[str]

    def __call__(self, network: nn.Module, image: Tensor) -> dict[str, Tensor]:
        output = network(image.contiguous(memory_format=torch.channels_last))
        return dict(zip(self.targets, output.unbind(1), strict=True))


def train_network(
    train: PatchStore,
    validation: PatchStore | None,
    params: TrainParams,
    folder: Path,
    resume: Path | None = None,
    on_epoch: OnEpoch | None = None,
    *,
    progress: bool = True,
) -> TrainingRun:
    """Train on a patch store and write checkpoints/, tensorboard/, history.csv and loss_plot.png to `folder`.

    Without a validation store the training patches serve, uncut and unaugmented: the Dice is then training
    performance. With `resume` a checkpoint of this function is continued exactly. Raises CheckpointError when
    `resume` holds another network.
    """
    lightning.seed_everything(params.training.seed, workers=True, verbose=False)
    data = TrainingData(
        PatchDataset(train, params.augmentation, params.training.seed),
        PatchDataset(validation or train, None, params.training.seed),
        params.training,
        params.training.batch_size,
    )
    segmenter = build_segmenter(train, params)
    return fit(segmenter, data, params, Layout.in_folder(folder), PLAN, resume, on_epoch, progress=progress)


def build_segmenter(store: PatchStore, params: TrainParams) -> Segmenter:
    """The module that trains on `store`."""
    targets = tuple(sorted(store.targets, key=lambda name: name != "mask"))  # the first channel is the mask
    description: dict[str, Any] = {
        "model": params.model.model_dump(),
        "targets": list(targets),
        "normalization": dict(store.attributes["normalization"]),
        "pixel_size_um": store.attributes["pixel_size_um"],
        "prediction_threshold": params.validation.prediction_threshold,
    }
    network = build_network(params.model).to(memory_format=torch.channels_last)
    objective = ImageObjective(params.loss, params.validation.prediction_threshold)
    outputs = ChannelOutputs(targets)
    return Segmenter(network, outputs, objective, params.training, params.lr_scheduler, description)
