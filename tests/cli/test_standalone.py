"""The stand-alone programs one after the other, as their users call them."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from ruamel.yaml import YAML
from typer.testing import CliRunner

from segwheel.cli.app import app, guarded
from segwheel.domain.synthesis.cells import cell_images, write_cells
from segwheel.errors import SegwheelError
from segwheel.formats.tiff import read_image, read_mask
from segwheel.params.sections import Section
from segwheel.params.train_config import read_train_config

ROOT = Path(__file__).parents[2]


def run(*words: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    if code == 0 and result.exception:
        raise result.exception
    return result.output


def write_config(path: Path, **changes: Any) -> Path:
    """The production configuration, made tiny."""
    yaml = YAML()
    values = yaml.load(ROOT / "configs" / "production_train.yaml")
    values["dataset"] |= {"patch_size": 32, "patches_per_image": 3, "validation_patches_per_image": 1}
    values["model"]["encoder_weights"] = None
    values["training"] |= {"epochs": 1, "num_workers": 0}
    values["tensorboard"]["enabled"] = False
    for dotted, value in changes.items():
        section, key = dotted.split("__")
        values[section][key] = value
    yaml.dump(values, path)
    return path


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A working directory with four labelled images, a manifest and a trained model."""
    folder = tmp_path_factory.mktemp("alone")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_cells(Path("data/working"), cell_images(4, 64, 2))
        run("validate_dataset", "--input-dir", "data/working", "--output-dir", "data/splits")
        write_config(Path("train.yaml"))
        run("train_config", "--config", "train.yaml")
        yield folder


def model() -> Path:
    return next(Path("runs").glob("train_*")) / "checkpoints" / "final_model.pth"


def test_a_run_folder_is_named_by_time_and_holds_everything(here: Path) -> None:
    folder = next(Path("runs").glob("train_*"))
    assert len(folder.name) == len("train_20260101_000000")
    assert {path.name for path in folder.iterdir()} >= {"config.yaml", "checkpoints", "patches", "loss_plot.png"}
    assert read_train_config(folder / "config.yaml") == read_train_config(Path("train.yaml")).model_copy(
        update={"data": read_train_config(folder / "config.yaml").data}
    )


def test_production_says_that_its_validation_is_training_performance(here: Path) -> None:
    assert "training performance" in run("train_config", "--config", "train.yaml")


def test_full_images_are_predicted_and_quantified(here: Path) -> None:
    said = run(
        "predict_full", "--checkpoint", model(), "--manifest", "data/splits/all.csv", "--output-dir", "predicted"
    )
    assert "4 images predicted" in said
    with Path("data/splits/all.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        name = row["basename"]
        assert set(np.unique(read_mask(Path(f"predicted/{name}_pred_mask.tif")))) <= {0, 1}
        assert read_image(Path(f"predicted/{name}_pred_prob.tif")).dtype == np.float32
    with Path("predicted/pixel_metrics.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 4
    run(
        *("quantify_objects", "--pred-mask-dir", "data/working/masks"),
        *("--gt-manifest", "data/splits/all.csv", "--output-dir", "objects"),
    )
    with Path("objects/instance_eval.csv").open() as file:
        assert all(float(row["pixel_dice"]) == 1 for row in csv.DictReader(file))


def test_folds_are_scored_on_full_images_they_never_saw(here: Path) -> None:
    said = run(
        *("run_cv", "--config", "train.yaml", "--k", "2", "--folds", "1", "--output-dir", "cv"),
        *("--tracking-uri", f"sqlite:///{here}/mlflow.db"),
    )
    assert "# Cross-validation" in said
    with Path("cv/fold_metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["fold"] for row in rows} == {"1"}
    with Path("cv/fold_1/train.csv").open() as file:
        trained = {row["basename"] for row in csv.DictReader(file)}
    assert trained.isdisjoint(row["basename"] for row in rows)
    assert Path("cv/summary.yaml").is_file()
    write_config(Path("four.yaml"), dataset__patches_per_image=4)
    run(
        *("run_cv", "--config", "four.yaml", "--folds", "1", "--output-dir", "cv"),
        *("--tracking-uri", f"sqlite:///{here}/mlflow.db"),
    )
    with Path("cv/fold_1/test.csv").open() as file:
        held_out = {row["basename"] for row in csv.DictReader(file)}
    patches = zarr.open_group("cv/fold_1/patches/train.zarr", mode="r")
    assert held_out.isdisjoint(patches.attrs["samples"])  # type: ignore[arg-type]


def test_real_images_go_through_every_program(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = shared_data / "microscopy" / "phase_cells"
    for name in ("phase_02", "phase_03", "phase_05"):
        for kind, file in (("images", f"{name}.tif"), ("masks", f"{name}_mask.tif")):
            (tmp_path / "data/working" / kind).mkdir(parents=True, exist_ok=True)
            (tmp_path / "data/working" / kind / file).symlink_to(source / kind / file)
    run("validate_dataset", "--input-dir", "data/working", "--output-dir", "data/splits")
    run("make_splits", "--manifest", "data/splits/all.csv", "--output-dir", "data/splits")
    write_config(Path("train.yaml"), data__train_manifest="data/splits/train.csv", dataset__patches_per_image=4)
    run("train_config", "--config", "train.yaml")
    model = next(Path("runs").glob("train_*")) / "checkpoints" / "final_model.pth"
    run("predict_full", "--checkpoint", model, "--manifest", "data/splits/test.csv", "--output-dir", "predicted")
    with Path("predicted/pixel_metrics.csv").open() as file:
        (row,) = csv.DictReader(file)
    run(
        *("quantify_objects", "--pred-mask-dir", "data/working/masks"),
        *("--gt-manifest", "data/splits/test.csv", "--output-dir", "objects"),
    )
    with Path("objects/instance_eval.csv").open() as file:
        (scores,) = csv.DictReader(file)
    assert scores["basename"] == row["basename"]
    assert float(scores["f1"]) > 0.9  # touching objects were cut apart


def test_sanity_is_checked(here: Path) -> None:
    try:
        said = run("sanity_check", "--config", "train.yaml")
    except SegwheelError as error:  # five epochs of eight tiny patches need not suffice
        said = str(error)
    assert "pass" in said or "sanity check failed" in said


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"training__epochs": 0}, "training.epochs"),
        ({"training__warmup": 3}, "training.warmup: Extra inputs are not permitted"),
        ({"model__classes": 2}, "model.classes is 2 but there are 1 targets"),
        ({"data__train_manifest": "nowhere.csv"}, "nowhere.csv"),
        ({"model__encoder": "resnet19"}, "resnet19"),
    ],
)
def test_a_wrong_configuration_is_one_line_that_names_the_key(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any], sentence: str
) -> None:
    config = write_config(tmp_path / "wrong.yaml", output__runs_dir=str(tmp_path / "runs"), **change)
    command = ["train_config", "--config", str(config)]
    with pytest.raises(SystemExit) as ended:
        guarded(lambda: app(command, standalone_mode=False))
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert sentence in said
    assert not list(tmp_path.glob("runs/*"))


def test_images_that_cannot_be_predicted_are_named_and_the_others_are_done(here: Path, tmp_path: Path) -> None:
    rows = Path("data/splits/all.csv").read_text().splitlines()
    (tmp_path / "cut.tif").write_bytes(Path("data/working/images/cells_002.tif").read_bytes()[:500])
    manifest = tmp_path / "some.csv"
    manifest.write_text(f"basename,image_path\ncut,{tmp_path}/cut.tif\ncells_001,{here}/{rows[1].split(',')[1]}\n")
    out = tmp_path / "out"
    result = CliRunner().invoke(
        app,
        [
            *("predict_full", "--checkpoint", str(model()), "--manifest", str(manifest), "--output-dir", str(out)),
            *("--data-root", "/"),
        ],
    )
    assert str(result.exception) == "predict: 1 of 2 failed (cut)"
    assert f"error: {tmp_path}/cut.tif: expected a TIFF" in result.stderr
    assert {path.name for path in out.iterdir()} == {
        "cells_001_pred_mask.tif", "cells_001_pred_prob.tif", "pixel_metrics.csv",
    }  # fmt: skip


def test_a_killed_training_goes_on(here: Path, tmp_path: Path) -> None:
    config = write_config(
        tmp_path / "long.yaml",
        training__epochs=4,
        checkpointing__every_n_epochs=1,
        output__runs_dir=str(tmp_path / "runs"),
    )
    program = [sys.executable, "-m", "segwheel", "train_config", "--config", str(config)]
    process = subprocess.Popen(program, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while not (found := list(tmp_path.glob("runs/*/checkpoints/checkpoint_epoch_001.pth"))):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (folder,) = (tmp_path / "runs").iterdir()
    kept = folder / "kept" / "other.pth"
    kept.parent.mkdir()
    kept.write_bytes(b"")
    for checkpoint, changes, said in (
        (kept, {}, "expected a checkpoint"),
        (found[0], {"dataset__patch_size": 16}, "expected the dataset section of the configuration given"),
    ):
        other = write_config(tmp_path / "other.yaml", output__runs_dir=str(tmp_path / "runs"), **changes)
        with pytest.raises(SegwheelError, match=said):
            run("train_config", "--config", other, "--resume", checkpoint)
        assert read_train_config(folder / "config.yaml").training.epochs == 4
    run("train_config", "--resume", found[0])
    assert (found[0].parent / "final_model.pth").is_file()
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_two_devices_make_one_run(here: Path, tmp_path: Path) -> None:
    """Lightning starts the command again for the second one; only the first may write."""
    runs = tmp_path / "runs"
    config = write_config(
        tmp_path / "two.yaml", training__devices=2, dataset__patches_per_image=4, output__runs_dir=str(runs)
    )
    program = [sys.executable, "-m", "segwheel", "train_config", "--config", str(config)]
    done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    (folder,) = runs.iterdir()
    assert (folder / "checkpoints" / "final_model.pth").is_file()
    assert done.stdout.count("; model: ") == 1


def test_every_configuration_key_is_read(monkeypatch: pytest.MonkeyPatch, here: Path, tmp_path: Path) -> None:
    """Train with every option on, and note which fields of the parameters anybody looked at."""
    seen: set[tuple[str, str]] = set()
    original = Section.__getattribute__

    def noting(self: Section, name: str) -> Any:
        seen.add((type(self).__name__, name))
        return original(self, name)

    monkeypatch.setattr(Section, "__getattribute__", noting)
    for scheduler, targets in (("reduce_on_plateau", ["mask"]), ("one_cycle", ["mask", "distance"])):
        config = write_config(
            tmp_path / "all.yaml",
            tensorboard__enabled=True,
            early_stopping__enabled=True,
            lr_scheduler__name=scheduler,
            training__average_decay=0.5,
            dataset__targets=targets,
            model__classes=len(targets),
            output__runs_dir=str(tmp_path / scheduler),
        )
        run("train_config", "--config", config)
    config_sections = [
        *("DataPaths", "DatasetParams", "AugmentationParams", "ModelParams", "TrainingParams", "LossParams"),
        *("EarlyStoppingParams", "SchedulerParams", "CheckpointingParams", "TensorboardParams", "OutputParams"),
        *("ValidationParams", "PatchParams"),
    ]
    for cls in Section.__subclasses__():
        if cls.__name__ in config_sections:
            read = {name for section, name in seen if section in (cls.__name__, "DatasetParams")}
            unread = set(cls.model_fields) - read
            assert not unread, f"{cls.__name__}: nothing reads {unread}"
