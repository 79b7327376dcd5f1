"""The wheel with real DVC, git and MLflow: a fresh clone, two iterations, comparison, and a run with nothing to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
import zarr
from wheel_clone import Clone

from segwheel.formats.tiff import read_image, read_mask, write_mask


def shrink(values: Any) -> None:
    """The smallest parameters of `microscopy` that still do everything."""
    one = values["microscopy"]
    one["ingest"]["generate"] |= {"count": 8, "size": 96}
    one["patches"] |= {"patch_size": 32, "patches_per_image": 4, "validation_patches_per_image": 1}
    one["train"]["training"]["epochs"] = 2
    one["train"]["validation"]["every_n_epochs"] = 2
    one["predict"]["test_time_augmentation"] = "none"
    one["select"]["count"] = 2


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """After two iterations: the first with the generated labels, the second with two simulated corrections."""
    return Clone(tmp_path_factory.mktemp("wheel"), "microscopy", shrink).turned_twice(corrections=2)


def test_corrected_images_train_and_leave_the_pool(clone: Clone) -> None:
    corrected = {row["basename"] for row in clone.first_queue}
    assert corrected <= {row["basename"] for row in clone.table("splits/train.csv")}
    assert not corrected & {row["basename"] for row in clone.table("splits/pool.csv")}
    store = zarr.open_group(clone.folder / "data/microscopy/patches/train.zarr", mode="r")
    assert corrected <= set(store.attrs["samples"])  # type: ignore[arg-type]


def test_the_simulated_annotator_says_so(clone: Clone) -> None:
    assert "SIMULATED ANNOTATOR" in clone.simulated
    assert {row["annotator"] for row in clone.table("corrections.csv")} == {"simulated"}
    assert {row["iteration"] for row in clone.table("corrections.csv")} == {"1"}


def test_pool_masks_stay_hidden(clone: Clone) -> None:
    hidden = [row for row in clone.table("manifest/all.csv") if row["split"] == "pool"]
    assert hidden
    assert all(not row["mask_path"] for row in hidden)


def test_iterations_are_compared(clone: Clone) -> None:
    shown = clone.run("segwheel", "compare", "microscopy")
    assert "Dice" in shown
    assert len(clone.run("segwheel", "compare", "microscopy", "--csv").splitlines()) > 5


def test_mlflow_has_a_run_for_each_iteration_with_a_model_that_predicts(
    clone: Clone, monkeypatch: pytest.MonkeyPatch, tracked_at: Callable[[str], None]
) -> None:
    monkeypatch.chdir(clone.folder)
    tracked_at("sqlite:///mlflow.db")
    runs = mlflow.search_runs(
        experiment_names=["microscopy"], filter_string="status = 'FINISHED'", output_format="list"
    )
    by_iteration = {run.data.tags["segwheel.iteration"]: run for run in runs}
    assert sorted(by_iteration) == ["1", "2"]
    last = by_iteration["2"]
    assert {"test_dice", "test_object_f1", "train_loss", "seconds/train"} <= last.data.metrics.keys()
    assert last.data.metrics["corrections"] == 2
    assert last.data.params["training.epochs"] == "2"
    assert last.inputs.dataset_inputs
    model = mlflow.pyfunc.load_model(f"runs:/{last.info.run_id}/model")
    image = read_image(next((clone.folder / "data/microscopy/samples/images").glob("*.tif")))
    probability = model.predict(image[None].astype(np.float32))
    assert probability.shape == (1, *image.shape)
    assert 0 <= probability.min() <= probability.max() <= 1


def test_nothing_to_do_does_nothing(clone: Clone) -> None:
    assert "Data and pipelines are up to date" in clone.run("dvc", "repro")


def test_metrics_and_plots_differ_between_commits(clone: Clone) -> None:
    difference = json.loads(clone.run("dvc", "metrics", "diff", "--json", "HEAD~2"))
    assert "reports/microscopy/evaluation.json" in json.dumps(difference)
    assert "history" in clone.run("dvc", "plots", "diff", "HEAD~2", "--json")


def test_an_experiment_changes_a_parameter_and_is_listed(clone: Clone) -> None:
    clone.run("dvc", "exp", "run", "--name", "fewer", "--set-param", "microscopy.select.count=1")
    assert len(clone.table("queue/review_queue.csv")) == 1
    shown = clone.run("dvc", "exp", "show", "--json")
    assert '"fewer"' in shown
    assert "object_f1" in shown
    clone.run("git", "checkout", "--quiet", ".")
    clone.run("dvc", "checkout")
    assert len(clone.table("queue/review_queue.csv")) == 2


def test_a_folder_of_corrected_masks_is_taken_in(clone: Clone, tmp_path: Path) -> None:
    name = clone.table("splits/pool.csv")[0]["basename"]
    predicted = read_mask(clone.folder / f"data/microscopy/predictions/{name}_pred_mask.tif")
    write_mask(tmp_path / f"{name}_mask.tif", predicted)
    said = clone.run("segwheel", "correct", "microscopy", str(tmp_path), "--annotator", "me")
    assert f"{name}: accepted, 0 pixels changed" in said
    row = next(row for row in clone.table("corrections.csv") if row["basename"] == name)
    assert (row["annotator"], row["outcome"], row["iteration"]) == ("me", "accepted", "2")


def test_a_correction_of_an_unknown_image_changes_nothing(clone: Clone, tmp_path: Path) -> None:
    before = clone.table("corrections.csv")
    write_mask(tmp_path / "stranger_mask.tif", np.zeros((4, 4), np.uint8))
    said = clone.run("segwheel", "correct", "microscopy", str(tmp_path), code=1)
    assert said.startswith("error: ")
    assert "has no image stranger" in said
    assert clone.table("corrections.csv") == before
