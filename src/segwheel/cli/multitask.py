"""The programs `main3_infer.py`, `main3_refine.py`, `main2_infer.py` and `main2_refine.py`: one function for all four.

Raw cubes are in the published layout: little-endian 32-bit floats without a header, depth fastest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segwheel.cli.multitask_options import MultitaskOptions, with_options
from segwheel.errors import InputError

if TYPE_CHECKING:
    from segwheel.learning.cubes import CubeFolder
    from segwheel.learning.multitask_checkpoint import MultitaskModel, NetworkKind
    from segwheel.learning.multitask_training import TrainingSet
    from segwheel.learning.volume_inference import VolumeTiling
    from segwheel.params.volumes import VolumeTrainParams

TASKS = ("rgt", "dhr", "fault")
FOLDERS = ("dir_data_train", "dir_target_train", "dir_data_valid", "dir_target_valid")
VOLUMES_ONLY = ("n3", "tile3")  # options that sections do not have

LIGHT: dict[str, Any] = {"lr": 2e-3, "lr_schedule": "one_cycle", "losses": "line", "augment": "True"}
PUBLISHED: dict[str, Any] = {"lr": 0.5e-4, "lr_schedule": "none", "losses": "published", "augment": "False"}
LOSSES: dict[str, dict[str, Any]] = {
    "published": {"fault_weight": 1, "angle_weight": 10, "fault": "dice", "angle": "l1"},
    "line": {"fault_weight": 2, "angle_weight": 2, "fault": "dice_bce", "angle": "line"},
}
AUGMENTATIONS: dict[bool, dict[str, Any]] = {
    False: {"flips": False, "turns": False, "contrast": 0, "noise": 0},
    True: {"flips": True, "turns": True, "contrast": 0.2, "noise": 0.2},
}


def run(ndim: int, *, refine: bool) -> None:
    """Be one of the four programs: for volumes (3 axes) or sections (2), from an image or refining attributes."""
    from segwheel.cli.app import script

    def program(options: MultitaskOptions) -> None:
        """Train a multi-task network, score one (--check), or apply one to a volume (--input)."""
        act(options, ndim, refine=refine)

    script(with_options(program, () if ndim > 2 else VOLUMES_ONLY))()


def act(options: MultitaskOptions, ndim: int, *, refine: bool) -> None:
    """Do what the options ask for."""
    if options.input:
        apply(options, options.input, ndim, refine=refine)
    elif options.check:
        check(options, options.check, ndim, refine=refine)
    else:
        train(options, ndim, refine=refine)


def train(options: MultitaskOptions, ndim: int, *, refine: bool) -> None:
    """Train, and write epoch=<n>.ckpt, best.ckpt, last.ckpt, model.pth, history.csv, tensorboard/ and plots."""
    import typer

    from segwheel.learning.checkpoint import publish
    from segwheel.learning.fitting import Layout
    from segwheel.learning.multitask_training import ALONE, train_multitask

    options = settled(options)
    typer.echo(f"network: {options.network}, learning rate: {options.lr:g}")
    kind = network_kind(options, ndim, refine=refine)
    data = training_set(options, kind)
    params = train_params(options, data.shape)
    folder = options.dir_output
    layout = Layout(folder, folder, epoch="epoch={}.ckpt", best="best.ckpt", last="last.ckpt", final="last.ckpt")
    result = train_multitask(data, kind, params, layout, options.resume, plan=replace(ALONE, nodes=options.nodes))
    publish(result.best, folder / "model.pth")
    typer.echo(f"best {result.chosen_by} {result.best_score:.4f}; model: {folder / 'model.pth'}")


def apply(options: MultitaskOptions, source: Path, ndim: int, *, refine: bool) -> None:
    """Apply a model to an image, or to the attributes SOURCE.rgt and so on; writes OUTPUT.rgt, OUTPUT.dhr ..."""
    import typer

    from segwheel.cli.progress import bar, shown_by_name
    from segwheel.domain.volume_files import WITH_SHAPE
    from segwheel.formats.raw_cube import infer_shape
    from segwheel.learning.multitask_application import apply_to_raw, raw_inputs
    from segwheel.learning.multitask_checkpoint import load_multitask

    checkpoint, output = _needed(options, "model"), _needed(options, "output")
    model = load_multitask(checkpoint, refine=refine, ndim=ndim)
    names = chosen_attributes(options, model, checkpoint)
    first = next(iter(raw_inputs(model, source).values()))
    shape = sides(options, "n", ndim)
    if not shape and first.suffix.lower() not in WITH_SHAPE:
        shape = infer_shape(first, ndim)
    with bar() as shown:
        done = apply_to_raw(model, source, output, shape, names, tiling(options, model), shown_by_name(shown))
    typer.echo(", ".join(map(str, done)))


def check(options: MultitaskOptions, checkpoint: Path, ndim: int, *, refine: bool) -> None:
    """Write predict_<i>_<attribute>.bin and check.csv of the validation samples, and tell the mean scores."""
    from rich.console import Console
    from rich.table import Table

    from segwheel.cli.progress import bar, shown_by_name
    from segwheel.learning import multitask_check
    from segwheel.learning.multitask_checkpoint import load_multitask

    model = load_multitask(checkpoint, refine=refine, ndim=ndim)
    names = chosen_attributes(options, model, checkpoint)
    data, target = _needed(options, "dir_data_valid"), _needed(options, "dir_target_valid")
    samples = cubes(options, model.kind, data, target, options.nvalid)
    with bar() as shown:
        progress = shown_by_name(shown)
        rows = multitask_check.check(model, samples, options.dir_output, names, tiling(options, model), progress)
    table = Table("score", "model", "trivial predictor")
    for words, value, trivial in multitask_check.summary(rows):
        table.add_row(words, f"{value:.4f}", "-" if trivial is None else f"{trivial:.4f}")
    Console().print(table)


def chosen_attributes(options: MultitaskOptions, model: MultitaskModel, checkpoint: Path) -> tuple[str, ...]:
    """What of a model is asked for; everything when nothing is said. Raises CheckpointError for what it lacks."""
    from segwheel.learning.multitask import attributes
    from segwheel.learning.multitask_application import require_tasks

    said = {name: getattr(options, name) for name in TASKS}
    require_tasks(model, checkpoint, [name for name, text in said.items() if text and truth(name, text)])
    chosen = [name for name in model.kind.tasks if not said[name] or truth(name, said[name])]
    return attributes(model.ndim, _some(chosen))


def tiling(options: MultitaskOptions, model: MultitaskModel) -> VolumeTiling:
    """The tiles that are predicted: as large as those that the model was trained on, unless others are given."""
    from segwheel.learning import volume_prediction

    tile = sides(options, "tile", model.ndim) or model.tile
    return volume_prediction.tiling(tile, volume_prediction.DEFAULTS.model_copy(update={"overlap": options.overlap}))


def settled(options: MultitaskOptions) -> MultitaskOptions:
    """The options with what follows from the machine and the network filled in. Raises InputError for a wrong word."""
    from segwheel.learning.networks import best_device

    if options.network is None:
        options = replace(options, network="light" if best_device().type == "cpu" else "published")
    _one_of("network", str(options.network), ("published", "light"))
    defaults = LIGHT if options.network == "light" else PUBLISHED
    options = replace(options, **{name: value for name, value in defaults.items() if getattr(options, name) is None})
    _one_of("losses", str(options.losses), tuple(LOSSES))
    _one_of("lr_schedule", str(options.lr_schedule), ("none", "one_cycle", "reduce_on_plateau"))
    _one_of("precision", options.precision, ("auto", "32", "16-mixed", "bf16-mixed"))
    return options


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(f"--{name}: expected {', '.join(known)}, found {value}")


def truth(name: str, text: str) -> bool:
    """True or False as people write them. Raises InputError for anything else."""
    for value, words in ((True, ("true", "t", "yes", "y", "1")), (False, ("false", "f", "no", "n", "0"))):
        if text.lower() in words:
            return value
    raise InputError(f"--{name}: expected True or False, found {text}")


def tasks(options: MultitaskOptions) -> tuple[str, ...]:
    """The tasks to train: those that are not switched off. Raises InputError when all are."""
    return _some([name for name in TASKS if truth(name, getattr(options, name) or "True")])


def _some(chosen: Sequence[str]) -> tuple[str, ...]:
    if not chosen:
        raise InputError("--rgt, --dhr, --fault: expected at least one to be True, found none")
    return tuple(chosen)


def network_kind(options: MultitaskOptions, ndim: int, *, refine: bool) -> NetworkKind:
    """The network that the options describe."""
    from segwheel.learning.multitask_checkpoint import NetworkKind

    described = {"design": options.network, "refine": refine, "ndim": ndim, "width": options.width}
    return NetworkKind.model_validate({**described, "tasks": tasks(options)})


def sides(options: MultitaskOptions, name: str, ndim: int) -> tuple[int, ...] | None:
    """n1, n2[, n3] (`name` n) or tile1 and so on; None when none is given. Raises InputError when only some are."""
    given = [getattr(options, f"{name}{axis}") for axis in range(1, ndim + 1)]
    if all(side is None for side in given):
        return None
    if any(side is None for side in given):
        wanted = ", ".join(f"--{name}{axis}" for axis in range(1, ndim + 1))
        raise InputError(f"expected all of {wanted} or none, found {sum(side is not None for side in given)}")
    return tuple(given)


def training_set(options: MultitaskOptions, kind: NetworkKind) -> TrainingSet:
    """The samples in the four folders. Raises InputError for a tile that is larger than they are."""
    from segwheel.learning.multitask_training import TrainingSet

    folders = [_needed(options, name) for name in FOLDERS]
    train = cubes(options, kind, folders[0], folders[1], options.ntrain)
    validation = cubes(options, kind, folders[2], folders[3], options.nvalid)
    tile = sides(options, "tile", kind.ndim) or train.shape
    if any(part > whole for part, whole in zip(tile, train.shape, strict=True)):
        expected = f"at most {' x '.join(map(str, train.shape))}, the size of the samples"
        raise InputError(f"--tile1 and so on: expected {expected}, found {' x '.join(map(str, tile))}")
    return TrainingSet(train, validation, tile, options.batch_valid)


def cubes(options: MultitaskOptions, kind: NetworkKind, data: Path, target: Path, count: int | None) -> CubeFolder:
    """The samples of two folders; their shape is that of n1, n2[, n3], or of cubes with equal edges."""
    from segwheel.formats.raw_cube import infer_shape
    from segwheel.learning.cubes import CubeFolder, first_cube

    shape = sides(options, "n", kind.ndim) or infer_shape(first_cube(data, kind.inputs), kind.ndim)
    return CubeFolder.open(data, target, (kind.inputs, kind.attributes), shape, count)


def _needed(options: MultitaskOptions, name: str) -> Path:
    path: Path | None = getattr(options, name)
    if path is None:
        raise InputError(f"--{name}: expected a path, found none")
    return path


def train_params(options: MultitaskOptions, shape: tuple[int, ...]) -> VolumeTrainParams:
    """The options as parameters of a training; what they do not cover is as the method has it."""
    from segwheel.params.volumes import VolumeTrainParams
    from segwheel.params.yaml_file import parse

    augmentation = AUGMENTATIONS[truth("augment", str(options.augment))]
    values: dict[str, Any] = {
        "augmentation": {**augmentation, "turns": augmentation["turns"] and len(set(shape[1:])) == 1},
        "model": {"network": options.network, "width": options.width, "initial_weights": options.initial_weights},
        "training": {
            **{"epochs": options.epochs, "batch_size": options.batch_train, "learning_rate": options.lr},
            **{"weight_decay": options.weight_decay, "average_decay": options.average_decay},
            **{"num_workers": options.threads, "seed": options.seed, "precision": options.precision},
            **{"devices": options.gpus_per_node},
        },
        "loss": {"rgt_weight": 5, "dhr_weight": 10, "rgt_slope": options.rgt_slope, **LOSSES[str(options.losses)]},
        "early_stopping": {"enabled": False, "patience": 1, "min_delta": 0},
        "lr_scheduler": {"name": options.lr_schedule, "factor": 0.5, "patience": 5, "min_lr": 1e-7},
        "checkpointing": {"every_n_epochs": options.save_every or max(1, options.epochs // 10)},
        "tensorboard": {"enabled": True, "pictures_every_n_epochs": options.valid_every, "pictures": 2},
        "validation": {"every_n_epochs": options.valid_every, "prediction_threshold": 0.5},
    }
    return parse(VolumeTrainParams, values, Path("command line"))
