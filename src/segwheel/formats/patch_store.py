"""A patch store: the training patches of one split in a few sharded Zarr arrays, not thousands of files.

Layout of the group: `image` (n, *stored), float32 and normalised, and `target/<name>` (n, *stored) for every
target: uint8 with 255 for unlabelled, or float32 with NaN. One chunk holds one patch, one shard many. The
group's attributes hold what training must know about how the patches were cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from segwheel.errors import FormatError, MissingError
from segwheel.formats.files import replacing

SHARD = 32  # patches in one file at most
SHARD_ELEMENTS = 2**24  # of one array in one file
Patch = tuple[npt.NDArray[np.float32], Mapping[str, npt.NDArray[Any]]]


@dataclass(frozen=True)
class PatchStore:
    """An open patch store. `store[i]` is (image, {target: array}), each of the stored shape."""

    image: zarr.Array[Any]
    targets: Mapping[str, zarr.Array[Any]]
    attributes: Mapping[str, Any]

    def __len__(self) -> int:
        return int(self.image.shape[0])

    def __getitem__(self, index: int) -> Patch:
        return np.asarray(self.image[index]), {name: np.asarray(array[index]) for name, array in self.targets.items()}


def write_patches(path: Path, patches: Iterable[Patch], count: int, attributes: Mapping[str, Any]) -> None:
    """Write `count` patches of one shape; atomic, one shard (SHARD patches, fewer large ones) in memory at a time.

    `attributes` must be JSON values; they come back as `PatchStore.attributes`.
    """
    with replacing(path) as beside:
        group = zarr.open_group(beside, mode="w")
        group.attrs.update(dict(attributes))
        held: list[Patch] = []
        done = 0
        for patch in patches:
            held.append(patch)
            if len(held) == _shard(patch[0]):
                done = _append(group, held, done, count)
                held = []
        if held:
            done = _append(group, held, done, count)
        assert done == count, f"{done} patches came, {count} were announced"


def _shard(image: npt.NDArray[Any]) -> int:
    """How many patches of an image's size are in one file."""
    return max(1, min(SHARD, SHARD_ELEMENTS // image.size))


def _append(group: zarr.Group, patches: list[Patch], start: int, count: int) -> int:
    columns = {"image": [image for image, _ in patches]}
    for name in patches[0][1]:
        columns[f"target/{name}"] = [targets[name] for _, targets in patches]
    stop = start + len(patches)
    for name, arrays in columns.items():
        if start == 0:
            shape, chunk = (count, *arrays[0].shape), (1, *arrays[0].shape)
            shards = (_shard(arrays[0]), *arrays[0].shape)
            group.create_array(name, shape=shape, chunks=chunk, shards=shards, dtype=arrays[0].dtype)
        array = group[name]
        assert isinstance(array, zarr.Array)
        array[start:stop] = np.stack(arrays)
    return stop


def open_patches(path: Path) -> PatchStore:
    """Open a patch store for reading. Raises MissingError and FormatError."""
    if not path.is_dir():
        raise MissingError(path, what="patch store", hint="the patches stage makes it")
    try:
        group = zarr.open_group(path, mode="r")
        targets = dict(group["target"].arrays())  # type: ignore[union-attr]
        image = group["image"]
    except (OSError, KeyError, ValueError) as error:
        raise FormatError(path, expected="a patch store", found=str(error)) from error
    assert isinstance(image, zarr.Array)
    return PatchStore(image, targets, dict(group.attrs))
