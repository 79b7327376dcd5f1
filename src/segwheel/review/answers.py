"""What is a valid answer to a question of the guided set-up, and which answer can be proposed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from math import isfinite
from pathlib import Path

from segwheel.domain.manifest import read_manifest
from segwheel.errors import FormatError, InputError, MissingError
from segwheel.params.train_config import read_train_config
from segwheel.review import cubes

Answers = Mapping[str, str]  # what was answered so far, by name of the option
Check = Callable[[str, Answers], str]  # the answer as the command takes it; raises SegwheelError
Default = Callable[[Answers], str]

LEARNING_RATES = {"published": "0.5e-4", "light": "2e-3"}  # by network, as its programs have it
TRAIN, VALID = "dir_data_train", "dir_data_valid"  # the options of the folders of samples
NOTHING = "none"  # the answer that leaves an option out
TASK_ATTRIBUTES = {"rgt": ("rgt",), "dhr": ("dhr",), "fault": ("fsem", "fdip", "fstrike")}


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
        wanted = [name for task in TASK_ATTRIBUTES if answers[task] == "True" for name in attributes(task, axes)]
        cubes.check_companions(folder, cubes.count_samples(image_dir), wanted, cubes.count_values(image_dir))
        return str(folder)

    return check


def attributes(task: str, axes: int) -> tuple[str, ...]:
    """What `task` predicts; a section (2 axes) has no strike."""
    return tuple(name for name in TASK_ATTRIBUTES[task] if axes == 3 or name != "fstrike")


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


def length_along(axis: int, axes: int) -> tuple[Check, Default]:
    """What n1, n2 or n3 (`axis` counts from 1) may be, after those before it."""
    names = [f"n{i}" for i in range(1, axis)]

    def sides(answers: Answers) -> list[int]:
        return [int(answers[name]) for name in names]

    def check(text: str, answers: Answers) -> str:
        value = whole_number(1)(text, answers)
        cubes.check_sides(Path(answers[TRAIN]), [*sides(answers), int(value)], axes)
        return value

    def default(answers: Answers) -> str:
        return str(cubes.guess_side(Path(answers[TRAIN]), sides(answers), axes) or "")

    return check, default


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
