"""The results half of a turn on generated volumes: evaluate, predict, quantify and select, as functions."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from segwheel.axes import Region
from segwheel.domain.manifest import write_manifest
from segwheel.domain.synthesis.volumes import write_generated
from segwheel.errors import CheckpointError, FormatError, MissingError
from segwheel.formats import volume
from segwheel.integrations.label_studio.tasks import all_tasks, read_queue
from segwheel.learning.multitask_checkpoint import NetworkKind, describe, write_model
from segwheel.params.volumes import (
    GenerateVolumesParams,
    VolumeEvaluateParams,
    VolumePredictParams,
    VolumeQuantifyParams,
    VolumeSelectParams,
)
from segwheel.stages.evaluate import evaluate
from segwheel.stages.predict import predict
from segwheel.stages.quantify import quantify
from segwheel.stages.select import select
from segwheel.tracking import NullRun

SHAPE = (24, 32, 40)
PREDICT = VolumePredictParams(overlap=0.25, window="gaussian", batch_size=2, threshold=0.12)
EVALUATE = VolumeEvaluateParams(pictures=1, tolerance=2)
QUANTIFY = VolumeQuantifyParams(min_fault_voxels=5, stick_spacing=4)
SELECT = VolumeSelectParams(method="boundary_uncertainty", count=5, axes=("inline", "crossline"), spacing=8, seed=0)


class Recorded(NullRun):
    def __init__(self) -> None:
        self.numbers: dict[str, float] = {}
        self.kept: list[str] = []

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        self.numbers.update(values)

    def artifact(self, path: Path, folder: str = "") -> None:
        assert path.is_file()
        self.kept.append(f"{folder}/{path.name}")


class Turn:
    """Two generated test volumes, and two in the pool; the second of either is labelled in one slice only."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        kind = NetworkKind(design="light", refine=False, ndim=3, width=0.1, tasks=("rgt", "dhr", "fault"))
        write_model(Path("model.pth"), kind.build().state_dict(), describe(kind, (16, 16, 16), 1.0, 0.5))
        generate = GenerateVolumesParams(count=4, shape=SHAPE, recipe="published", seed=5)
        names = [entry.basename for entry in write_generated(Path("samples"), generate)]
        rows = [{"basename": name, **_paths(name), "group": name} for name in names]
        for name, row in zip(names[1::2], rows[1::2], strict=True):
            row |= {f"{one}_path": "" for one in ("rgt", "dhr", "fdip", "fstrike")} | {"fsem_path": _one_slice(name)}
        for attribute in ("rgt", "dhr", "fsem", "fdip", "fstrike"):
            rows[2][f"{attribute}_path"] = ""
        write_manifest(Path("test.csv"), rows[:2])
        write_manifest(Path("pool.csv"), rows[2:])
        self.names, self.run = names, Recorded()
        self.rows = evaluate(
            *(Path("model.pth"), Path("test.csv"), Path("evaluation"), Path("evaluation.json")),
            *(PREDICT, QUANTIFY, EVALUATE, self.run),
        )
        self.predicted = predict(Path("model.pth"), Path("pool.csv"), Path("predictions"), Path("work"), PREDICT)
        self.faults = quantify(Path("predictions"), Path("pool.csv"), Path("objects"), PREDICT.threshold, QUANTIFY)
        self.queued = select(Path("pool.csv"), Path("predictions"), Path("queue"), PREDICT.threshold, SELECT)


def _paths(name: str) -> dict[str, str]:
    return {f"{one}_path": f"samples/{name}/{one}.zarr" for one in ("image", "rgt", "dhr", "fsem", "fdip", "fstrike")}


def _one_slice(name: str) -> str:
    """Fault labels of inline 12 alone."""
    full = volume.open(Path(f"samples/{name}/fsem.zarr"))
    label = np.full(SHAPE, 255, np.uint8)
    label[:, 12] = full.read(Region.whole(SHAPE))[:, 12]
    volume.write_array(Path(f"samples/{name}/sparse.zarr"), label)
    return f"samples/{name}/sparse.zarr"


@pytest.fixture(scope="module")
def turn(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("turn"))
        yield Turn()


def table(path: str) -> list[dict[str, str]]:
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def test_test_volumes_are_scored_where_they_are_labelled(turn: Turn) -> None:
    rows = table("evaluation/per_image.csv")
    assert [row["basename"] for row in rows] == turn.names[:2]
    assert all(rows[0].values())
    scored = {name for name, cell in rows[1].items() if cell}
    assert scored == {"basename", "group", "fault_dice", "tolerant_iou"}
    means = json.loads(Path("evaluation.json").read_text())
    assert means["fault_dice"] == pytest.approx(np.mean([float(row["fault_dice"]) for row in rows]))
    assert means["rgt_mae"] == pytest.approx(float(rows[0]["rgt_mae"]))
    assert 0 < means["normal_error"] < 90
    assert means["dhr_correlation"] > 0.3  # an untrained light network gives back the image
    assert turn.run.numbers["test_rgt_mae"] == means["rgt_mae"]
    assert turn.run.numbers[f"image/{turn.names[0]}/dhr_snr"] == pytest.approx(float(rows[0]["dhr_snr"]))
    assert f"image/{turn.names[1]}/dhr_snr" not in turn.run.numbers


def test_pictures_show_the_best_and_the_worst(turn: Turn) -> None:
    names = {path.name for path in Path("evaluation/pictures").iterdir()}
    assert {name.rsplit("_volume", 1)[0] for name in names} == {"best_1", "worst_1"}
    assert sum(name.endswith("_slices.png") for name in names) == 2  # beside the overlay of either
    assert set(turn.run.kept) == {"/per_image.csv", *(f"test pictures/{name}" for name in names)}


def test_every_volume_of_the_pool_has_its_attributes(turn: Turn) -> None:
    assert turn.predicted == 2
    for name in turn.names[2:]:
        for attribute in ("rgt", "dhr", "fsem", "fdip", "fstrike"):
            assert volume.open(Path(f"predictions/{name}/{attribute}.zarr")).shape == SHAPE
    assert not Path("work").exists()


def test_faults_are_objects_and_sticks(turn: Turn) -> None:
    rows = table("objects/faults.csv")
    assert len(rows) == turn.faults > 0
    assert {row["basename"] for row in rows} <= set(turn.names[2:])
    for row in rows:
        assert int(row["voxels"]) >= 5
        assert 0 <= float(row["dip"]) <= 180
        assert int(row["stop_crossline"]) - int(row["start_crossline"]) == int(row["extent_crossline"])
    assert all(Path(f"objects/{name}_sticks.txt").is_file() for name in turn.names[2:])


def test_the_queue_holds_slices_that_label_studio_takes(turn: Turn) -> None:
    queue = table("queue/review_queue.csv")
    assert turn.queued == len(queue) == 5
    scores = [float(row["score"]) for row in queue]
    assert scores == sorted(scores, reverse=True)
    slices = {(row["basename"], row["axis"], int(row["index"])) for row in queue}
    assert len(slices) == 5
    assert (turn.names[3], "inline", 12) not in slices
    for row in queue:
        assert row["axis"] in ("inline", "crossline")
        picture = Image.open(row["picture_path"])
        assert picture.height < picture.width
    read = read_queue(Path("queue/review_queue.csv"), Path.cwd())
    tasks = list(all_tasks("seismic", read, Path("shown"), PREDICT.threshold))
    assert [(task.axis, task.index) for task, _ in tasks] == [(row["axis"], int(row["index"])) for row in queue]
    assert all(mask.shape == task.plane for task, mask in tasks)


def test_nothing_in_the_pool_and_nothing_to_test(turn: Turn, tmp_path: Path) -> None:
    empty = tmp_path / "empty.csv"
    write_manifest(empty, [], ("basename", "image_path"))
    assert predict(Path("model.pth"), empty, tmp_path / "predictions", tmp_path / "work", PREDICT) == 0
    assert quantify(tmp_path / "predictions", empty, tmp_path / "objects", 0.5, QUANTIFY) == 0
    assert select(empty, tmp_path / "predictions", tmp_path / "queue", 0.5, SELECT) == 0
    metrics = tmp_path / "evaluation.json"
    assert not evaluate(
        *(Path("model.pth"), empty, tmp_path / "evaluation", metrics, PREDICT, QUANTIFY, EVALUATE, NullRun())
    )
    assert json.loads(metrics.read_text()) == {}
    assert table(str(tmp_path / "objects" / "faults.csv")) == []


def test_what_cannot_be_used_is_one_line_and_leaves_everything_as_it_was(turn: Turn, tmp_path: Path) -> None:
    output = tmp_path / "out"
    rows = [{"basename": "a", "image_path": f"samples/{turn.names[0]}/image.zarr"}]
    write_manifest(Path("odd.csv"), [rows[0], {"basename": "b", "image_path": "samples/none.zarr"}])
    with pytest.raises(MissingError, match=r"none\.zarr: no such volume"):
        predict(Path("model.pth"), Path("odd.csv"), output, tmp_path / "work", PREDICT)
    assert not output.exists()
    torch.save({"model_state_dict": {}}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match="expected a checkpoint of a multi-task network"):
        predict(tmp_path / "other.pth", Path("pool.csv"), output, tmp_path / "work", PREDICT)
    volume.write_array(Path("small.zarr"), np.zeros((3, 4, 5), np.uint8))
    write_manifest(Path("odd.csv"), [rows[0] | {"fsem_path": "small.zarr", "group": "a"}])
    with pytest.raises(FormatError, match=r"small\.zarr: expected the grid of .*image\.zarr"):
        evaluate(
            *(Path("model.pth"), Path("odd.csv"), output, tmp_path / "m.json", PREDICT, QUANTIFY, EVALUATE, NullRun())
        )
    assert not output.exists()
