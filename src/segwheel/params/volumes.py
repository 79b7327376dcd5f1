"""Parameters of a volume flywheel."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from segwheel.params.sections import FitParams, LabelsParams, Section, Share, SplitParams

Task = Literal["rgt", "dhr", "fault"]  # of the multi-task networks
Shape = tuple[PositiveInt, PositiveInt] | tuple[PositiveInt, PositiveInt, PositiveInt]  # voxels, depth first


class GenerateVolumesParams(Section):
    """Generated seismic volumes with known attributes."""

    count: PositiveInt
    shape: Shape
    recipe: Literal["published", "field"]  # `domain.synthesis.recipe`
    seed: NonNegativeInt


class VolumeIngestParams(Section):
    generate: GenerateVolumesParams | None  # null: the data were imported


class VolumePatchParams(Section):
    """Which training patches are cut out of the labelled volumes."""

    shape: Shape  # also the tile of prediction: instance norm makes a network depend on it
    patches_per_volume: PositiveInt
    validation_patches_per_volume: PositiveInt
    positive_ratio: Share  # share of the patches that are centred on labelled faults, the rest on anything labelled
    generated: GenerateVolumesParams | None  # volumes of known truth, trained on beside the labelled ones
    seed: NonNegativeInt

    @model_validator(mode="after")
    def _generated_hold_patches(self) -> VolumePatchParams:
        made = self.generated.shape if self.generated else self.shape
        if len(made) != len(self.shape) or any(n < size for n, size in zip(made, self.shape, strict=False)):
            raise ValueError(f"generated.shape is {made}, which holds no patch of {self.shape}")
        return self


class VolumeAugmentationParams(Section):
    flips: bool  # of the lateral axes
    turns: bool  # lateral axes exchanged; they must be of one length
    contrast: Annotated[float, Field(ge=0, lt=1)]  # largest relative change
    noise: NonNegativeFloat  # largest standard deviation of added noise, in those of the image


class MultitaskModelParams(Section):
    network: Literal["light", "published"]
    width: PositiveFloat  # scales the number of channels
    initial_weights: str | None  # name of weights that ship with segwheel, or a model file; null: random


class MultitaskLossParams(Section):
    """See `learning.multitask_losses.MultitaskLoss`."""

    rgt_weight: NonNegativeFloat
    dhr_weight: NonNegativeFloat
    fault_weight: NonNegativeFloat
    angle_weight: NonNegativeFloat
    rgt_slope: NonNegativeFloat
    fault: Literal["dice", "dice_bce"]
    angle: Literal["l1", "line"]


class VolumeTrainParams(FitParams):
    augmentation: VolumeAugmentationParams
    model: MultitaskModelParams
    loss: MultitaskLossParams


class VolumePredictParams(Section):
    overlap: Annotated[float, Field(ge=0, lt=1)]  # share of the tile, along every axis
    window: Literal["gaussian", "cosine", "flat"]
    batch_size: PositiveInt
    threshold: Share  # fault probability from which on a voxel is a fault


class VolumeQuantifyParams(Section):
    min_fault_voxels: PositiveInt  # smaller connected bodies are not counted as faults
    stick_spacing: PositiveInt  # lines from one section with fault sticks to the next


class VolumeEvaluateParams(Section):
    pictures: NonNegativeInt  # of so many of the best and of the worst volumes
    tolerance: NonNegativeInt  # voxels, of the tolerant IoU of faults


class VolumeSelectParams(Section):
    method: Literal["boundary_uncertainty", "foreground_random"]
    count: PositiveInt  # slices
    axes: tuple[Literal["depth", "inline", "crossline"], ...]  # that slices are taken across
    spacing: PositiveInt  # of the candidates along an axis, and least distance of two parallel slices in the queue
    seed: NonNegativeInt


class VolumeFlywheelParams(Section):
    """One labelled problem on seismic volumes: its tasks and the parameters of its stages."""

    kind: Literal["volumes"]
    targets: tuple[Task, ...]
    ingest: VolumeIngestParams
    split: SplitParams
    patches: VolumePatchParams
    train: VolumeTrainParams
    evaluate: VolumeEvaluateParams
    predict: VolumePredictParams
    quantify: VolumeQuantifyParams
    select: VolumeSelectParams
    labels: LabelsParams
