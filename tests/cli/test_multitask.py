"""The four programs of the multi-task networks, as they are typed, and `segwheel refine`."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segwheel.cli.app import app, guarded
from segwheel.cli.multitask import act, settled, train_params
from segwheel.cli.multitask_options import MultitaskOptions
from segwheel.domain.synthesis.cubes import SeismicSet, write_set
from segwheel.domain.synthesis.recipe import RECIPES
from segwheel.errors import CheckpointError, FormatError, InputError, MissingError
from segwheel.formats import raw_cube, volume
from segwheel.learning.multitask_checkpoint import NetworkKind, describe, write_model

SHAPE = (16, 16, 20)
SIDES = {"n1": 16, "n2": 16, "n3": 20}
ATTRIBUTES = ("rgt", "dhr", "fsem", "fdip", "fstrike")
SMALL: dict[str, Any] = {"network": "light", "width": 0.1, "epochs": 1}


def cubes(folder: Path, shape: tuple[int, ...], count: int = 1) -> dict[str, Any]:
    """Generated samples, as the four options that name their folders."""
    for _ in write_set(folder, SeismicSet(shape, 0, RECIPES["published"]), count):
        pass
    data, target = folder / "data", folder / "target"
    return {
        **{"dir_data_train": data, "dir_target_train": target},
        **{"dir_data_valid": data, "dir_target_valid": target},
    }


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return cubes(tmp_path_factory.mktemp("cubes"), SHAPE, 2)


def saved(path: Path, tile: tuple[int, ...] = (16, 16, 16), **changed: Any) -> Path:
    """A model with random weights."""
    described = {"design": "light", "refine": False, "ndim": len(tile), "width": 0.1, "tasks": ("rgt", "dhr", "fault")}
    kind = NetworkKind.model_validate({**described, **changed})
    write_model(path, kind.build().state_dict(), describe(kind, tile, 1.0, 0.5))
    return path


def test_training_writes_what_users_of_the_method_expect(folders: dict[str, Any], tmp_path: Path) -> None:
    act(MultitaskOptions(**folders, **SMALL, **SIDES, dir_output=tmp_path, batch_train=2), 3, refine=False)
    names = {"epoch=1.ckpt", "last.ckpt", "best.ckpt", "model.pth", "loss_plot.png", "accuracy_plot.png", "history.csv"}
    assert names | {"tensorboard"} == {path.name for path in tmp_path.iterdir()}
    [row] = csv.DictReader((tmp_path / "history.csv").open(newline=""))
    assert {"train_loss", "val_loss", "val_dice", "val_tolerant_iou", "val_rgt_mae", "val_dhr_snr"} <= row.keys()


def test_a_training_goes_on_for_more_epochs_where_the_learning_rate_allows(
    folders: dict[str, Any], tmp_path: Path
) -> None:
    options = MultitaskOptions(**folders, **SMALL, **SIDES, dir_output=tmp_path, lr_schedule="none", batch_train=2)
    act(options, 3, refine=False)
    longer = replace(options, epochs=2, resume=tmp_path / "last.ckpt")
    act(longer, 3, refine=False)
    assert [row["epoch"] for row in csv.DictReader((tmp_path / "history.csv").open(newline=""))] == ["1", "2"]
    with pytest.raises(CheckpointError, match="expected a checkpoint of a run of 2 steps, found one without"):
        act(replace(longer, lr_schedule="one_cycle"), 3, refine=False)


@pytest.mark.parametrize("refine", [False, True])
def test_a_check_writes_predictions_and_scores_beside_the_trivial_ones(
    folders: dict[str, Any], tmp_path: Path, refine: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    model = saved(tmp_path / "model.pth", refine=refine)
    act(MultitaskOptions(**folders, **SIDES, dir_output=tmp_path / "out", check=model), 3, refine=refine)
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"check.csv", *(f"predict_{i}_{name}.bin" for i in (0, 1) for name in ATTRIBUTES)}
    rgt = raw_cube.read(tmp_path / "out" / "predict_1_rgt.bin", SHAPE)
    assert (rgt.min(), rgt.max()) == (0, 1)
    rows = list(csv.DictReader((tmp_path / "out" / "check.csv").open(newline="")))
    assert [row["basename"] for row in rows] == ["0", "1", "mean"]
    truth = raw_cube.read(folders["dir_target_valid"] / "0_rgt.bin", SHAPE)
    ramp = np.linspace(0, 1, 16).reshape(-1, 1, 1)
    given = raw_cube.read(folders["dir_data_valid"] / "0_rgt.bin", SHAPE) if refine else ramp
    assert float(rows[0]["trivial_rgt_mae"]) == pytest.approx(np.abs(given - truth).mean(), rel=1e-4)
    assert float(rows[2]["rgt_mae"]) == pytest.approx(np.mean([float(row["rgt_mae"]) for row in rows[:2]]))
    assert (float(rows[0]["trivial_fault_dice"]) > 0.3) is refine
    assert "trivial predictor" in capsys.readouterr().out


def test_a_volume_larger_than_a_tile_is_predicted_whole_and_refined(folders: dict[str, Any], tmp_path: Path) -> None:
    first, second = tmp_path / "result.iter0", tmp_path / "result.iter1"
    image = folders["dir_data_train"] / "0.bin"
    options = MultitaskOptions(input=image, model=saved(tmp_path / "mti.pth"), output=first, **SIDES, rgt="True")
    act(options, 3, refine=False)
    model = saved(tmp_path / "mtr.pth", refine=True, tasks=("dhr", "fault"))
    act(MultitaskOptions(input=first, model=model, output=second, **SIDES, dhr="False"), 3, refine=True)
    assert {path.name for path in tmp_path.iterdir()} == {
        *("mti.pth", "mtr.pth"),
        *(f"result.iter0.{name}" for name in ATTRIBUTES),
        *(f"result.iter1.{name}" for name in ("fsem", "fdip", "fstrike")),
    }
    dhr, seismic = (raw_cube.read(path, SHAPE) for path in (tmp_path / "result.iter0.dhr", image))
    assert np.corrcoef(dhr.ravel(), seismic.ravel())[0, 1] > 0.5  # an untrained light network gives back the image
    assert dhr.std() == pytest.approx(seismic.std(), rel=0.5)


def test_dead_traces_stay_dead_when_attributes_are_refined(folders: dict[str, Any], tmp_path: Path) -> None:
    seismic = raw_cube.read(folders["dir_data_train"] / "0.bin", SHAPE)
    seismic[:, 3:5] = 0
    raw_cube.write(tmp_path / "image", seismic)
    first, second = tmp_path / "iter0", tmp_path / "iter1"
    mti, mtr = saved(tmp_path / "mti.pth"), saved(tmp_path / "mtr.pth", refine=True)
    act(MultitaskOptions(input=tmp_path / "image", model=mti, output=first, **SIDES), 3, refine=False)
    act(MultitaskOptions(input=first, model=mtr, output=second, **SIDES), 3, refine=True)
    for name in ATTRIBUTES:
        found = raw_cube.read(tmp_path / f"iter1.{name}", SHAPE)
        assert not found[:, 3:5].any()
        assert found[:, 5:].any()


def test_files_that_know_their_shape_need_none_and_say_what_is_odd(
    folders: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seismic = raw_cube.read(folders["dir_data_train"] / "0.bin", SHAPE)
    seismic[0, 0, :3] = np.nan
    np.save(tmp_path / "image.npy", seismic)
    model = saved(tmp_path / "mti.pth")
    act(MultitaskOptions(input=tmp_path / "image.npy", model=model, output=tmp_path / "r"), 3, refine=False)
    assert raw_cube.read(tmp_path / "r.rgt", SHAPE).any()
    assert "image.npy: 3 NaN or infinite samples, which count as dead" in caplog.text


def test_sections_run_by_the_same_code(tmp_path: Path) -> None:
    folders = cubes(tmp_path / "sections", (16, 24))
    sides = {"n1": 16, "n2": 24}
    options = MultitaskOptions(**folders, **SMALL, **sides, dir_output=tmp_path / "out", tile1=16, tile2=16)
    act(options, 2, refine=False)
    image = folders["dir_data_train"] / "0.bin"
    model, output = tmp_path / "out" / "last.ckpt", tmp_path / "found" / "r"
    act(MultitaskOptions(input=image, model=model, output=output, **sides), 2, refine=False)
    assert {path.name for path in (tmp_path / "found").iterdir()} == {"r.rgt", "r.dhr", "r.fsem", "r.fdip"}


def test_the_side_of_a_cube_with_equal_edges_need_not_be_given(tmp_path: Path) -> None:
    cube = np.random.default_rng(0).normal(size=(16, 16, 16)).astype(np.float32)
    raw_cube.write(tmp_path / "cube", cube)
    options = MultitaskOptions(input=tmp_path / "cube", model=saved(tmp_path / "m.pth"), output=tmp_path / "r")
    act(options, 3, refine=False)
    assert raw_cube.read(tmp_path / "r.fsem", (16, 16, 16)).max() > 0


Change = Callable[[dict[str, Any], Path], dict[str, Any]]
WRONG: list[tuple[type[Exception], str, Change]] = [
    (InputError, "--network: expected published, light", lambda o, p: o | {"network": "tiny"}),
    (InputError, "--rgt: expected True or False, found perhaps", lambda o, p: o | {"rgt": "perhaps"}),
    (InputError, "at least one to be True", lambda o, p: o | {"rgt": "no", "dhr": "False", "fault": "f"}),
    (InputError, "--dir_target_valid: expected a path", lambda o, p: o | {"dir_target_valid": None}),
    (InputError, "expected all of --n1, --n2, --n3 or none, found 2", lambda o, p: o | {"n3": None}),
    (InputError, "at most 16 x 16 x 20", lambda o, p: o | {"tile1": 16, "tile2": 16, "tile3": 32}),
    (FormatError, "expected 16 x 16 x 21 float32 samples", lambda o, p: o | {"n3": 21}),
    (FormatError, "give its dimensions with --n1 --n2 --n3", lambda o, p: o | {"n1": None, "n2": None, "n3": None}),
    (MissingError, "data: no such folder", lambda o, p: o | {"dir_target_train": p / "data"}),
    (MissingError, "2.bin: no such raw cube", lambda o, p: o | {"ntrain": 3}),
    (MissingError, "no such checkpoint", lambda o, p: o | {"resume": p / "lost.ckpt"}),
    (CheckpointError, "without optimiser state", lambda o, p: o | {"resume": saved(p / "m.pth")}),
    (CheckpointError, "another architecture", lambda o, p: o | {"resume": saved(p / "m.pth", width=0.3)}),
]


@pytest.mark.parametrize(("error", "message", "change"), WRONG, ids=[message for _, message, _ in WRONG])
def test_what_is_wrong_is_one_line_and_nothing_is_written(
    folders: dict[str, Any], tmp_path: Path, error: type[Exception], message: str, change: Change
) -> None:
    options = change({**folders, **SMALL, **SIDES, "dir_output": tmp_path / "out"}, tmp_path)
    if "another architecture" in message:
        import torch

        from segwheel.learning.checkpoint import read_checkpoint

        torch.save({**read_checkpoint(options["resume"]), "loops": {}}, options["resume"])
    with pytest.raises(error) as caught:
        act(MultitaskOptions(**options), 3, refine=False)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_refinement_without_its_inputs_and_models_of_other_tasks_are_told(
    folders: dict[str, Any], tmp_path: Path
) -> None:
    models = {refine: saved(tmp_path / f"{refine}.pth", refine=refine, tasks=("dhr",)) for refine in (False, True)}
    image, given = folders["dir_data_train"] / "0.bin", {"output": tmp_path / "r", **SIDES}
    cases: list[tuple[type[Exception], str, bool, dict[str, Any]]] = [
        (MissingError, "nothing.rgt: no such raw cube", True, {"input": tmp_path / "nothing", "model": models[True]}),
        (CheckpointError, "one of main3_infer.py", True, {"input": image, "model": models[False]}),
        (CheckpointError, "one of main3_refine.py", False, {"input": image, "model": models[True]}),
        (CheckpointError, "a model of fault", False, {"input": image, "model": models[False], "fault": "True"}),
        (FormatError, "expected 16 x 16 x 99", False, {"input": image, "model": models[False], "n3": 99}),
    ]
    for error, message, refine, options in cases:
        with pytest.raises(error) as caught:
            act(MultitaskOptions(**{**given, **options}), 3, refine=refine)
        assert message in str(caught.value)
    assert {path.name for path in tmp_path.iterdir()} == {"False.pth", "True.pth"}


def test_a_dead_volume_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    raw_cube.write(tmp_path / "dead", np.zeros((16, 16, 16), np.float32))
    model = saved(tmp_path / "m.pth")
    with pytest.raises(FormatError, match="at least one live sample"):
        act(MultitaskOptions(input=tmp_path / "dead", model=model, output=tmp_path / "r"), 3, refine=False)
    assert {path.name for path in tmp_path.iterdir()} == {"dead", "m.pth"}


def test_the_programs_stand_in_src_and_sections_have_no_third_side() -> None:
    src = Path(__file__).parents[2] / "src"
    helps = {}
    for name in ("main3_infer", "main2_refine"):
        command = [sys.executable, str(src / f"{name}.py"), "--help"]
        helps[name] = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "--n3" in helps["main3_infer"]
    assert "--n2" in helps["main2_refine"]
    assert "--n3" not in helps["main2_refine"]
    assert {path.stem for path in src.glob("main*.py")} == {
        f"main{n}_{what}" for n in (2, 3) for what in ("infer", "refine")
    }


def test_the_guided_set_up_promises_options_that_there_are() -> None:
    from dataclasses import fields

    from segwheel.review.questions import TASKS

    known = {field.name for field in fields(MultitaskOptions)}
    for task in TASKS:
        if task.command[0] == "python":
            assert {question.name for question in task.questions} <= known


@pytest.mark.parametrize("name", ["published", "light"])
def test_the_weight_of_slopes_in_the_loss_is_asked_for(name: str) -> None:
    weights = [
        train_params(settled(MultitaskOptions(network=name, rgt_slope=w)), SHAPE).loss.rgt_slope for w in (0, 0.3)
    ]
    assert weights == [0, 0.3]


@pytest.mark.parametrize("raw", [True, False])
def test_refine_predicts_and_refines_again_and_again(tmp_path: Path, raw: bool) -> None:
    cube = np.random.default_rng(0).normal(size=(16, 16, 16)).astype(np.float32)
    source = tmp_path / ("cube.bin" if raw else "cube.zarr")
    raw_cube.write(source, cube) if raw else volume.write_array(source, cube)
    first, second = saved(tmp_path / "mti.pth"), saved(tmp_path / "mtr.pth", refine=True, tasks=("rgt",))
    sides = ["--n1", "16", "--n2", "16", "--n3", "16"] if raw else []
    words = ["refine", str(source), str(tmp_path / "out"), "--model", str(first), "--refinement", str(second)]
    guarded(lambda: app([*words, *sides, "--iterations", "2"], standalone_mode=False))
    made = {path.name for path in (tmp_path / "out").iterdir()} - {"image.zarr"}
    files = {f"iter{i}.{name}" for i in range(3) for name in ATTRIBUTES} if raw else set()
    assert made == files | {"iter0", "iter1", "iter2"}
    assert {path.name for path in (tmp_path / "out" / "iter1").iterdir()} == {"rgt.zarr"}


@pytest.mark.parametrize("refine", [False, True])
def test_the_published_cubes_train(shared_data: Path, tmp_path: Path, refine: bool) -> None:
    root = shared_data / "seismic" / "lanl_mtl" / "train" / "dataset3"
    folders = {
        f"dir_{kind}_{part}": root / f"{kind}_{part}" for kind in ("data", "target") for part in ("train", "valid")
    }
    small = {**SMALL, "width": 0.05}
    act(MultitaskOptions(**folders, **small, dir_output=tmp_path, tile1=32, tile2=32, tile3=32), 3, refine=refine)
    assert (tmp_path / "model.pth").is_file()


def test_a_real_section_is_predicted(shared_data: Path, tmp_path: Path) -> None:
    section = shared_data / "seismic" / "lanl_mtl" / "test" / "opunake2"
    model = saved(tmp_path / "m.pth", (256, 256))
    options = MultitaskOptions(input=section, model=model, output=tmp_path / "r", n1=256, n2=1024)
    act(options, 2, refine=False)
    rgt = raw_cube.read(tmp_path / "r.rgt", (256, 1024))
    assert (rgt.min(), rgt.max()) == (0, 1)
