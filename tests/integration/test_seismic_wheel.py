"""The seismic flywheel with real DVC and git: slices that were corrected train, and their volumes still wait."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from wheel_clone import Clone

from segwheel.axes import Region
from segwheel.formats import volume
from segwheel.formats.patch_store import open_patches
from segwheel.formats.tiff import read_mask

SHAPE = (16, 24, 32)


def shrink(values: Any) -> None:
    """The smallest parameters of `seismic` that still do everything."""
    one = values["seismic"]
    one["ingest"]["generate"] |= {"count": 4, "shape": list(SHAPE)}
    one["patches"] |= {"shape": [16, 16, 16], "patches_per_volume": 2}
    one["patches"]["generated"] |= {"count": 2, "shape": [16, 16, 16]}
    one["train"]["model"] |= {"width": 0.1, "initial_weights": None}
    one["train"]["training"]["epochs"] = 1
    one["train"]["validation"]["every_n_epochs"] = 1
    one["quantify"]["min_fault_voxels"] = 5
    one["select"] |= {"count": 3, "spacing": 6}


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """After two iterations: the first with the generated labels, the second with two simulated slices."""
    return Clone(tmp_path_factory.mktemp("wheel"), "seismic", shrink).turned_twice(corrections=2)


def labels(path: Path) -> Any:
    opened = volume.open(path)
    return opened.read(Region.whole(opened.shape))


def test_corrected_slices_are_all_that_is_known_of_their_volume(clone: Clone) -> None:
    corrected = {row["basename"] for row in clone.first_queue[:2]}
    train = {row["basename"]: row for row in clone.table("splits/train.csv")}
    waiting = {row["basename"] for row in clone.table("splits/pool.csv")}
    assert corrected <= train.keys() & waiting
    for name in corrected:
        expected = np.full(SHAPE, 255, np.uint8)
        truth = labels(clone.folder / "data/seismic/samples" / name / "fsem.zarr")
        for row in clone.table("corrections.csv"):
            if row["basename"] == name:
                part = [slice(None)] * 3
                part[("depth", "inline", "crossline").index(row["axis"])] = int(row["index"])
                np.testing.assert_array_equal(
                    read_mask(clone.folder / "data/seismic" / row["mask_path"]), truth[tuple(part)]
                )
                expected[tuple(part)] = truth[tuple(part)]
        np.testing.assert_array_equal(labels(clone.folder / train[name]["fsem_path"]), expected)
        assert not train[name]["rgt_path"]


def test_patches_hold_the_corrected_slices(clone: Clone) -> None:
    store = open_patches(clone.folder / "data/seismic/patches/train.zarr")
    names = store.attributes["samples"]
    for row in clone.first_queue[:2]:
        targets = store[names.index(row["basename"])][1]
        share = (targets["fsem"] != 255).mean()
        assert 0 < share < 0.2
        assert np.isnan(targets["rgt"]).all()


def test_what_is_labelled_is_not_asked_again(clone: Clone) -> None:
    first = {(row["basename"], row["axis"], row["index"]) for row in clone.first_queue[:2]}
    assert not first & {(row["basename"], row["axis"], row["index"]) for row in clone.table("queue/review_queue.csv")}


def test_where_slices_came_from(clone: Clone) -> None:
    assert "SIMULATED ANNOTATOR" in clone.simulated
    rows = clone.table("corrections.csv")
    assert {(row["annotator"], row["iteration"]) for row in rows} == {("simulated", "1")}
    assert all(row["pixels_changed"] for row in rows)
    assert all(row["model_version"] for row in rows)


def test_the_test_volume_is_scored(clone: Clone) -> None:
    scores = json.loads((clone.folder / "reports/seismic/evaluation.json").read_text())
    assert {"fault_dice", "tolerant_iou", "normal_error", "rgt_mae", "dhr_correlation"} <= scores.keys()
    shown = clone.run("segwheel", "compare", "seismic")
    assert "Dice" in shown
    pictures = {path.name for path in (clone.folder / "data/seismic/evaluation/pictures").iterdir()}
    (tested,) = clone.table("splits/test.csv")
    assert pictures == {f"worst_1_{tested['basename']}.png", f"worst_1_{tested['basename']}_slices.png"}


def test_nothing_to_do_does_nothing(clone: Clone) -> None:
    assert "Data and pipelines are up to date" in clone.run("dvc", "repro")
