"""Sections of params.yaml that flywheels of every kind have. There are no defaults and no unknown keys: what is not in
the file is not a parameter, and DVC sees every value that has an effect."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

Share = Annotated[float, Field(ge=0, le=1)]
Connectivity = Literal[4, 8]  # neighbours of a pixel
Precision = Literal["auto", "32", "16-mixed", "bf16-mixed"]


class Section(BaseModel):
    """Base of all sections."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class SplitParams(Section):
    seed: NonNegativeInt
    train_ratio: Share
    val_ratio: Share
    test_ratio: Share


class TrainingParams(Section):
    epochs: PositiveInt
    batch_size: PositiveInt
    learning_rate: PositiveFloat
    weight_decay: NonNegativeFloat
    average_decay: Annotated[float, Field(ge=0, lt=1)]  # of the exponential moving average of the weights; 0: none
    num_workers: NonNegativeInt
    seed: NonNegativeInt
    precision: Precision
    devices: PositiveInt


class EarlyStoppingParams(Section):
    enabled: bool
    patience: PositiveInt  # validations without a better Dice
    min_delta: NonNegativeFloat


class SchedulerParams(Section):
    name: Literal["reduce_on_plateau", "one_cycle", "none"]
    factor: Annotated[float, Field(gt=0, lt=1)]  # reduce_on_plateau: multiplies the learning rate
    patience: NonNegativeInt  # reduce_on_plateau: validations without a better loss
    min_lr: NonNegativeFloat


class CheckpointingParams(Section):
    every_n_epochs: PositiveInt


class TensorboardParams(Section):
    enabled: bool
    pictures_every_n_epochs: PositiveInt
    pictures: NonNegativeInt  # sample pictures of each validation


class ValidationParams(Section):
    every_n_epochs: PositiveInt
    prediction_threshold: Share


class FitParams(Section):
    """What training any network takes."""

    training: TrainingParams
    early_stopping: EarlyStoppingParams
    lr_scheduler: SchedulerParams
    checkpointing: CheckpointingParams
    tensorboard: TensorboardParams
    validation: ValidationParams


class LabelsParams(Section):
    """How people correct in Label Studio."""

    annotators: PositiveInt  # people who are asked about each task
    rule: Literal["latest", "majority"]  # whose label counts when several people gave one
