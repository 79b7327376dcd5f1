"""Training patches for a loader. What is drawn depends on (seed, epoch, patch) alone, so that a run that was
interrupted continues with the same patches, whatever the number of workers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from segwheel.domain.patching import unlabelled
from segwheel.formats.patch_store import Patch, PatchStore
from segwheel.learning.augment import jitter_intensity, random_grid, sampled
from segwheel.params.images import AugmentationParams

Item = dict[str, Tensor]
Draw = tuple[int, int]  # epoch, patch


class EpochSampler(Sampler[Draw]):
    """Every patch once an epoch, shuffled; each device takes its share."""

    def __init__(self, count: int, seed: int, *, shuffle: bool, rank: int = 0, devices: int = 1) -> None:
        self.count, self.seed, self.shuffle = count, seed, shuffle
        self.rank, self.devices = rank, devices
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self.count // self.devices)

    def __iter__(self) -> Iterator[Draw]:
        order = np.arange(self.count)
        if self.shuffle:
            np.random.default_rng([self.seed, self.epoch]).shuffle(order)
        padded = np.resize(order, len(self) * self.devices)  # the same number of steps on every device
        return iter([(self.epoch, int(index)) for index in padded[self.rank :: self.devices]])


class Kept:
    """Patches of a store, kept in memory once they were read, as far as `room` bytes go.

    Reading takes longer than augmenting: several chunks are found in their shards and decompressed.
    """

    def __init__(self, store: PatchStore, room: int = 2**30) -> None:
        self.store, self.room = store, room
        self._patches: dict[int, Patch] = {}

    def __getitem__(self, index: int) -> Patch:
        """The patch, not to be changed."""
        if index in self._patches:
            return self._patches[index]
        image, targets = self.store[index]
        self.room -= image.nbytes + sum(array.nbytes for array in targets.values())
        if self.room >= 0:
            self._patches[index] = image, targets
        return image, targets


class PatchDataset(Dataset[Item]):
    """Patches of a store as tensors: `image` (1, y, x) and each target (y, x).

    With `augmentation` a random cut of each stored patch, without it the middle.
    """

    def __init__(self, store: PatchStore, augmentation: AugmentationParams | None, seed: int) -> None:
        self.store, self.augmentation, self.seed = store, augmentation, seed
        self.patches = Kept(store)
        self.size = int(store.attributes["patch_size"])

    def __len__(self) -> int:
        return len(self.store)

    def __getitem__(self, draw: Draw) -> Item:
        epoch, index = draw
        image, targets = self.patches[index]
        if self.augmentation is None:
            return self._middle(image, targets)
        rng = np.random.default_rng([self.seed, epoch, index])
        grid = random_grid(self.augmentation, self.size, image.shape[-1], rng)
        pixels = sampled(torch.from_numpy(image)[None], grid, "bilinear", "reflection")
        return {"image": jitter_intensity(pixels, self.augmentation, rng), **_sampled_labels(targets, grid)}

    def _middle(self, image: npt.NDArray[Any], targets: Mapping[str, npt.NDArray[Any]]) -> Item:
        margin = (image.shape[-1] - self.size) // 2
        inside = (slice(margin, margin + self.size),) * image.ndim
        labels = {name: torch.from_numpy(array[inside].copy()) for name, array in targets.items()}
        return {"image": torch.from_numpy(image[inside].copy())[None], **labels}


def _sampled_labels(targets: Mapping[str, npt.NDArray[Any]], grid: Tensor) -> Item:
    """Labels at the places of the image's grid, by nearest neighbour: beyond the stored patch they are unlabelled."""
    shape = next(iter(targets.values())).shape
    numbers = torch.arange(1, 1 + math.prod(shape), dtype=torch.float32).view(1, *shape)
    nearest = sampled(numbers, grid, "nearest", "zeros")[0].numpy().astype(np.intp)  # number of a pixel, 0 beyond
    return {name: torch.from_numpy(_numbered(array).take(nearest)) for name, array in targets.items()}


def _numbered(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """What stands for unlabelled, and then the array's elements in a row."""
    return np.append(array.dtype.type(unlabelled(array)), array)
