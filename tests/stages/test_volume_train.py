"""The train stage on patches of volumes."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from cube_helpers import volume_train_params

from segwheel.domain.synthesis.recipe import RECIPES
from segwheel.domain.synthesis.seismic import generate
from segwheel.formats.patch_store import write_patches
from segwheel.learning.multitask_checkpoint import load_multitask
from segwheel.stages.train import train
from segwheel.tracking import NullRun

SHAPE = (16, 16, 16)


class Recorded(NullRun):
    def __init__(self) -> None:
        self.epochs: list[tuple[int | None, Mapping[str, float]]] = []
        self.kept: list[str] = []

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        self.epochs.append((step, dict(values)))

    def artifact(self, path: Path, folder: str = "") -> None:
        self.kept.append(path.name)

    def model(self, checkpoint: Path) -> None:
        self.kept.append(checkpoint.name)


def write_store(path: Path, count: int) -> None:
    patches = []
    for number in range(count):
        made = generate(SHAPE, RECIPES["published"], np.random.default_rng(number))
        labels = {name: values.astype(np.uint8) if name == "fsem" else values for name, values in made.targets.items()}
        patches.append((made.image / made.image.std(), labels))
    attached = {
        **{"patch_shape": list(SHAPE), "targets": ["rgt", "dhr", "fault"]},
        **{"samples": ["a"] * count, "image_std": 1.0},
    }
    write_patches(path, iter(patches), count, attached)


def test_volumes_leave_what_images_leave(tmp_path: Path) -> None:
    write_store(tmp_path / "patches" / "train.zarr", 2)
    write_store(tmp_path / "patches" / "val.zarr", 1)
    run, output = Recorded(), tmp_path / "model"
    result = train(tmp_path / "patches", output, tmp_path / "work", volume_train_params(), run)
    assert {path.name for path in output.iterdir()} == {"model.pth", "history.csv", "metrics.json", "loss_plot.png"}
    assert run.kept == ["loss_plot.png", "model.pth"]
    assert [step for step, _ in run.epochs] == [1, 2, None]
    assert {"val_dice", "val_tolerant_iou", "val_rgt_mae", "val_dhr_snr", "train_loss"} <= run.epochs[1][1].keys()
    assert [row["epoch"] for row in csv.DictReader((output / "history.csv").open(newline=""))] == ["1", "2"]
    metrics = json.loads((output / "metrics.json").read_text())
    assert metrics["best_val_dice"] == result.best_score
    assert load_multitask(output / "model.pth").tile == SHAPE
    assert not list((tmp_path / "work").rglob("last.ckpt"))
