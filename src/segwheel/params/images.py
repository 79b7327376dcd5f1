"""Parameters of an image flywheel."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from segwheel.params.sections import Connectivity, FitParams, LabelsParams, Precision, Section, Share, SplitParams

Target = Literal["mask", "distance", "border"]


class GenerateParams(Section):
    """How many images to generate for a flywheel that ships without data."""

    count: PositiveInt
    size: PositiveInt  # pixels along each side
    seed: NonNegativeInt


class IngestParams(Section):
    generate: GenerateParams | None  # null: the data were imported


class PatchParams(Section):
    """Which training patches are cut out of the labelled images."""

    patch_size: PositiveInt  # pixels along each side
    patches_per_image: PositiveInt
    validation_patches_per_image: PositiveInt
    positive_ratio: Share  # share of the patches that are centred on the foreground
    negative_threshold: Share  # a patch with less foreground than this is a negative
    max_jitter: Annotated[float, Field(ge=0, le=0.5)]  # random shift of the cut, in patch sizes
    pixel_size_um: PositiveFloat | None  # training resolution; null: every image as it is
    seed: NonNegativeInt


class AugmentationParams(Section):
    flips: bool
    rot90: bool
    rotation: Annotated[float, Field(ge=0, le=180)]  # largest turn either way, degrees
    scale: tuple[PositiveFloat, PositiveFloat]  # smallest and largest magnification
    brightness: NonNegativeFloat  # largest shift, in standard deviations of the training intensities
    contrast: Annotated[float, Field(ge=0, lt=1)]  # largest relative change
    gamma: Annotated[float, Field(ge=0, lt=1)]  # largest relative change of the exponent
    noise: NonNegativeFloat  # largest standard deviation of added noise, likewise
    blur: NonNegativeFloat  # largest standard deviation of the blur, pixels


class ModelParams(Section):
    architecture: str  # a segmentation-models-pytorch architecture
    encoder: str
    encoder_weights: str | None  # a name of pretrained weights, or null: random
    in_channels: Literal[1]
    classes: PositiveInt  # outputs: one for each target


class LossParams(Section):
    bce_weight: NonNegativeFloat
    dice_weight: NonNegativeFloat
    auxiliary_weight: NonNegativeFloat  # of the targets other than the mask


class TrainParams(FitParams):
    augmentation: AugmentationParams
    model: ModelParams
    loss: LossParams


class PredictParams(Section):
    tile_size: PositiveInt
    overlap: Annotated[float, Field(ge=0, lt=1)]  # share of the tile
    window: Literal["gaussian", "cosine", "flat"]
    test_time_augmentation: Literal["none", "flips", "dihedral"]
    batch_size: PositiveInt
    precision: Precision
    merge: PositiveInt  # so many tiles along each axis are computed as one where the network allows it
    threshold: Share
    min_object_area: NonNegativeInt  # pixels
    fill_holes: NonNegativeInt  # holes up to this area are filled, pixels
    connectivity: Connectivity


class SeparationParams(Section):
    """How touching objects are told apart."""

    method: Literal["none", "distance", "probability", "distance_output"]
    smoothing: NonNegativeFloat  # standard deviation of the smoothing of the seed map, pixels
    depth: Annotated[float, Field(ge=0, lt=1)]  # how much a seed stands out, as a fraction of its height


class QuantifyParams(Section):
    objects: Literal["foreground", "background"]  # background: objects are what the mask encloses
    min_object_area: NonNegativeInt  # pixels
    fill_holes: NonNegativeInt  # holes up to this area are filled, pixels
    connectivity: Connectivity
    iou_threshold: Annotated[float, Field(gt=0, le=1)]
    separation: SeparationParams


class EvaluateParams(Section):
    pictures: NonNegativeInt  # overlays of so many of the best and of the worst images


class SelectParams(Section):
    method: Literal["boundary_uncertainty", "foreground_random"]
    count: PositiveInt
    seed: NonNegativeInt


class ImageFlywheelParams(Section):
    """One labelled problem on images: its targets and the parameters of its stages."""

    kind: Literal["images"]
    targets: tuple[Target, ...]
    ingest: IngestParams
    split: SplitParams
    patches: PatchParams
    train: TrainParams
    evaluate: EvaluateParams
    predict: PredictParams
    quantify: QuantifyParams
    select: SelectParams
    labels: LabelsParams

    @model_validator(mode="after")
    def _consistent(self) -> ImageFlywheelParams:
        check_targets(self.targets, self.train.model.classes)
        return self


def check_targets(targets: tuple[Target, ...], classes: int) -> None:
    """Raises ValueError unless the first target is the mask and the model has one output for each target."""
    if not targets or targets[0] != "mask":
        raise ValueError("the first of targets must be mask")
    if len(targets) != classes:
        raise ValueError(f"model.classes is {classes} but there are {len(targets)} targets")
