"""Tiny cubes in the published layout, and the parameters of a tiny training of a multi-task network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from segwheel.domain.synthesis.cubes import SeismicSet, write_set
from segwheel.domain.synthesis.recipe import RECIPES
from segwheel.learning.cubes import CubeFolder
from segwheel.learning.multitask_checkpoint import NetworkKind
from segwheel.params.volumes import VolumeTrainParams

VOLUME_TRAIN: dict[str, Any] = {
    "augmentation": {"flips": True, "turns": True, "contrast": 0.2, "noise": 0.2},
    "model": {"network": "light", "width": 0.1, "initial_weights": None},
    "training": {
        **{"epochs": 2, "batch_size": 2, "learning_rate": 2e-3, "weight_decay": 0, "average_decay": 0},
        **{"num_workers": 0, "seed": 3, "precision": "32", "devices": 1},
    },
    "loss": {
        **{"rgt_weight": 5, "dhr_weight": 10, "fault_weight": 2, "angle_weight": 2, "rgt_slope": 0},
        **{"fault": "dice_bce", "angle": "line"},
    },
    "early_stopping": {"enabled": False, "patience": 1, "min_delta": 0},
    "lr_scheduler": {"name": "none", "factor": 0.5, "patience": 0, "min_lr": 0},
    "checkpointing": {"every_n_epochs": 1},
    "tensorboard": {"enabled": False, "pictures_every_n_epochs": 1, "pictures": 1},
    "validation": {"every_n_epochs": 1, "prediction_threshold": 0.5},
}


def volume_train_params(**sections: dict[str, Any]) -> VolumeTrainParams:
    """The tiny training with some values changed."""
    changed = {name: {**VOLUME_TRAIN[name], **sections.get(name, {})} for name in VOLUME_TRAIN}
    return VolumeTrainParams.model_validate(changed)


def kind(ndim: int = 3, tasks: tuple[str, ...] = ("rgt", "dhr", "fault"), **changed: Any) -> NetworkKind:
    described = {"design": "light", "refine": False, "ndim": ndim, "width": 0.1, "tasks": tasks}
    return NetworkKind.model_validate({**described, **changed})


def write_cubes(folder: Path, shape: tuple[int, ...], count: int, seed: int = 0) -> Path:
    """`folder`/data and `folder`/target with `count` samples."""
    for _ in write_set(folder, SeismicSet(shape, seed, RECIPES["published"]), count):
        pass
    return folder


def open_cubes(folder: Path, shape: tuple[int, ...], network: NetworkKind) -> CubeFolder:
    return CubeFolder.open(folder / "data", folder / "target", (network.inputs, network.attributes), shape)
