"""Parameters, one frozen model per section of params.yaml. There are no defaults and no unknown keys: what is not
in the file is not a parameter, and DVC sees every value that has an effect."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from segwheel.errors import MissingError, ParamsError

Share = Annotated[float, Field(ge=0, le=1)]
Connectivity = Literal[4, 8]  # neighbours of a pixel
Precision = Literal["auto", "32", "16-mixed", "bf16-mixed"]
Target = Literal["mask", "distance", "border"]
Task = Literal["rgt", "dhr", "fault"]  # of the multi-task networks
Shape = tuple[PositiveInt, PositiveInt] | tuple[PositiveInt, PositiveInt, PositiveInt]  # voxels, depth first


class Section(BaseModel):
    """Base of all sections."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class GenerateParams(Section):
    """How many images to generate for a flywheel that ships without data."""

    count: PositiveInt
    size: PositiveInt  # pixels along each side
    seed: NonNegativeInt


class IngestParams(Section):
    generate: GenerateParams | None  # null: the data were imported


class SplitParams(Section):
    seed: NonNegativeInt
    train_ratio: Share
    val_ratio: Share
    test_ratio: Share


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


class LossParams(Section):
    bce_weight: NonNegativeFloat
    dice_weight: NonNegativeFloat
    auxiliary_weight: NonNegativeFloat  # of the targets other than the mask


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


class LabelsParams(Section):
    """How people correct in Label Studio."""

    annotators: PositiveInt  # people who are asked about each task
    rule: Literal["latest", "majority"]  # whose label counts when several people gave one


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
        _check_targets(self.targets, self.train.model.classes)
        return self


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


FlywheelParams = ImageFlywheelParams | VolumeFlywheelParams
KINDS: dict[str, type[ImageFlywheelParams] | type[VolumeFlywheelParams]] = {
    "images": ImageFlywheelParams,
    "volumes": VolumeFlywheelParams,
}


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
        _check_targets(self.dataset.targets, self.model.classes)
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


def _check_targets(targets: tuple[Target, ...], classes: int) -> None:
    if not targets or targets[0] != "mask":
        raise ValueError("the first of targets must be mask")
    if len(targets) != classes:
        raise ValueError(f"model.classes is {classes} but there are {len(targets)} targets")


Model = TypeVar("Model", bound=BaseModel)


def read_yaml(path: Path) -> Any:
    """A YAML file as plain dicts and lists. Raises MissingError and ParamsError."""
    if not path.is_file():
        raise MissingError(path, what="configuration file")
    try:
        return YAML(typ="safe", pure=True).load(path)
    except (YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(path, expected="YAML", found=" ".join(str(error).split())) from error


def parse(model: type[Model], values: Any, path: Path, prefix: str = "") -> Model:
    """`values` as a `model`. Raises ParamsError that names every wrong key with its dotted name."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problems = [
            f"{'.'.join(str(part) for part in (*filter(None, [prefix]), *problem['loc']))}: {problem['msg']}"
            for problem in error.errors()
        ]
        raise ParamsError(path, expected=f"valid {model.__name__}", found="; ".join(problems)) from error


def read_flywheel(path: Path, flywheel: str) -> FlywheelParams:
    """The section of one flywheel in params.yaml. Raises ParamsError when there is none or it is not valid."""
    values = read_yaml(path)
    names = values.get("flywheels", []) if isinstance(values, dict) else []
    if flywheel not in names or flywheel not in values:
        raise ParamsError(
            path, expected=f"a flywheel called {flywheel}", found=f"flywheels {', '.join(names) or 'none'}"
        )
    section = values[flywheel]
    kind = section.get("kind") if isinstance(section, dict) else None
    if kind not in KINDS:
        raise ParamsError(path, expected=f"{flywheel}.kind to be {' or '.join(KINDS)}", found=repr(kind))
    return parse(KINDS[kind], section, path, flywheel)


def read_train_config(path: Path) -> TrainConfig:
    """A stand-alone training configuration."""
    return parse(TrainConfig, read_yaml(path), path)
