"""A turn of the wheel through the real page: push, a person corrects in headless Chromium, pull, train."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from label_studio_page import CHROMIUM, TaskPage, logged_in
from label_studio_wheel import RealServer, Wheel
from mlflow import MlflowClient
from wheel_clone import Clone

from segwheel.axes import Region
from segwheel.domain.corrections import Correction
from segwheel.formats import volume
from segwheel.formats.patch_store import open_patches
from segwheel.formats.tiff import read_mask, write_mask
from segwheel.integrations.label_studio import server
from segwheel.integrations.label_studio.client import Client

pytestmark = pytest.mark.xdist_group("label_studio_turn")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
THRESHOLD = 0.3  # not what is usual, so that it must come from params.yaml
BRUSH = 13  # pixels that the page's brush reaches to each side of its line, at most
Label = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def page(real_server: RealServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A logged-in browser page."""
    if not CHROMIUM.exists():
        pytest.skip("Chromium is not installed: `apt-get install chromium`")
    with (
        playwright.sync_playwright() as driver,
        logged_in(driver, real_server.credentials, tmp_path_factory.mktemp("profile"), (1400, 1000)) as opened,
    ):
        yield opened


def served(
    real_server: RealServer, folder: Path, flywheel: str, shrink: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> Clone:
    """A clone that the tests' server serves."""
    for name in ("LABEL_STUDIO_URL", "LABEL_STUDIO_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    clone = Clone(folder, flywheel, shrink)
    home = server.home(clone.folder)
    home.parent.mkdir()
    home.symlink_to(server.home(real_server.root))
    return clone


def predicted(clone: Clone) -> Clone:
    """The same after a first iteration, which has filled the queue."""
    clone.run("dvc", "repro", f"select@{clone.flywheel}")
    clone.run("git", "add", ".")
    clone.run("git", "commit", "-qm", "Iteration 1")
    return clone


def occurs(patch: Label, whole: Label) -> bool:
    """Whether `patch`, which may reach over the border, is cut out of `whole`."""
    padded = np.pad(whole, [(n, n) for n in patch.shape], constant_values=255)
    windows = np.lib.stride_tricks.sliding_window_view(padded, patch.shape)
    like = np.argwhere((windows[:, :, patch.shape[0] // 2] == patch[patch.shape[0] // 2]).all(axis=-1))
    return any(np.array_equal(windows[y, x], patch) for y, x in like)


def effort_in_mlflow(clone: Clone) -> dict[str, float]:
    """The effort that the run of iteration 2 holds."""
    client = MlflowClient(f"sqlite:///{clone.folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name(clone.flywheel)
    assert experiment is not None
    query = "tags.`segwheel.iteration` = '2' and status = 'FINISHED'"
    (run,) = client.search_runs([experiment.experiment_id], query)
    return {name: value for name, value in run.data.metrics.items() if name.startswith("effort")}


def check_provenance(row: Correction, mask: Label, prediction: npt.NDArray[np.bool_]) -> None:
    assert row.outcome == "edited"
    assert row.pixels_changed == int((mask != prediction).sum()) > 0
    assert row.annotator == server.USER
    assert row.iteration == 1
    assert row.model_version.startswith("iteration-001-")
    assert row.lead_time_s is not None
    assert row.lead_time_s > 0


def far_from(rows: slice, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Where the brush cannot have been."""
    far = np.ones(shape, dtype=np.bool_)
    far[max(rows.start - BRUSH, 0) : rows.stop + BRUSH] = False
    return far


def few_images(values: Any) -> None:
    """The smallest parameters of `microscopy` with which two images wait for correction."""
    one = values["microscopy"]
    one["ingest"]["generate"] |= {"count": 8, "size": 96}
    few_patches(one, 32)


def few_patches(one: Any, size: int) -> None:
    """The smallest parameters with which a network of two-dimensional patches is trained."""
    one["patches"] |= {"patch_size": size, "patches_per_image": 4, "validation_patches_per_image": 1}
    one["train"]["training"]["epochs"] = 1
    one["train"]["validation"]["every_n_epochs"] = 1
    one["predict"]["test_time_augmentation"] = "none"
    one["select"]["count"] = 2


def test_a_person_corrects_an_image_and_it_is_trained_on(
    real_server: RealServer, client: Client, page: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = predicted(served(real_server, tmp_path, "microscopy", few_images, monkeypatch))
    turn(clone, Wheel(clone.folder, "microscopy", real_server.credentials), client, page)


def test_a_person_corrects_a_real_image_and_it_is_trained_on(
    real_server: RealServer,
    client: Client,
    page: Any,
    tmp_path: Path,
    shared_data: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clone = served(real_server, tmp_path, "microscopy", few_images, monkeypatch)
    images = shared_data / "microscopy" / "em_membranes"
    clone.run("segwheel", "import", "membranes", str(images), "--splits", str(images / "splits.csv"))
    clone.flywheel = "membranes"
    clone.adjust(lambda values: few_patches(values["membranes"], 256))
    predicted(clone)
    turn(clone, Wheel(clone.folder, "membranes", real_server.credentials), client, page)


def turn(clone: Clone, wheel: Wheel, client: Client, page: Any) -> None:
    """The first image of the queue is corrected, the second accepted; both are trained on."""
    edited, accepted = (row["basename"] for row in clone.table("queue/review_queue.csv"))
    predictions = {name: _show_something(wheel, name) for name in (edited, accepted)}
    assert "2 sent" in clone.run("segwheel", "labels", "push", wheel.name)

    tasks = wheel.tasks(client)
    opened = TaskPage(page, wheel.credentials.url, tasks[edited])
    height, width = predictions[edited].shape
    painted, erased, left, right = height * 3 // 4, height // 4, width // 8, width * 7 // 8
    opened.paint((painted, left), (painted, right))
    opened.erase((erased, left), (erased, right))
    opened.submit()
    TaskPage(page, wheel.credentials.url, tasks[accepted]).submit()
    assert "committed" in clone.run("segwheel", "labels", "pull", wheel.name, "--commit")
    assert clone.run("git", "status", "--porcelain", "data").strip() == ""

    mask = wheel.mask(edited)
    assert mask[painted, left + 3 : right - 3].all(), "what was painted"
    assert not mask[erased, left + 3 : right - 3].any(), "what was erased"
    untouched = far_from(slice(erased, erased + 1), mask.shape) & far_from(slice(painted, painted + 1), mask.shape)
    assert np.array_equal(mask[untouched], predictions[edited][untouched])
    check_provenance(wheel.correction(edited), mask, predictions[edited])
    assert np.array_equal(wheel.mask(accepted), predictions[accepted])
    assert wheel.correction(accepted).outcome == "accepted"

    clone.run("dvc", "repro", f"train@{wheel.name}")
    store = open_patches(wheel.places.data / "patches/train.zarr")
    names = store.attributes["samples"]
    assert {edited, accepted} <= set(names)
    patches = [store[i][1]["mask"] for i, name in enumerate(names) if name == edited]
    assert all(occurs(patch, mask) for patch in patches)
    assert not all(occurs(patch, predictions[edited]) for patch in patches)
    effort = effort_in_mlflow(clone)
    assert effort["effort_corrections"] == 2
    assert effort["effort_share_accepted"] == 0.5
    assert effort["effort_pixels_changed"] == wheel.correction(edited).pixels_changed
    seconds = [row.lead_time_s or 0 for row in wheel.corrections()]
    assert effort["effort_minutes_per_task"] == pytest.approx(sum(seconds) / 2 / 60)


def _show_something(wheel: Wheel, name: str) -> Label:
    """The predicted mask of an image; a network that hardly learned may have found nothing to show or to erase."""
    path = wheel.places.data / "predictions" / f"{name}_pred_mask.tif"
    mask = read_mask(path)
    height, width = mask.shape
    mask[height // 5 : height * 2 // 5, width // 5 : width * 3 // 5] = 1
    write_mask(path, mask)
    return mask


def _show_faults(path: Path) -> npt.NDArray[np.bool_]:
    """The predicted faults of a volume, with one more for the page to show."""
    opened = volume.open(path)
    probability = opened.read(Region.whole(opened.shape))
    probability[:, :, 30:34] = 1
    volume.write_array(path, probability, opened.geometry)
    return probability >= THRESHOLD


def few_slices(values: Any) -> None:
    """The smallest parameters of `seismic` with which a slice waits for correction."""
    one = values["seismic"]
    one["ingest"]["generate"] |= {"count": 4, "shape": [48, 32, 64]}
    one["patches"] |= {"shape": [16, 16, 16], "patches_per_volume": 10}
    one["patches"]["generated"] |= {"count": 2, "shape": [16, 16, 16]}
    one["train"]["model"] |= {"width": 0.1, "initial_weights": None}
    one["train"]["training"]["epochs"] = 1
    one["train"]["validation"]["every_n_epochs"] = 1
    one["predict"]["threshold"] = THRESHOLD
    one["quantify"]["min_fault_voxels"] = 5
    one["select"] |= {"count": 1, "axes": ["inline"]}


def test_a_person_corrects_a_slice_and_it_is_trained_on(
    real_server: RealServer, client: Client, page: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = predicted(served(real_server, tmp_path, "seismic", few_slices, monkeypatch))
    (queued,) = clone.table("queue/review_queue.csv")
    name, axis, index = queued["basename"], queued["axis"], int(queued["index"])
    assert axis == "inline"
    prediction = _show_faults(clone.folder / queued["prediction_path"])[:, index]
    assert "1 sent" in clone.run("segwheel", "labels", "push", "seismic")

    wheel = Wheel(clone.folder, "seismic", real_server.credentials)
    (task,) = wheel.tasks(client).values()
    opened = TaskPage(page, wheel.credentials.url, task)
    opened.paint((24, 8), (24, 56))
    opened.submit()
    assert "committed" in clone.run("segwheel", "labels", "pull", "seismic", "--commit")

    mask = wheel.mask(f"{name}_{axis}_{index}")
    assert mask[24, 12:52].all(), "what was painted"
    untouched = far_from(slice(24, 25), mask.shape)
    assert np.array_equal(mask[untouched], prediction[untouched])
    check_provenance(wheel.correction(name), mask, prediction)

    clone.run("dvc", "repro", "train@seismic")
    (row,) = [row for row in clone.table("splits/train.csv") if row["basename"] == name]
    labels = volume.open(clone.folder / row["fsem_path"])
    expected = np.full(labels.shape, 255, dtype=np.uint8)
    expected[:, index] = mask
    assert np.array_equal(labels.read(Region.whole(labels.shape)), expected)
    store = open_patches(clone.folder / "data/seismic/patches/train.zarr")
    patches = [store[i][1]["fsem"] for i, each in enumerate(store.attributes["samples"]) if each == name]
    planes = [plane for patch in patches for plane in np.moveaxis(patch, 1, 0) if (plane != 255).any()]
    assert planes
    assert all(occurs(plane, mask) for plane in planes)
    assert not all(occurs(plane, prediction.astype(np.uint8)) for plane in planes)
    effort = effort_in_mlflow(clone)
    assert effort["effort_pixels_changed"] == wheel.correction(name).pixels_changed
