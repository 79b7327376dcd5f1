"""A tiny patch store and the parameters of a tiny training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from segwheel.formats.patch_store import PatchStore, open_patches, write_patches
from segwheel.params.images import TrainParams

TRAIN: dict[str, Any] = {
    "augmentation": {
        **{"flips": True, "rot90": True, "rotation": 10, "scale": (0.9, 1.1), "brightness": 0.2, "contrast": 0.2},
        **{"gamma": 0.1, "noise": 0.1, "blur": 0.5},
    },
    "model": {
        **{"architecture": "unet", "encoder": "resnet18", "encoder_weights": None, "in_channels": 1, "classes": 1}
    },
    "training": {
        **{"epochs": 2, "batch_size": 4, "learning_rate": 1e-3, "weight_decay": 1e-4, "average_decay": 0},
        **{"num_workers": 0, "seed": 3, "precision": "32", "devices": 1},
    },
    "loss": {"bce_weight": 1, "dice_weight": 1, "auxiliary_weight": 1},
    "early_stopping": {"enabled": False, "patience": 1, "min_delta": 0},
    "lr_scheduler": {"name": "none", "factor": 0.5, "patience": 0, "min_lr": 0},
    "checkpointing": {"every_n_epochs": 2},
    "tensorboard": {"enabled": False, "pictures_every_n_epochs": 1, "pictures": 1},
    "validation": {"every_n_epochs": 1, "prediction_threshold": 0.5},
}


def train_params(**sections: dict[str, Any]) -> TrainParams:
    """The tiny training with some values changed."""
    return TrainParams.model_validate({name: {**TRAIN[name], **sections.get(name, {})} for name in TRAIN})


def discs(count: int, size: int, seed: int = 0) -> list[tuple[Any, dict[str, Any]]]:
    """Bright discs on noise with their masks and distance maps."""
    rng = np.random.default_rng(seed)
    patches = []
    for _ in range(count):
        y, x = np.mgrid[:size, :size] - rng.uniform(0.3, 0.7, (2, 1, 1)) * size
        distance = np.clip(1 - np.hypot(y, x) / (size * 0.3), 0, None).astype(np.float32)
        mask = (distance > 0).astype(np.uint8)
        image = (2 * mask + rng.normal(0, 0.5, mask.shape)).astype(np.float32)
        patches.append((image, {"mask": mask, "distance": distance}))
    return patches


def make_store(path: Path, targets: list[str]) -> PatchStore:
    patches = [(image, {name: labels[name] for name in targets}) for image, labels in discs(8, 48)]
    attributes = {
        "patch_size": 32,
        "pixel_size_um": None,
        "normalization": {"mean": 0.5, "std": 2.0},
        "samples": ["a"] * 8,
    }
    write_patches(path, iter(patches), 8, attributes)
    return open_patches(path)
