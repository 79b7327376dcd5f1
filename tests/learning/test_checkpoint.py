"""Checkpoints are read without running anything, and only into the network that they belong to."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Any

import pytest
import torch
from learning_helpers import train_params

from segwheel.errors import CheckpointError, InputError, MissingError, SegwheelError, ServiceError
from segwheel.formats.patch_store import PatchStore
from segwheel.learning import networks
from segwheel.learning.checkpoint import load_model, publish, read_checkpoint
from segwheel.learning.training import build_segmenter


class Trap:
    """Unpickling this would make a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.target),))


@pytest.fixture
def content(store: PatchStore) -> dict[str, Any]:
    segmenter = build_segmenter(store, train_params())
    checkpoint: dict[str, Any] = {"state_dict": segmenter.state_dict(), "epoch": 0}
    segmenter.on_save_checkpoint(checkpoint)
    return checkpoint


def test_a_malicious_pickle_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / "evil.pth"
    torch.save({"model_state_dict": Trap(tmp_path / "owned")}, path)
    with pytest.raises(CheckpointError, match=r"evil\.pth: expected a checkpoint of plain tensors.*other kinds$"):
        load_model(path)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("damage", [b"", b"no checkpoint", b"PK\x03\x04 cut off"])
def test_a_damaged_file_is_named(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "cut.pth"
    path.write_bytes(damage)
    with pytest.raises(CheckpointError, match=r"cut\.pth"):
        read_checkpoint(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no such checkpoint"):
        read_checkpoint(tmp_path / "none.pth")


def test_weights_of_another_architecture_are_refused(content: dict[str, Any], tmp_path: Path) -> None:
    content["model"] = {**content["model"], "encoder": "resnet34"}
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match="another architecture"):
        load_model(tmp_path / "other.pth")


def test_a_checkpoint_without_description_says_what_is_missing(content: dict[str, Any], tmp_path: Path) -> None:
    torch.save({"model_state_dict": content["model_state_dict"]}, tmp_path / "bare.pth")
    with pytest.raises(CheckpointError, match="found no model"):
        load_model(tmp_path / "bare.pth")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"model_state_dict": 5}, "expected a dict with model_state_dict"),
        ({"normalization": {"mean": 0.0}}, "expected a normalization of mean and std"),
        ({"targets": ["mask", "distance"]}, "expected 1 targets, as model.classes, found 2"),
    ],
)
def test_a_checkpoint_of_odd_content_is_refused(
    content: dict[str, Any], tmp_path: Path, change: dict[str, Any], sentence: str
) -> None:
    torch.save(content | change, tmp_path / "odd.pth")
    with pytest.raises(CheckpointError, match=sentence):
        load_model(tmp_path / "odd.pth")


def test_a_full_disk_is_one_sentence(content: dict[str, Any], tmp_path: Path) -> None:
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    torch.save(content, tmp_path / "full.pth")
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, unlimited[1]))
    try:
        with pytest.raises(SegwheelError, match=r"model\.pth: expected room to write it, found none"):
            publish(tmp_path / "full.pth", tmp_path / "model.pth")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert not [path.name for path in tmp_path.iterdir() if "model" in path.name]


def test_a_published_model_loads_and_keeps_its_version(content: dict[str, Any], tmp_path: Path) -> None:
    torch.save(content, tmp_path / "full.pth")
    publish(tmp_path / "full.pth", tmp_path / "model.pth")
    assert load_model(tmp_path / "model.pth").version == load_model(tmp_path / "full.pth").version
    assert "optimizer_state_dict" not in read_checkpoint(tmp_path / "model.pth")


def test_weights_that_cannot_be_downloaded_name_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("no route")

    monkeypatch.setattr(networks.smp, "create_model", offline)
    params = train_params(model={"encoder_weights": "imagenet"}).model
    with pytest.raises(ServiceError, match=r"model\.encoder_weights: imagenet.*set model\.encoder_weights: null"):
        networks.build_network(params)


def test_an_unknown_encoder_is_named() -> None:
    with pytest.raises(InputError, match="resnet19"):
        networks.build_network(train_params(model={"encoder": "resnet19"}).model)
