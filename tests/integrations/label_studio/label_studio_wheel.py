"""A small flywheel on disk and what a person does with it on the server."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from segwheel.domain.corrections import Correction, read_corrections
from segwheel.formats import volume
from segwheel.formats.tiff import read_mask, write_image, write_mask
from segwheel.integrations import dvc
from segwheel.integrations.label_studio import labels, server
from segwheel.integrations.label_studio.client import Client
from segwheel.integrations.label_studio.paths import Places
from segwheel.integrations.label_studio.pull import Pulled, pull
from segwheel.integrations.label_studio.push import Pushed, pictures_for, push
from segwheel.integrations.label_studio.settings import FAULT, MASK, Settings

TARGET = MASK
FIRST = "iteration-001-aaaaaaaa"
COLUMNS = [
    "rank",
    "basename",
    "axis",
    "index",
    "score",
    "reason",
    "image_path",
    "prediction_path",
    "probability_path",
    "picture_path",
]
Mask = npt.NDArray[np.bool_]
IMAGES, VOLUMES = Settings(MASK, 0.5), Settings(FAULT, 0.4)

REPOSITORY = Path(__file__).parents[3]
ENVIRONMENT = REPOSITORY / ".venv-label-studio"


def free_port() -> int:
    """A port below those that connections get by themselves, so that it is still free when the server has started.

    Processes that test at the same time begin to look at different places.
    """
    for port in range(20_000 + os.getpid() * 97 % 10_000, 32_000):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


class RealServer:
    """The session's server, which tests may kill and start again."""

    def __init__(self, root: Path) -> None:
        self.root, self.port = root, free_port()
        self.credentials = self.start()

    def start(self) -> server.Credentials:
        self.credentials = server.start(self.root, port=self.port, environment=ENVIRONMENT)
        return self.credentials

    def kill(self) -> None:
        """As a power cut would."""
        assert self.credentials.pid is not None
        os.killpg(self.credentials.pid, signal.SIGKILL)
        while server._alive(self.credentials.pid):
            time.sleep(0.05)


def blobs(seed: int, shape: tuple[int, int] = (48, 64)) -> Mask:
    """A mask with long and short runs."""
    random = np.random.default_rng(seed).random(shape)
    return (random + np.roll(random, 1, 0) + np.roll(random, 1, 1)) > 1.7


@dataclass
class Wheel:
    """One flywheel: writes images, predictions and the queue; pushes, annotates and pulls."""

    root: Path
    name: str
    credentials: server.Credentials
    rows: list[dict[str, Any]] = field(default_factory=list)
    settings: Settings = IMAGES

    @property
    def places(self) -> Places:
        return Places(self.root, self.name)

    def add_image(self, basename: str, prediction: Mask, folder: str = "raw", image: Any = None) -> None:
        """Put an image with its prediction into the queue."""
        image_path = self.places.data / folder / f"{basename}.tif"
        prediction_path = self.places.data / "predictions" / f"{basename}_pred_mask.tif"
        pixels = np.random.default_rng(len(self.rows)).integers(0, 255, prediction.shape) if image is None else image
        write_image(image_path, np.asarray(pixels, dtype=np.uint8 if image is None else image.dtype))
        write_mask(prediction_path, prediction.astype(np.uint8))
        self._queue(basename, "", "", image_path, prediction_path)

    def add_slice(self, basename: str, axis: str, index: int) -> None:
        """Queue a slice of the volume `basename`, which `add_volume` made."""
        image, prediction = self._volume(basename)
        self._queue(basename, axis, index, image, prediction)

    def add_volume(self, basename: str, image: npt.NDArray[Any], prediction: npt.NDArray[Any]) -> None:
        """Write a volume (depth, inline, crossline) or a section (depth, trace), and its fault probability."""
        for path, values in zip(self._volume(basename), (image, prediction), strict=True):
            volume.write_array(path, values.astype(np.float32))

    def _volume(self, basename: str) -> tuple[Path, Path]:
        data = self.places.data
        return data / "samples" / basename / "image.zarr", data / "predictions" / basename / "fsem.zarr"

    def predict_again(self, basename: str, prediction: Mask) -> None:
        write_mask(self.places.data / "predictions" / f"{basename}_pred_mask.tif", prediction.astype(np.uint8))

    def _queue(self, basename: str, axis: str, index: int | str, image: Path, prediction: Path) -> None:
        self.rows.append(
            dict.fromkeys(COLUMNS, "")
            | {
                "rank": len(self.rows) + 1, "basename": basename, "axis": axis, "index": index, "score": 0.5,
                "reason": "uncertain", "image_path": image.relative_to(self.root),
                "prediction_path": prediction.relative_to(self.root),
            }
        )  # fmt: skip
        self.write_queue()

    def write_queue(self) -> None:
        self.places.queue.parent.mkdir(parents=True, exist_ok=True)
        with self.places.queue.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(self.rows)

    def push(self, version: str = FIRST, client: Client | None = None) -> Pushed:
        with client or self.credentials.client() as connected:
            pictures = pictures_for(self.credentials, connected, self.places)
            return push(self.places, connected, pictures, self.settings, version)

    def pull(self, rule: str = "latest", client: Client | None = None, *, track: bool = False) -> Pulled:
        def add(folders: Sequence[Path]) -> None:
            for folder in folders if track else ():
                dvc.add(self.root, folder)

        with client or self.credentials.client() as connected:
            return pull(self.places, connected, replace(self.settings, rule=rule), track=add)

    def moved(self, root: Path) -> Wheel:
        """The same flywheel in another repository."""
        shutil.copytree(self.places.data, root / self.places.data.relative_to(self.root))
        return replace(self, root=root)

    def picture(self, client: Client, url: str) -> bytes:
        """A picture as the page gets it."""
        return client._send("GET", url).content

    def tasks(self, client: Client) -> dict[str, dict[str, Any]]:
        """The tasks on the server by title, with predictions and annotations."""
        found = client.get("/api/projects/", title=f"segwheel: {self.name}")["results"]
        entries = [task for entry in found for task in client.tasks(entry["id"], "id,data,predictions,annotations")]
        by_title = {entry["data"]["title"]: entry for entry in entries}
        assert len(by_title) == len(entries), "a task is there twice"
        return by_title

    def correction(self, basename: str) -> Correction:
        (row,) = [row for row in self.corrections() if row.basename == basename]
        return row

    def corrections(self) -> Sequence[Correction]:
        return read_corrections(self.places.table) if self.places.table.exists() else []

    def mask(self, name: str) -> npt.NDArray[np.uint8]:
        return read_mask(self.places.corrections / f"{name}_mask.tif")


def submit(
    client: Client,
    task: dict[str, Any],
    result: list[dict[str, Any]] | Mask,
    *,
    user: int | None = None,
    target: str = TARGET,
    **more: Any,
) -> int:
    """What the page sends when a person submits: the result, from the task's last prediction. Returns the id."""
    painted = labels.region(result, target, "painted") if isinstance(result, np.ndarray) else result
    parent = max((one["id"] for one in task["predictions"]), default=None)
    body = {"result": painted, "lead_time": 12.5, "parent_prediction": parent, **more}
    if user is not None:
        body["completed_by"] = user
    return int(client.post(f"/api/tasks/{task['id']}/annotations/", body)["id"])


def accept(client: Client, task: dict[str, Any]) -> int:
    """Submit the last prediction as it is."""
    prediction = max(task["predictions"], key=lambda one: int(one["id"]))
    return submit(client, task, [{**region, "origin": "prediction"} for region in prediction["result"]])
