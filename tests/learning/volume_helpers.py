"""Volumes, predictors that cost nothing, and predictions that do not end well."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import resource
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from segwheel.axes import Region
from segwheel.domain.intensity import Normalization
from segwheel.errors import SegwheelError
from segwheel.formats import volume
from segwheel.learning import volume_inference
from segwheel.learning.volume_inference import Predictor, VolumeTiling, predict_volume

Floats = npt.NDArray[np.float32]
UNIT = Normalization(0.0, 1.0)
TILING = VolumeTiling((16, 16, 16), (4, 4, 4), "gaussian", 3)
ATTRIBUTES = {2: ("rgt", "dhr", "fsem", "fdip"), 3: ("rgt", "dhr", "fsem", "fdip", "fstrike")}
DIP, STRIKE = 70.0, 120.0


def make_pieces_small(patch: pytest.MonkeyPatch) -> None:
    """Chunks of 16 x 16 x 16, up to three of them to a shard, blended in blocks of 8 x 8 x 8."""
    patch.setattr(volume, "CHUNK_ELEMENTS", 16**3)
    patch.setattr(volume, "SHARD_ELEMENTS", 3 * 16**3)
    patch.setattr(volume_inference, "BLOCK_ELEMENTS", 8**3)


def pointwise(values: Floats) -> dict[str, Floats]:
    """Attributes of every voxel by itself; `values` (..., *axes) are those of the image."""
    fsem = (1 / (1 + np.exp(-values))).astype(np.float32)
    return {
        "rgt": values,
        "dhr": 3 * values,
        "fsem": fsem,
        "fdip": np.float32(DIP / 180) * fsem,
        "fstrike": np.float32(STRIKE / 180) * fsem,
    }


def predictor(ndim: int = 3, version: str = "pointwise") -> Predictor:
    def apply(tiles: Floats) -> Mapping[str, Floats]:
        return pointwise(tiles[:, 0])

    return Predictor(apply, ATTRIBUTES[ndim], (UNIT,), version)


def noise(*shape: int) -> Floats:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def read(path: Path) -> Floats:
    """A whole volume, NaN where dead."""
    opened = volume.open(path)
    values, live = opened.read_with_live(Region.whole(opened.shape))
    return np.where(live, values, np.float32(np.nan))


def digests(folder: Path) -> dict[str, str]:
    """The content of every file below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def predict_and_die(source: Path, output: Path, batches: int) -> None:
    """Predict until so many batches are done; then this process ends as it does when it is killed."""
    plain, done = predictor(), 0

    def apply(tiles: Floats) -> Mapping[str, Floats]:
        nonlocal done
        done += 1
        if done > batches:
            os.kill(os.getpid(), signal.SIGKILL)
        return plain.apply(tiles)

    dying = Predictor(apply, plain.attributes, plain.normalizations, plain.version)
    predict_volume(dying, [volume.open(source)], output, TILING)


def predict_with_little_room(source: Path, output: Path, bytes_of_a_file: int, says: Path) -> None:
    """Predict while files cannot grow beyond a size; what is said about it goes to the file `says`."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_of_a_file, bytes_of_a_file))
    try:
        predict_volume(predictor(), [volume.open(source)], output, TILING)
    except SegwheelError as error:
        says.write_text(str(error))


def in_a_process(call: Callable[..., None], *arguments: object) -> int:
    """Call a function in a process of its own; its exit code."""
    process = multiprocessing.get_context("fork").Process(target=call, args=arguments)
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode
