"""The stand-alone training configuration."""

from __future__ import annotations

from pathlib import Path

from pydantic import model_validator

from segwheel.params.images import (
    AugmentationParams,
    LossParams,
    ModelParams,
    PatchParams,
    Target,
    TrainParams,
    check_targets,
)
from segwheel.params.sections import (
    CheckpointingParams,
    EarlyStoppingParams,
    SchedulerParams,
    Section,
    TensorboardParams,
    TrainingParams,
    ValidationParams,
)
from segwheel.params.yaml_file import parse, read_yaml


class DataPaths(Section):
    train_manifest: Path
    val_manifest: Path | None  # null: validate on the training images
    data_root: Path


class DatasetParams(PatchParams):
    targets: tuple[Target, ...]
    augmentation: AugmentationParams


class OutputParams(Section):
    runs_dir: Path


class TrainConfig(Section):
    """The stand-alone training configuration, `configs/production_train.yaml`."""

    data: DataPaths
    dataset: DatasetParams
    model: ModelParams
    training: TrainingParams
    loss: LossParams
    early_stopping: EarlyStoppingParams
    lr_scheduler: SchedulerParams
    checkpointing: CheckpointingParams
    tensorboard: TensorboardParams
    output: OutputParams
    validation: ValidationParams

    @model_validator(mode="after")
    def _consistent(self) -> TrainConfig:
        check_targets(self.dataset.targets, self.model.classes)
        return self

    @property
    def patches(self) -> PatchParams:
        """The sampling part of the dataset section."""
        return PatchParams(**self.dataset.model_dump(include=set(PatchParams.model_fields)))

    @property
    def train(self) -> TrainParams:
        """The sections that the train stage has in params.yaml."""
        shared = set(TrainParams.model_fields) - {"augmentation"}
        return TrainParams(augmentation=self.dataset.augmentation, **{name: getattr(self, name) for name in shared})


def read_train_config(path: Path) -> TrainConfig:
    """A stand-alone training configuration."""
    return parse(TrainConfig, read_yaml(path), path)
