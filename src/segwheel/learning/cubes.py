"""Training samples of the multi-task networks: numbered raw cubes, or the patches of a store.

What is drawn depends on (seed, epoch, number) alone, so that an interrupted run continues with the same samples.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from segwheel.axes import Region
from segwheel.domain.intensity import Normalization
from segwheel.domain.patching import UNLABELLED
from segwheel.domain.rgt import value_range
from segwheel.domain.volume_conversion import LABEL, checked_labels
from segwheel.errors import FormatError, MissingError
from segwheel.formats import raw_cube
from segwheel.formats.patch_store import PatchStore
from segwheel.learning.augment_cubes import Arrays, random_view
from segwheel.learning.dataset import Draw, Item
from segwheel.params.volumes import VolumeAugmentationParams

FAULT = 0.5  # values of a mask above this are faults


class Samples(Protocol):
    """Numbered samples. Inputs are zero where dead, targets NaN where unlabelled, all of one shape."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    def __len__(self) -> int: ...
    def read(self, number: int) -> tuple[Arrays, Arrays]:
        """Inputs (in the order in which the network takes them) and targets by name; unit standard deviation."""


class CubeFolder:
    """Raw cubes in the published layout: `<i>.bin`, or with `refine` `<i>_<attribute>.bin`, and their targets."""

    def __init__(
        self,
        inputs: Sequence[Mapping[str, Path]],
        targets: Sequence[Mapping[str, Path]],
        shape: Sequence[int],
    ) -> None:
        self.inputs, self.targets, self.shape = inputs, targets, tuple(shape)

    @classmethod
    def open(
        cls,
        data: Path,
        target: Path,
        names: tuple[Sequence[str], Sequence[str]],
        shape: Sequence[int],
        count: int | None = None,
    ) -> CubeFolder:
        """Samples 0 to `count` - 1, or all; `names` are those of the inputs and of the targets.

        Raises MissingError for the first file that is missing and FormatError for the first of another size.
        """
        inputs = raw_cube.list_samples(_existing(data), names[0], count)
        targets = raw_cube.list_samples(_existing(target), names[1], len(inputs))
        for sample in (*inputs, *targets):
            for path in sample.values():
                raw_cube.RawCube(path, shape)
        return cls(inputs, targets, shape)

    def __len__(self) -> int:
        return len(self.inputs)

    def read(self, number: int) -> tuple[Arrays, Arrays]:
        inputs = {name: self._cube(path) for name, path in self.inputs[number].items()}
        targets = {name: self._target(name, path) for name, path in self.targets[number].items()}
        reference = inputs.get("image", inputs.get("dhr"))
        assert reference is not None, "inputs hold an image, or the attributes that are refined"
        live = living(list(inputs.values()))
        if not live.any():
            raise FormatError(
                next(iter(self.inputs[number].values())),
                expected="at least one live sample",
                found="nothing but zeros, NaN and infinity",
            )
        scale = Normalization.measure([reference[live]])
        return (
            {name: np.where(live, scaled(name, values, scale), np.float32(0)) for name, values in inputs.items()},
            {name: np.where(live, scaled(name, values, scale), np.float32(np.nan)) for name, values in targets.items()},
        )

    def _cube(self, path: Path) -> npt.NDArray[np.float32]:
        values = np.ascontiguousarray(raw_cube.read(path, self.shape))
        finite = np.isfinite(values)
        if not finite.all():
            _report(path, int(np.count_nonzero(~finite)))
        return np.where(finite, values, np.float32(np.nan))

    def _target(self, name: str, path: Path) -> npt.NDArray[np.float32]:
        values = self._cube(path)
        if name != LABEL:
            return values
        labels = checked_labels(path, values, np.isfinite(values))
        return np.where(labels == UNLABELLED, np.float32(np.nan), labels.astype(np.float32))


def living(inputs: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.bool_]:
    """Where arrays (depth, ...) are numbers, in traces that are not zero throughout in all of them."""
    finite = np.logical_and.reduce([np.isfinite(values) for values in inputs])
    sounding = np.logical_or.reduce([(np.nan_to_num(values) != 0).any(axis=0) for values in inputs])
    live: npt.NDArray[np.bool_] = finite & sounding
    return live


@cache
def _report(path: Path, count: int) -> None:
    """Once for each file: it is read in every epoch."""
    logging.getLogger(__name__).warning("%s: %d NaN or infinite samples, which count as dead", path, count)


class StoredCubes:
    """The patches of a store of volumes."""

    def __init__(self, store: PatchStore) -> None:
        self.store, self.shape = store, tuple(store.image.shape[1:])

    def __len__(self) -> int:
        return len(self.store)

    def read(self, number: int) -> tuple[Arrays, Arrays]:
        image, labels = self.store[number]
        targets = {name: values.astype(np.float32) for name, values in labels.items()}
        if "fsem" in targets:
            targets["fsem"][labels["fsem"] == UNLABELLED] = np.nan
        return {"image": image}, targets


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise MissingError(folder, what="folder")
    return folder


def scaled(name: str, values: npt.NDArray[np.float32], scale: Normalization) -> npt.NDArray[np.float32]:
    """What the networks see of an attribute or image: mean 0 and standard deviation 1 of the image, on whose scale the
    denoised image is, whose mean is about 0 by itself."""
    if name == "image":
        return scale.apply(values)
    return values / np.float32(scale.std) if name == "dhr" else values


@dataclass(frozen=True)
class CubeDataset(Dataset[Item]):
    """Samples as tensors: `image` (inputs, *shape) and each target (*shape), NaN where unlabelled, masks 0, 1 and 255.

    Cubes larger than `shape` are cut to it, anywhere with `augmentation` and in the middle without. RGT covers 0..1 in
    what is cut, as a network that sees nothing else can know it.
    """

    samples: Samples
    shape: tuple[int, ...]
    augmentation: VolumeAugmentationParams | None
    seed: int

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, draw: Draw) -> Item:
        epoch, number = draw
        rng = np.random.default_rng([self.seed, epoch, number])
        inputs, targets = self.samples.read(number)
        if self.samples.shape != self.shape:
            region = self._cut(targets, rng)
            inputs, targets = cut(inputs, region), cut(targets, region)
        if self.augmentation:
            inputs, targets = random_view(inputs, targets, self.augmentation, rng)
        labels = {name: np.ascontiguousarray(values) for name, values in targets.items()}
        tensors = {name: torch.from_numpy(values) for name, values in labels.items() if name != "fsem"}
        if "fsem" in labels:
            fsem = labels["fsem"]
            mask = np.where(np.isnan(fsem), UNLABELLED, fsem > FAULT).astype(np.uint8)
            tensors["fsem"] = torch.from_numpy(mask)
        return {"image": torch.from_numpy(np.stack(list(inputs.values()))), **tensors}

    def _cut(self, targets: Arrays, rng: np.random.Generator) -> Region:
        room = [stored - wanted for stored, wanted in zip(self.samples.shape, self.shape, strict=True)]
        if not self.augmentation:
            return Region.at([free // 2 for free in room], self.shape)
        known = np.logical_or.reduce([np.isfinite(values) for values in targets.values()])
        if known.all():
            return Region.at([int(rng.integers(free + 1)) for free in room], self.shape)
        # Where little is labelled, around something that is.
        chosen = np.unravel_index(rng.choice(np.flatnonzero(known)), known.shape)
        start = [int(i) - int(rng.integers(n)) for i, n in zip(chosen, self.shape, strict=True)]
        return Region.at([min(max(a, 0), free) for a, free in zip(start, room, strict=True)], self.shape)


def cut(arrays: Arrays, region: Region) -> Arrays:
    """A region of every array, with RGT stretched to 0..1 over what is known of it."""
    found = {name: values[region.slices] for name, values in arrays.items()}
    if "rgt" in found:
        low, high = value_range(found["rgt"][np.isfinite(found["rgt"])])
        found["rgt"] = (found["rgt"] - np.float32(low)) / np.float32(high - low or 1)
    return found


def first_cube(folder: Path, inputs: Sequence[str]) -> Path:
    """The first input of sample 0 of a folder, whose size tells the shape of all. Raises MissingError without it."""
    return raw_cube.list_samples(_existing(folder), inputs[:1], 1)[0][inputs[0]]
