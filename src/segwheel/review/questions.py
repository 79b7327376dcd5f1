"""The questions of the guided set-up, as data: what is asked, what it means, and which rule of `answers` it follows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from segwheel.review.answers import (
    LEARNING_RATES,
    NOTHING,
    TASK_ATTRIBUTES,
    TRAIN,
    VALID,
    Answers,
    Check,
    Default,
    accelerators,
    always,
    at_most_samples,
    attributes,
    beside,
    existing_file,
    fitting_network,
    found_below,
    image_folder,
    last_checkpoint,
    last_of_tasks,
    length_along,
    network,
    optional,
    output_folder,
    processes,
    production_config,
    rate,
    samples_in,
    target_folder,
    train_config,
    whole_number,
    yes_or_no,
)


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


def _folders(axes: int, inputs: tuple[str, ...]) -> tuple[Question, ...]:
    """Where the samples are; `inputs` are the attributes that a refinement takes."""
    names = f"attributes to refine: 0_{{{','.join(inputs)}}}.bin, 1_..." if inputs else "images: 0.bin, 1.bin, ..."
    return (
        Question(
            TRAIN,
            f"Folder of the training {names}. Raw 32-bit floats, depth fastest.",
            image_folder(inputs),
            found_below("data_train"),
        ),
        Question(
            "dir_target_train",
            "Folder of what the network shall answer for the training samples: 0_rgt.bin, 0_dhr.bin, 0_fsem.bin, ...",
            target_folder(TRAIN, axes),
            beside(TRAIN, "target_train"),
        ),
        Question(
            VALID,
            "Folder of the validation samples: the network is scored on them after each epoch and never learns from "
            "them. Named as the training samples are.",
            image_folder(inputs, like=TRAIN),
            beside(TRAIN, "data_valid"),
        ),
        Question(
            "dir_target_valid",
            "Folder of what the network shall answer for the validation samples.",
            target_folder(VALID, axes),
            beside(VALID, "target_valid"),
        ),
        Question(
            "dir_output",
            "Folder for checkpoints, weights, curves and TensorBoard logs. It is made when the training starts.",
            output_folder,
            always("checkpoints"),
        ),
    )


def _side(axis: int, axes: int) -> Question:
    what = "depth, the axis that runs fastest in the files" if axis == 1 else f"axis {axis}"
    return Question(f"n{axis}", f"Samples along {what}.", *length_along(axis, axes))


_BEFORE_SIDES = (
    Question("epochs", "Epochs: how often all training samples are seen.", whole_number(1), always("100")),
    Question(
        "batch_train",
        "Training samples in one step. More are faster and need more memory: take fewer when it runs out.",
        whole_number(1, samples_in(TRAIN)),
        at_most_samples(TRAIN, 4),
    ),
)
_AFTER_SIDES = (
    Question(
        "ntrain",
        "Training samples to use, from 0.bin on.",
        whole_number(1, samples_in(TRAIN)),
        lambda answers: str(samples_in(TRAIN)(answers)),
    ),
    Question(
        "nvalid",
        "Validation samples to use, from 0.bin on.",
        whole_number(1, samples_in(VALID)),
        lambda answers: str(samples_in(VALID)(answers)),
    ),
    Question(
        "batch_valid",
        "Validation samples in one step.",
        whole_number(1, samples_in(VALID)),
        at_most_samples(VALID, 1),
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


def _seismic_questions(axes: int, inputs: tuple[str, ...]) -> tuple[Question, ...]:
    sides = (_side(axis, axes) for axis in range(1, axes + 1))
    return (*_TASKS, *_folders(axes, inputs), *_BEFORE_SIDES, *sides, *_AFTER_SIDES)


def _refined(axes: int) -> tuple[str, ...]:
    return tuple(name for task in TASK_ATTRIBUTES for name in attributes(task, axes))


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
