"""The stages one after the other on generated cells, as functions: what they write and what they record."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from learning_helpers import train_params

from segwheel.domain.corrections import write_corrections
from segwheel.domain.index import write_index
from segwheel.errors import ManifestError, PartialError
from segwheel.formats.patch_store import open_patches
from segwheel.formats.tiff import read_image, read_mask
from segwheel.params.images import (
    EvaluateParams,
    GenerateParams,
    IngestParams,
    PatchParams,
    PredictParams,
    QuantifyParams,
    SelectParams,
)
from segwheel.params.sections import SplitParams
from segwheel.stages.evaluate import evaluate
from segwheel.stages.ingest import ingest
from segwheel.stages.patches import patches
from segwheel.stages.predict import predict
from segwheel.stages.quantify import quantify
from segwheel.stages.select import select
from segwheel.stages.split import split
from segwheel.stages.train import train, training_key
from segwheel.tracking import NullRun

PATCHES = PatchParams(
    patch_size=32,
    patches_per_image=3,
    validation_patches_per_image=1,
    positive_ratio=0.7,
    negative_threshold=0.05,
    max_jitter=0.25,
    pixel_size_um=None,
    seed=0,
)
PREDICT = PredictParams(
    tile_size=64,
    overlap=0.25,
    window="gaussian",
    test_time_augmentation="none",
    batch_size=2,
    precision="32",
    merge=2,
    threshold=0.5,
    min_object_area=5,
    fill_holes=5,
    connectivity=8,
)
QUANTIFY = QuantifyParams.model_validate(
    {
        **{"objects": "foreground", "min_object_area": 5, "fill_holes": 0, "connectivity": 8, "iou_threshold": 0.5},
        "separation": {"method": "distance_output", "smoothing": 1, "depth": 0.3},
    }
)


class Recorded(NullRun):
    """Remembers what a stage recorded."""

    def __init__(self) -> None:
        self.numbers: dict[str, float] = {}
        self.kept: list[str] = []
        self.curve: list[int] = []

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        if step is None:
            self.numbers.update(values)
        else:
            self.curve.append(step)

    def artifact(self, path: Path, folder: str = "") -> None:
        assert path.is_file()
        self.kept.append(f"{folder}/{path.name}")

    def model(self, checkpoint: Path) -> None:
        assert checkpoint.is_file()
        self.kept.append("model")


class Turn:
    """One turn of the wheel in the working directory."""

    def __init__(self) -> None:
        self.run = Recorded()
        write_index(Path("index.csv"), [])
        write_corrections(Path("corrections.csv"), [])
        ingest(
            Path("index.csv"),
            Path("corrections.csv"),
            Path("samples"),
            Path("all.csv"),
            Path("qc.csv"),
            IngestParams(generate=GenerateParams(count=8, size=96, seed=1)),
        )
        split(Path("all.csv"), Path("splits"), SplitParams(seed=1, train_ratio=0.6, val_ratio=0.2, test_ratio=0.2))
        patches(Path("splits"), Path("patches"), ["mask", "distance"], PATCHES)
        self.params = train_params(model={"classes": 2}, training={"epochs": 1})
        train(Path("patches"), Path("model"), Path("work"), self.params, self.run)
        self.rows = evaluate(
            Path("model/model.pth"),
            Path("splits/test.csv"),
            Path("evaluation"),
            Path("evaluation.json"),
            PREDICT,
            QUANTIFY,
            EvaluateParams(pictures=1),
            self.run,
        )
        predict(Path("model/model.pth"), Path("splits/pool.csv"), Path("predictions"), Path("work/predict"), PREDICT)
        quantify(Path("predictions"), Path("splits/pool.csv"), Path("objects"), 0.5, QUANTIFY)
        settings = SelectParams(method="boundary_uncertainty", count=2, seed=0)
        self.queued = select(Path("splits/pool.csv"), Path("predictions"), Path("queue"), 0.5, settings)


@pytest.fixture(scope="module")
def turn(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("turn"))
        yield Turn()


def rows(path: str) -> list[dict[str, str]]:
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def test_patches_come_from_the_training_images(turn: Turn) -> None:
    store = open_patches(Path("patches/train.zarr"))
    assert set(store.attributes["samples"]) == {row["basename"] for row in rows("splits/train.csv")}
    image, targets = store[0]
    assert image.shape == targets["mask"].shape == targets["distance"].shape == (48, 48)
    assert len(list(Path("patches").rglob("c/*"))) < len(store)


def test_the_model_folder_is_what_dvc_expects(turn: Turn) -> None:
    names = {path.name for path in Path("model").iterdir()}
    assert names == {"model.pth", "history.csv", "metrics.json", "loss_plot.png"}
    assert json.loads(Path("model/metrics.json").read_text())["train_loss"] > 0


def test_what_is_recorded(turn: Turn) -> None:
    assert turn.run.curve == [1]
    assert {"test_dice", "test_iou", "test_object_f1", "train_images"} <= turn.run.numbers.keys()
    assert turn.run.numbers["test_dice"] == pytest.approx(np.mean([float(str(row["dice"])) for row in turn.rows]))
    assert "model" in turn.run.kept
    assert "/loss_plot.png" in turn.run.kept
    assert any(name.startswith("test pictures/worst_1") for name in turn.run.kept)


def test_predictions_are_of_the_pool_at_full_size(turn: Turn) -> None:
    for row in rows("splits/pool.csv"):
        mask = read_mask(Path(f"predictions/{row['basename']}_pred_mask.tif"))
        probability = read_image(Path(f"predictions/{row['basename']}_pred_prob.tif"))
        assert mask.shape == probability.shape == (96, 96)
        assert 0 <= probability.min() <= probability.max() <= 1
        assert read_image(Path(f"predictions/{row['basename']}_pred_dist.tif")).shape == (96, 96)


def test_the_queue_has_pictures_and_paths_that_exist(turn: Turn) -> None:
    queue = rows("queue/review_queue.csv")
    assert [row["rank"] for row in queue] == ["1", "2"]
    assert float(queue[0]["score"]) >= float(queue[1]["score"])
    for row in queue:
        assert all(Path(row[f"{name}_path"]).is_file() for name in ("image", "prediction", "probability", "picture"))


def test_a_finished_training_is_not_repeated_and_a_changed_one_is_another(turn: Turn) -> None:
    key = training_key(Path("patches"), turn.params)
    assert (Path("work") / key).is_dir()
    assert training_key(Path("patches"), train_params(model={"classes": 2}, training={"seed": 9})) != key


def test_an_empty_pool_and_an_empty_test_set_are_no_error(turn: Turn, tmp_path: Path) -> None:
    header = Path("splits/pool.csv").read_text().splitlines()[0]
    empty = tmp_path / "empty.csv"
    empty.write_text(header + "\n")
    assert predict(Path("model/model.pth"), empty, tmp_path / "predictions", tmp_path / "work", PREDICT) == 0
    assert quantify(tmp_path / "predictions", empty, tmp_path / "objects", 0.5, QUANTIFY) == 0
    settings = SelectParams(method="boundary_uncertainty", count=2, seed=0)
    assert select(empty, tmp_path / "predictions", tmp_path / "queue", 0.5, settings) == 0


def test_an_image_that_cannot_be_read_is_counted_and_nothing_half_written(turn: Turn, tmp_path: Path) -> None:
    lines = Path("splits/pool.csv").read_text().splitlines()
    broken = tmp_path / "broken.tif"
    broken.write_bytes(b"II*\0 cut")
    first = lines[1].split(",")
    source = Path.cwd() / first[1]
    manifest = tmp_path / "pool.csv"
    manifest.write_text(f"basename,image_path\n{first[0]},{source.name}\nbroken,broken.tif\n")
    (tmp_path / source.name).write_bytes(source.read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        model = Path("model/model.pth").absolute()
        patch.chdir(tmp_path)
        with pytest.raises(PartialError, match="1 of 2 failed"):
            predict(model, manifest, tmp_path / "out", tmp_path / "work", PREDICT)
    assert not (tmp_path / "out").exists()


def test_training_without_a_mask_is_refused(turn: Turn, tmp_path: Path) -> None:
    folder = tmp_path / "splits"
    folder.mkdir()
    (folder / "train.csv").write_text("basename,image_path,mask_path\na,a.tif,\n")
    with pytest.raises(ManifestError, match="a mask for every training sample, found none for a"):
        patches(folder, tmp_path / "patches", ["mask"], PATCHES)
