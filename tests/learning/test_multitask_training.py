"""Training multi-task networks: through the module that trains image networks, resumed exactly, read back."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from cube_helpers import kind, open_cubes, volume_train_params, write_cubes

from segwheel.errors import CheckpointError, MissingError
from segwheel.formats.patch_store import open_patches, write_patches
from segwheel.learning.checkpoint import publish, read_checkpoint
from segwheel.learning.fitting import Layout, TrainingRun
from segwheel.learning.multitask_checkpoint import NetworkKind, load_multitask
from segwheel.learning.multitask_training import TrainingSet, train_multitask, train_stored
from segwheel.params.volumes import VolumeTrainParams

SHAPE = (16, 16, 16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cubes(tmp_path_factory.mktemp("cubes"), SHAPE, 3)


def run(
    folder: Path, output: Path, params: VolumeTrainParams, network: NetworkKind, resume: Path | None = None
) -> TrainingRun:
    cubes = open_cubes(folder, SHAPE, network)
    layout = Layout.in_folder(output)
    return train_multitask(TrainingSet(cubes, cubes, SHAPE), network, params, layout, resume, progress=False)


def weights(path: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = read_checkpoint(path)["model_state_dict"]
    return state


@pytest.mark.parametrize(
    ("refine", "scheduler", "average"), [(False, "one_cycle", 0.9), (True, "reduce_on_plateau", 0)]
)
def test_a_resumed_run_ends_with_the_same_weights(
    folder: Path, tmp_path: Path, refine: bool, scheduler: str, average: float
) -> None:
    network = kind(refine=refine)
    params = volume_train_params(lr_scheduler={"name": scheduler}, training={"average_decay": average, "epochs": 3})
    whole = run(folder, tmp_path / "whole", params, network)
    half = tmp_path / "whole" / "checkpoints" / "checkpoint_epoch_001.pth"
    resumed = run(folder, tmp_path / "resumed", params, network, half)
    assert resumed.history["epoch"] == [1, 2, 3]
    torch.testing.assert_close(weights(resumed.final), weights(whole.final), rtol=0, atol=0)
    assert resumed.history.keys() == whole.history.keys()
    for name, column in whole.history.items():
        for a, b in zip(column, resumed.history[name], strict=True):
            assert a == b or (math.isnan(a) and math.isnan(b)), name


def test_a_run_leaves_scores_plots_and_a_model_that_loads(folder: Path, tmp_path: Path) -> None:
    result = run(folder, tmp_path, volume_train_params(), kind())
    scores = {"dice", "tolerant_iou", "normal_error", "rgt_mae", "rgt_decreasing", "dhr_snr", "loss", "orientation"}
    assert {f"{phase}_{name}" for phase in ("train", "val") for name in scores} <= result.history.keys()
    assert all((tmp_path / name).stat().st_size > 1000 for name in ("loss_plot.png", "accuracy_plot.png"))
    assert (tmp_path / "history.csv").read_text().count("\n") == 3
    model = load_multitask(result.final, refine=False, ndim=3)
    assert (model.tile, model.kind, model.image_std, model.threshold) == (SHAPE, kind(), 1.0, 0.5)
    publish(result.best, tmp_path / "model.pth")
    assert load_multitask(tmp_path / "model.pth").version == load_multitask(result.best).version


def test_without_faults_the_loss_chooses_the_best_model(folder: Path, tmp_path: Path) -> None:
    result = run(folder, tmp_path, volume_train_params(), kind(tasks=("rgt", "dhr")))
    assert result.chosen_by == "val_loss"
    assert result.best_score == min(result.history["val_loss"])
    assert read_checkpoint(result.best)["best_val_loss"] <= result.history["val_loss"][0]
    assert not any("dice" in name for name in result.history)


def test_the_published_network_trains_in_2d(tmp_path: Path) -> None:
    folder = write_cubes(tmp_path / "sections", (16, 24), 2)
    network = kind(ndim=2, design="published", width=0.125)
    cubes = open_cubes(folder, (16, 24), network)
    params = volume_train_params(
        model={"network": "published", "width": 0.125},
        training={"epochs": 1},
        tensorboard={"enabled": True},
        loss={"fault": "dice", "angle": "l1"},
    )
    data = TrainingSet(cubes, cubes, (16, 16))
    result = train_multitask(data, network, params, Layout.in_folder(tmp_path), progress=False)
    assert math.isfinite(result.history["val_loss"][0])
    assert {"train_fdip", "train_rgt"} <= result.history.keys()
    logged = next((tmp_path / "tensorboard").glob("events.*")).read_bytes()
    assert b"rgt: input, truth, prediction" in logged
    assert b"slices" in logged


def test_training_learns(folder: Path, tmp_path: Path) -> None:
    params = volume_train_params(
        augmentation={"flips": False, "turns": False, "contrast": 0, "noise": 0},
        training={"epochs": 15, "batch_size": 3, "learning_rate": 1e-2},
        validation={"every_n_epochs": 15},
    )
    history = run(folder, tmp_path, params, kind(tasks=("rgt",))).history
    assert history["train_loss"][-1] < 0.8 * history["train_loss"][0]
    assert history["train_rgt_mae"][-1] < history["train_rgt_mae"][0]


def test_initial_weights_must_be_of_the_same_network(folder: Path, tmp_path: Path) -> None:
    made = run(folder, tmp_path / "a", volume_train_params(training={"epochs": 1}), kind())
    still = {"epochs": 1, "learning_rate": 1e-12}
    params = volume_train_params(model={"initial_weights": str(made.final)}, training=still)
    again = run(folder, tmp_path / "b", params, kind())
    torch.testing.assert_close(weights(again.final), weights(made.final), rtol=0, atol=1e-6)
    with pytest.raises(CheckpointError, match=r"expected .* predicts dhr, found .* predicts rgt, dhr, fault$"):
        run(folder, tmp_path / "c", params, kind(tasks=("dhr",)))
    with pytest.raises(MissingError, match="weights that ship with segwheel"):
        run(folder, tmp_path / "c", volume_train_params(model={"initial_weights": "nobody"}), kind())
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("other", [{"width": 0.2}, {"tasks": ("dhr",)}, {"refine": True}])
def test_resuming_from_another_network_is_refused(folder: Path, tmp_path: Path, other: dict[str, object]) -> None:
    made = run(folder, tmp_path / "a", volume_train_params(training={"epochs": 1}), kind())
    network = NetworkKind.model_validate({**kind().model_dump(), **other})
    with pytest.raises(CheckpointError, match="is this the checkpoint of another architecture"):
        run(folder, tmp_path / "b", volume_train_params(), network, made.final)


def test_a_checkpoint_of_the_other_kind_is_told(folder: Path, tmp_path: Path) -> None:
    made = run(folder, tmp_path, volume_train_params(training={"epochs": 1}), kind(refine=True, tasks=("rgt",)))
    with pytest.raises(CheckpointError, match=r"one of main3_refine\.py") as caught:
        load_multitask(made.final, refine=False)
    assert "\n" not in str(caught.value)
    with pytest.raises(CheckpointError, match="2D network"):
        load_multitask(made.final, ndim=2)
    torch.save({"model_state_dict": {}}, tmp_path / "image.pth")
    with pytest.raises(CheckpointError, match="a checkpoint of a multi-task network"):
        load_multitask(tmp_path / "image.pth")


def test_patches_with_sparse_labels_train(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    patches = []
    for _ in range(2):
        fsem = np.full(SHAPE, 255, np.uint8)
        fsem[:, 5] = rng.random((16, 16)) < 0.3
        nothing = np.full(SHAPE, np.nan, np.float32)
        labels = {"rgt": nothing, "fsem": fsem, "fdip": nothing, "fstrike": nothing}
        patches.append((rng.normal(size=SHAPE).astype(np.float32), labels))
    attached = {"patch_shape": list(SHAPE), "targets": ["rgt", "fault"], "samples": ["a", "b"], "image_std": 1.0}
    write_patches(tmp_path / "train.zarr", iter(patches), 2, attached)
    params = volume_train_params(training={"epochs": 1})
    result = train_stored(open_patches(tmp_path / "train.zarr"), None, params, tmp_path, progress=False)
    assert math.isfinite(result.history["train_loss"][0])
    assert math.isnan(result.history["train_rgt_mae"][0])
    assert result.history["train_rgt"][0] == 0
    assert load_multitask(result.final).kind.tasks == ("rgt", "fault")
    assert list(result.plots) == ["loss_plot.png"]
