from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import segwheel
from segwheel.cli.multitask import settled
from segwheel.cli.multitask_options import MultitaskOptions
from segwheel.errors import FormatError, InputError, MissingError
from segwheel.params.train_config import DataPaths
from segwheel.review import answers
from segwheel.review.questions import TASKS, Question, Task, options

ROOT = Path(segwheel.__file__).parents[2]

OPTIONS = (
    "dir_data_train dir_target_train dir_data_valid dir_target_valid dir_output epochs batch_train n1 n2 n3 ntrain "
    "nvalid batch_valid lr threads resume nodes gpus_per_node seed network rgt dhr fault"
)
BY_TITLE = {task.title: task for task in TASKS}
ATTRIBUTES = ("rgt", "dhr", "fsem", "fdip", "fstrike")


def question(title: str, name: str) -> Question:
    return next(question for question in BY_TITLE[title].questions if question.name == name)


def write(folder: Path, *names: str, values: int = 24) -> None:
    folder.mkdir(exist_ok=True)
    for name in names:
        np.zeros(values, dtype="<f4").tofile(folder / f"{name}.bin")


def test_every_option_of_the_training_scripts_is_asked_once() -> None:
    for title, task in BY_TITLE.items():
        names = [question.name for question in task.questions]
        assert len(set(names)) == len(names)
        if title.startswith("seismic"):
            wanted = set(OPTIONS.split()) - ({"n3"} if "2D" in title else set())
            assert set(names) == wanted


def test_every_question_is_explained() -> None:
    for task in TASKS:
        for asked in task.questions:
            assert len(asked.text) > 15
            assert asked.text[-1] in ".?"


def test_scripts_by_dimension_and_step() -> None:
    commands = {title: task.command[-1] for title, task in BY_TITLE.items()}
    assert commands == {
        "microscopy": "train",
        "seismic 3D infer": "src/main3_infer.py",
        "seismic 3D refine": "src/main3_refine.py",
        "seismic 2D infer": "src/main2_infer.py",
        "seismic 2D refine": "src/main2_refine.py",
    }


def test_the_learning_rate_follows_from_the_network() -> None:
    lr = question("seismic 3D infer", "lr")
    for name in ("published", "light"):
        assert float(lr.default({"network": name})) == settled(MultitaskOptions(network=name)).lr


def test_nothing_leaves_an_option_out(tmp_path: Path) -> None:
    resume = question("seismic 3D infer", "resume")
    given = {"dir_output": str(tmp_path)}
    assert resume.default(given) == "none"
    assert resume.check("None", given) == ""
    (tmp_path / "last.ckpt").touch()
    assert resume.default(given) == str(tmp_path / "last.ckpt")
    assert resume.check(str(tmp_path / "last.ckpt"), given) == str(tmp_path / "last.ckpt")
    with pytest.raises(MissingError):
        resume.check(str(tmp_path / "other.ckpt"), given)
    assert options([resume], {"resume": ""}) == []
    assert options([resume], {"resume": "a b.ckpt"}) == ["--resume", "a b.ckpt"]


def test_a_home_that_is_not_there_is_a_missing_folder() -> None:
    with pytest.raises(MissingError, match="~nobody-at-all"):
        question("seismic 3D infer", "dir_data_train").check("~nobody-at-all/data", {})


def test_refinement_needs_its_inputs_and_a_section_has_no_strike(tmp_path: Path) -> None:
    write(tmp_path / "data", "0", "1", *(f"0_{name}" for name in ATTRIBUTES), *(f"1_{n}" for n in ATTRIBUTES[:4]))
    data = str(tmp_path / "data")
    assert question("seismic 3D infer", "dir_data_train").check(data, {}) == data
    assert question("seismic 2D refine", "dir_data_train").check(data, {}) == data
    with pytest.raises(MissingError, match=r"1_fstrike.bin"):
        question("seismic 3D refine", "dir_data_train").check(data, {})
    write(tmp_path / "attributes", *(f"0_{name}" for name in ATTRIBUTES))
    attributes = str(tmp_path / "attributes")
    assert question("seismic 3D refine", "dir_data_train").check(attributes, {}) == attributes
    with pytest.raises(MissingError, match=r"0.bin"):
        question("seismic 3D infer", "dir_data_train").check(attributes, {})


def test_targets_are_needed_for_what_is_learned_only(tmp_path: Path) -> None:
    write(tmp_path / "data", "0")
    write(tmp_path / "target", "0_rgt")
    answers = {"dir_data_train": str(tmp_path / "data"), "rgt": "True", "dhr": "False", "fault": "False"}
    target = question("seismic 3D infer", "dir_target_train")
    assert target.check(str(tmp_path / "target"), answers) == str(tmp_path / "target")
    with pytest.raises(MissingError, match=r"0_dhr.bin"):
        target.check(str(tmp_path / "target"), {**answers, "dhr": "True"})


def test_validation_cubes_are_as_large_as_training_cubes(tmp_path: Path) -> None:
    write(tmp_path / "data", "0")
    write(tmp_path / "other", "0", values=25)
    with pytest.raises(FormatError, match=r"0.bin: expected 24 values as in .*data, found 25"):
        question("seismic 3D infer", "dir_data_valid").check(
            str(tmp_path / "other"), {"dir_data_train": str(tmp_path / "data")}
        )


def test_folders_beside_are_proposed(tmp_path: Path) -> None:
    write(tmp_path / "data_train", "0")
    target = question("seismic 3D infer", "dir_target_train")
    answers = {"dir_data_train": str(tmp_path / "data_train")}
    assert target.default(answers) == ""
    (tmp_path / "target_train").mkdir()
    assert target.default(answers) == str(tmp_path / "target_train")


def test_a_configuration_is_checked_down_to_its_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, manifest = tmp_path / "train.yaml", tmp_path / "train.csv"
    data = DataPaths(train_manifest=manifest, val_manifest=None, data_root=tmp_path)
    monkeypatch.setattr(answers, "read_train_config", lambda _: SimpleNamespace(data=data))
    check = question("microscopy", "config").check
    with pytest.raises(MissingError, match=r"train.yaml: no such file"):
        check(str(config), {})
    config.touch()
    with pytest.raises(MissingError, match=r"train.csv: no such table"):
        check(str(config), {})
    manifest.write_text("basename,image_path,mask_path\n")
    with pytest.raises(InputError, match="at least one image"):
        check(str(config), {})
    manifest.write_text("basename,image_path,mask_path\na,a.tif,a_mask.tif\n")
    assert check(str(config), {}) == str(config)


@pytest.mark.parametrize("task", [task for task in TASKS if len(task.command) > 1], ids=lambda task: task.command[1])
def test_the_programs_know_every_option_that_is_asked_for(task: Task) -> None:
    known = {field.name for field in fields(MultitaskOptions)}
    assert {question.name for question in task.questions} <= known
    assert (ROOT / task.command[1]).is_file()
