"""Training a multi-task network on numbered cubes or on patches of volumes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import lightning
from torch import Tensor, nn

from segwheel.formats.patch_store import PatchStore
from segwheel.learning.cubes import CubeDataset, Samples, StoredCubes
from segwheel.learning.curves import LOSS_AND_DICE
from segwheel.learning.fitting import Layout, OnEpoch, Plan, TrainingData, TrainingRun, fit
from segwheel.learning.multitask_checkpoint import NetworkKind, describe, load_initial
from segwheel.learning.multitask_losses import MultitaskLoss
from segwheel.learning.multitask_objective import SCORES, MultitaskObjective
from segwheel.learning.multitask_pictures import pictures
from segwheel.learning.segmenter import Segmenter
from segwheel.params.volumes import VolumeTrainParams

IMAGE_STD = 1.0  # of what is trained on
ALONE = Plan(pictures, {"loss_plot.png": LOSS_AND_DICE, "accuracy_plot.png": SCORES})
STAGE = Plan(pictures, {"loss_plot.png": {"loss": "loss", **SCORES}})  # one picture, as image networks have


@dataclass(frozen=True)
class TrainingSet:
    """Samples to train and to validate on, and the shape that they are cut to."""

    train: Samples
    validation: Samples
    shape: tuple[int, ...]
    validation_batch: int = 1


def attribute_outputs(network: nn.Module, image: Tensor) -> dict[str, Tensor]:
    """Applies a multi-task network: its attributes (batch, *axes)."""
    return {name: values[:, 0] for name, values in network(image).items()}


def train_multitask(
    data: TrainingSet,
    kind: NetworkKind,
    params: VolumeTrainParams,
    layout: Layout,
    resume: Path | None = None,
    on_epoch: OnEpoch | None = None,
    *,
    plan: Plan = ALONE,
    progress: bool = True,
) -> TrainingRun:
    """Train a network of `kind` and write what `fitting.fit` writes. With `resume` a checkpoint is continued exactly.

    Raises CheckpointError when `resume` or the initial weights are of another network.
    """
    lightning.seed_everything(params.training.seed, workers=True, verbose=False)
    seed = params.training.seed
    loaders = TrainingData(
        CubeDataset(data.train, data.shape, params.augmentation, seed),
        CubeDataset(data.validation, data.shape, None, seed),
        params.training,
        data.validation_batch,
    )
    segmenter = build_multitask_segmenter(kind, data.shape, params)
    return fit(segmenter, loaders, params, layout, plan, resume, on_epoch, progress=progress)


def train_stored(
    train: PatchStore,
    validation: PatchStore | None,
    params: VolumeTrainParams,
    folder: Path,
    resume: Path | None = None,
    on_epoch: OnEpoch | None = None,
    *,
    progress: bool = True,
) -> TrainingRun:
    """Train on the patches of volumes and write checkpoints/, tensorboard/, history.csv and the plots to `folder`.

    Without a validation store the training patches serve, as `training.train_network` has it.
    """
    shape, model = tuple(train.attributes["patch_shape"]), params.model
    described = {"design": model.network, "width": model.width, "refine": False, "ndim": len(shape)}
    kind = NetworkKind.model_validate({**described, "tasks": train.attributes["targets"]})
    data = TrainingSet(StoredCubes(train), StoredCubes(validation or train), shape, params.training.batch_size)
    layout = Layout.in_folder(folder)
    return train_multitask(data, kind, params, layout, resume, on_epoch, plan=STAGE, progress=progress)


def build_multitask_segmenter(kind: NetworkKind, tile: tuple[int, ...], params: VolumeTrainParams) -> Segmenter:
    """The module that trains a network of `kind` on samples of the shape `tile`."""
    network, threshold = kind.build(), params.validation.prediction_threshold
    if params.model.initial_weights:
        load_initial(network, kind, params.model.initial_weights)
    objective = MultitaskObjective(MultitaskLoss(**params.loss.model_dump()), kind.attributes, threshold)
    description = describe(kind, tile, IMAGE_STD, threshold)
    return Segmenter(network, attribute_outputs, objective, params.training, params.lr_scheduler, description)
