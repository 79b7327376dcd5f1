"""The questions of the guided set-up, as data: what is asked, what it means, what is a valid answer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from segwheel.domain.manifest import read_manifest
from segwheel.errors import FormatError, InputError, MissingError
from segwheel.params import read_train_config
from segwheel.review import cubes

Answers = Mapping[str, str]  # what was answered so far, by name of the option
Check = Callable[[str, Answers], str]  # the answer as the command takes it; raises SegwheelError
Default = Callable[[Answers], str]

LEARNING_RATES = {"published": "0.5e-4", "light": "2e-3"}  # by network, as its programs have it
NOTHING = "none"  # the answer that leaves an option out
_ATTRIBUTES = {"rgt": ("rgt",), "dhr": ("dhr",), "fault": ("fsem", "fdip", "fstrike")}


@dataclass(frozen=True)
class Question:
    """One option of a command."""

    name: str
    text: str
    check: Check
    default: Default = lambda _: ""  # "" when nothing can be proposed


@dataclass(frozen=True)
class Task:
    """Something that can be trained: a command and its options, in the order of asking."""

    title: str
    text: str
    command: tuple[str, ...]  # as a person types it in the checkout
    questions: tuple[Question, ...]


def always(value: str) -> Default:
    return lambda _: value


def optional(check: Check) -> Check:
    """`check`, with `none` as an answer that leaves the option out."""
    return lambda text, answers: "" if text.lower() == NOTHING else check(text, answers)


def whole_number(lowest: int, highest: Callable[[Answers], int | None] = lambda _: None) -> Check:
    """A whole number from `lowest` to `highest`, both included."""

    def check(text: str, answers: Answers) -> str:
        top = highest(answers)
        digits = text.replace("_", "")
        if not (digits.isdecimal() and int(digits) >= lowest and (top is None or int(digits) <= top)):
            span = f"of at least {lowest}" if top is None else f"from {lowest} to {top}"
            raise InputError(f"expected a whole number {span}, found {text!r}")
        return str(int(digits))

    return check


def rate(text: str, _: Answers) -> str:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not (isfinite(value) and 0 < value < 1):
        raise InputError(f"expected a number between 0 and 1 such as 1e-4, found {text!r}")
    return text


def network(text: str, _: Answers) -> str:
    if text not in LEARNING_RATES:
        raise InputError(f"expected {' or '.join(LEARNING_RATES)}, found {text!r}")
    return text


def yes_or_no(text: str, _: Answers) -> str:
    for value, words in (("True", ("true", "t", "yes", "y")), ("False", ("false", "f", "no", "n"))):
        if text.lower() in words:
            return value
    raise InputError(f"expected True or False, found {text!r}")


def last_of_tasks(text: str, answers: Answers) -> str:
    value = yes_or_no(text, answers)
    if "True" not in (value, answers["rgt"], answers["dhr"]):
        raise InputError("expected at least one of rgt, dhr and fault to be True, found none")
    return value


def _path(text: str) -> Path:
    return Path(os.path.expanduser(text))  # noqa: PTH111 - unlike Path's, it does not fail for a user who is not there


def existing_file(text: str, _: Answers) -> str:
    path = _path(text)
    if not path.is_file():
        raise MissingError(path, what="file")
    return str(path)


def output_folder(text: str, _: Answers) -> str:
    path = _path(text)
    if path.exists() and not path.is_dir():
        raise InputError(f"{path}: expected a folder or a new name, found a file")
    return str(path)


def train_config(text: str, answers: Answers) -> str:
    path = existing_file(text, answers)
    data = read_train_config(Path(path)).data
    for manifest in filter(None, (data.train_manifest, data.val_manifest)):
        if not read_manifest(manifest, data.data_root, ("mask",)):
            raise InputError(f"{manifest}: expected at least one image, found none")
    return path


def image_folder(attributes: tuple[str, ...], like: str = "") -> Check:
    """A folder of images, or where a refinement takes `attributes`, of these; as large as what answers `like`."""

    def check(text: str, answers: Answers) -> str:
        folder = _path(text)
        if not attributes:
            cubes.require_images(folder)
        number, values = cubes.count_samples(folder), cubes.count_values(folder)
        if like and values != cubes.count_values(Path(answers[like])):
            expected = f"{cubes.count_values(Path(answers[like]))} values as in {answers[like]}"
            raise FormatError(folder / "0.bin", expected=expected, found=str(values))
        cubes.check_companions(folder, number, attributes, values)
        return str(folder)

    return check


def target_folder(images: str, axes: int) -> Check:
    """A folder with every target that is to be learned, for every sample in the folder that answers `images`."""

    def check(text: str, answers: Answers) -> str:
        folder, image_dir = _path(text), Path(answers[images])
        wanted = [name for task in _ATTRIBUTES if answers[task] == "True" for name in attributes(task, axes)]
        cubes.check_companions(folder, cubes.count_samples(image_dir), wanted, cubes.count_values(image_dir))
        return str(folder)

    return check


def attributes(task: str, axes: int) -> tuple[str, ...]:
    """What `task` predicts; a section (2 axes) has no strike."""
    return tuple(name for name in _ATTRIBUTES[task] if axes == 3 or name != "fstrike")


def samples_in(images: str) -> Callable[[Answers], int]:
    return lambda answers: cubes.count_samples(Path(answers[images]))


def beside(other: str, name: str) -> Default:
    """The folder `name` beside the folder that answers `other`, if it is there."""

    def default(answers: Answers) -> str:
        path = Path(answers[other]).parent / name
        return str(path) if path.is_dir() else ""

    return default


def found_below(name: str) -> Default:
    return lambda _: str(cubes.find_folder(Path(), name) or "")


def side(axis: int, axes: int) -> Question:
    """The question for the length n1, n2 or n3 (`axis` counts from 1)."""
    names = [f"n{i}" for i in range(1, axis)]

    def check(text: str, answers: Answers) -> str:
        value = whole_number(1)(text, answers)
        sides = [*(int(answers[name]) for name in names), int(value)]
        cubes.check_sides(Path(answers["dir_data_train"]), sides, axes)
        return value

    def default(answers: Answers) -> str:
        sides = [int(answers[name]) for name in names]
        return str(cubes.guess_side(Path(answers["dir_data_train"]), sides, axes) or "")

    what = "depth, the axis that runs fastest in the files" if axis == 1 else f"axis {axis}"
    return Question(f"n{axis}", f"Samples along {what}.", check, default)


def last_checkpoint(answers: Answers) -> str:
    path = Path(answers["dir_output"]) / "last.ckpt"
    return str(path) if path.is_file() else NOTHING


def production_config(_: Answers) -> str:
    found = sorted(Path("configs").glob("*train*.yaml"))
    return str(found[0]) if found else ""


def _gpus() -> int:
    """Number of NVIDIA GPUs that the system shows."""
    return len(list(Path("/dev").glob("nvidia[0-9]*")))


def accelerators(_: Answers) -> str:
    """Devices to train on: GPUs, or the processor, which counts as one."""
    return str(max(1, _gpus()))


def fitting_network(_: Answers) -> str:
    return "published" if _gpus() else "light"


def processes(_: Answers) -> str:
    return str(min(4, os.cpu_count() or 1))


def at_most_samples(images: str, value: int) -> Default:
    return lambda answers: str(min(value, samples_in(images)(answers)))


_TASKS = (
    Question(
        "rgt",
        "Learn relative geologic time (RGT)? It gives every point the age of its layer, 0 for the youngest at the top "
        "and 1 for the oldest at the bottom: where two points have the same value, one horizon runs through both.",
        yes_or_no,
        always("True"),
    ),
    Question(
        "dhr",
        "Learn the denoised higher-resolution image (DHR)? It is the same image without its noise and with a shorter "
        "wavelet, so that thinner layers can be told apart.",
        yes_or_no,
        always("True"),
    ),
    Question(
        "fault",
        "Learn the fault attributes? They are the fault's location (probability that a fault runs through a point), "
        "its dip (angle between the fault and the horizontal, 0 to 180 degrees) and, in 3D, its strike (direction of "
        "the fault on a map, 0 to 180 degrees from axis 3 towards axis 2). Files hold dip and strike divided by 180.",
        last_of_tasks,
        always("True"),
    ),
)


def _seismic_questions(axes: int, inputs: tuple[str, ...]) -> tuple[Question, ...]:
    names = f"attributes to refine: 0_{{{','.join(inputs)}}}.bin, 1_..." if inputs else "images: 0.bin, 1.bin, ..."
    images = f"{names}. Raw 32-bit floats, depth fastest"
    train, valid = "dir_data_train", "dir_data_valid"
    return (
        *_TASKS,
        Question(train, f"Folder of the training {images}.", image_folder(inputs), found_below("data_train")),
        Question(
            "dir_target_train",
            "Folder of what the network shall answer for the training samples: 0_rgt.bin, 0_dhr.bin, 0_fsem.bin, ...",
            target_folder(train, axes),
            beside(train, "target_train"),
        ),
        Question(
            valid,
            "Folder of the validation samples: the network is scored on them after each epoch and never learns from "
            "them. Named as the training samples are.",
            image_folder(inputs, like=train),
            beside(train, "data_valid"),
        ),
        Question(
            "dir_target_valid",
            "Folder of what the network shall answer for the validation samples.",
            target_folder(valid, axes),
            beside(valid, "target_valid"),
        ),
        Question(
            "dir_output",
            "Folder for checkpoints, weights, curves and TensorBoard logs. It is made when the training starts.",
            output_folder,
            always("checkpoints"),
        ),
        Question("epochs", "Epochs: how often all training samples are seen.", whole_number(1), always("100")),
        Question(
            "batch_train",
            "Training samples in one step. More are faster and need more memory: take fewer when it runs out.",
            whole_number(1, samples_in(train)),
            at_most_samples(train, 4),
        ),
        *(side(axis, axes) for axis in range(1, axes + 1)),
        Question(
            "ntrain",
            "Training samples to use, from 0.bin on.",
            whole_number(1, samples_in(train)),
            lambda answers: str(samples_in(train)(answers)),
        ),
        Question(
            "nvalid",
            "Validation samples to use, from 0.bin on.",
            whole_number(1, samples_in(valid)),
            lambda answers: str(samples_in(valid)(answers)),
        ),
        Question(
            "batch_valid",
            "Validation samples in one step.",
            whole_number(1, samples_in(valid)),
            at_most_samples(valid, 1),
        ),
        Question(
            "network",
            "Network: published (14.5 million parameters, wants a GPU) or light (0.9 million, 1/92 of the work).",
            network,
            fitting_network,
        ),
        Question(
            "lr",
            "Learning rate: how far one step moves the weights. Lower it when the loss jumps, raise it when it crawls.",
            rate,
            lambda answers: LEARNING_RATES[answers["network"]],
        ),
        Question("threads", "Processes that read samples beside the training; 0 for none.", whole_number(0), processes),
        Question(
            "resume",
            f"Checkpoint of an interrupted training to go on from, or {NOTHING} to begin with new weights.",
            optional(existing_file),
            last_checkpoint,
        ),
        Question("nodes", "Computers that train together.", whole_number(1), always("1")),
        Question(
            "gpus_per_node",
            "Devices in each computer: its GPUs, or 1 where there is none.",
            whole_number(1),
            accelerators,
        ),
        Question("seed", "Seed: the same seed and data give the same run.", whole_number(0), always("42")),
    )


def _refined(axes: int) -> tuple[str, ...]:
    return tuple(name for task in _ATTRIBUTES for name in attributes(task, axes))


_MICROSCOPY = (
    Question(
        "config",
        "Configuration: which images to train on, which network, how long. The production configuration trains on all "
        "labelled images, so that its validation Dice is training performance; copy and edit it to change a value.",
        train_config,
        production_config,
    ),
    Question(
        "resume",
        f"Checkpoint of an interrupted run (runs/train_*/checkpoints/*.pth) to go on from, or {NOTHING}.",
        optional(existing_file),
        always(NOTHING),
    ),
)

_INFER = "image in, the chosen attributes (RGT, DHR, faults) out"
_REFINE = "all attributes in, better ones out"

TASKS = (
    Task("microscopy", "objects in 2D images, from a configuration file", ("train",), _MICROSCOPY),
    *(
        Task(
            f"seismic {axes}D {verb}",
            text,
            ("python", f"src/main{axes}_{verb}.py"),
            _seismic_questions(axes, _refined(axes) if verb == "refine" else ()),
        )
        for axes in (3, 2)
        for verb, text in (("infer", _INFER), ("refine", _REFINE))
    ),
)

MENU = Question(
    "task",
    "What do you want to train?\n" + "\n".join(f"  {i}  {task.title}: {task.text}" for i, task in enumerate(TASKS, 1)),
    whole_number(1, lambda _: len(TASKS)),
    always("1"),
)


def options(questions: Iterable[Question], answers: Answers) -> list[str]:
    """The answers as words of a command line; options that were left out are not in it."""
    given = [(f"--{question.name}", answers[question.name]) for question in questions]
    return [word for option, value in given if value for word in (option, value)]
