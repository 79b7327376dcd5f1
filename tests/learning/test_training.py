"""Training: what it writes, and that an interrupted run continues exactly."""

from __future__ import annotations

import math
import signal
from pathlib import Path

import pytest
import segmentation_models_pytorch as smp
import torch
from learning_helpers import make_store, train_params

from segwheel.errors import CheckpointError
from segwheel.formats.patch_store import PatchStore
from segwheel.learning.checkpoint import load_model, read_checkpoint
from segwheel.learning.training import train_network


def weights(path: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = read_checkpoint(path)["model_state_dict"]
    return state


def test_a_checkpoint_is_what_users_of_the_method_expect(store: PatchStore, tmp_path: Path) -> None:
    result = train_network(store, None, train_params(), tmp_path, progress=False)
    content = torch.load(result.final, map_location="cpu")
    expected = {"model_state_dict", "optimizer_state_dict", "scheduler_state_dict", "epoch", "best_val_dice", "history"}
    assert expected <= content.keys()
    assert content["history"]["epoch"] == [1, 2]
    assert len(content["history"]["train_dice"]) == len(content["history"]["val_dice"]) == 2
    network = smp.Unet(encoder_name="resnet18", encoder_weights=None, in_channels=1, classes=1)
    network.load_state_dict(content["model_state_dict"])
    folder = tmp_path / "checkpoints"
    assert {path.name for path in folder.iterdir()} == {
        *("best_model.pth", "checkpoint_epoch_002.pth", "final_model.pth", "last.ckpt")
    }
    assert (tmp_path / "loss_plot.png").stat().st_size > 1000


@pytest.mark.parametrize("scheduler", ["one_cycle", "reduce_on_plateau"])
@pytest.mark.parametrize("average", [0, 0.9])
def test_a_resumed_run_ends_with_the_same_weights(
    store: PatchStore, tmp_path: Path, scheduler: str, average: float
) -> None:
    params = train_params(
        lr_scheduler={"name": scheduler},
        training={"average_decay": average, "epochs": 3},
        checkpointing={"every_n_epochs": 1},
    )
    whole = train_network(store, None, params, tmp_path / "whole", progress=False)
    half = tmp_path / "whole" / "checkpoints" / "checkpoint_epoch_001.pth"
    resumed = train_network(store, None, params, tmp_path / "resumed", half, progress=False)
    assert resumed.history["epoch"] == [1, 2, 3]
    torch.testing.assert_close(weights(resumed.final), weights(whole.final), rtol=0, atol=0)
    assert all(
        a == b or (math.isnan(a) and math.isnan(b))
        for name, column in whole.history.items()
        for a, b in zip(column, resumed.history[name], strict=True)
    )


def test_training_learns(store: PatchStore, tmp_path: Path) -> None:
    params = train_params(training={"epochs": 12, "learning_rate": 3e-3}, validation={"every_n_epochs": 12})
    result = train_network(store, None, params, tmp_path, progress=False)
    assert result.history["train_loss"][-1] < 0.7 * result.history["train_loss"][0]
    assert result.history["train_dice"][-1] > result.history["train_dice"][0] + 0.2


def test_several_targets_each_have_a_channel(tmp_path: Path) -> None:
    store = make_store(tmp_path / "two.zarr", ["mask", "distance"])
    params = train_params(model={"classes": 2}, training={"epochs": 1})
    result = train_network(store, None, params, tmp_path, progress=False)
    assert "train_distance" in result.history
    assert weights(result.final)["segmentation_head.0.weight"].shape[0] == 2
    assert load_model(result.final).targets == ("mask", "distance")


def test_early_stopping_ends_before_the_last_epoch(store: PatchStore, tmp_path: Path) -> None:
    params = train_params(
        training={"epochs": 6, "learning_rate": 1e-9},
        early_stopping={"enabled": True, "patience": 1, "min_delta": 1.0},
    )
    result = train_network(store, None, params, tmp_path, progress=False)
    assert len(result.history["epoch"]) < 6


def test_epochs_are_reported_as_they_end(store: PatchStore, tmp_path: Path) -> None:
    seen: dict[int, dict[str, float]] = {}
    train_network(
        store, None, train_params(), tmp_path, on_epoch=lambda n, s: seen.update({n: dict(s)}), progress=False
    )
    assert list(seen) == [1, 2]
    assert {"train_loss", "val_loss", "train_dice", "val_dice", "learning_rate"} <= seen[2].keys()


def test_a_run_shorter_than_the_time_between_validations_is_validated_once(store: PatchStore, tmp_path: Path) -> None:
    result = train_network(store, store, train_params(validation={"every_n_epochs": 9}), tmp_path, progress=False)
    assert result.best.is_file()
    assert result.best_score == result.history["val_dice"][-1] > 0


def test_ctrl_c_ends_as_ctrl_c_and_can_be_pressed_again(store: PatchStore, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train_network(
            store,
            None,
            train_params(),
            tmp_path,
            on_epoch=lambda *_: signal.raise_signal(signal.SIGINT),
            progress=False,
        )
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_resuming_from_another_network_is_refused(store: PatchStore, tmp_path: Path) -> None:
    made = train_network(store, None, train_params(training={"epochs": 1}), tmp_path / "a", progress=False)
    other = train_params(model={"encoder": "resnet34"})
    with pytest.raises(CheckpointError, match="is this the checkpoint of another architecture"):
        train_network(store, None, other, tmp_path / "b", made.final, progress=False)
