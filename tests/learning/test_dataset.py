"""Patches are drawn from (seed, epoch, patch) alone; image and labels go through the same geometry."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from learning_helpers import make_store, train_params

from segwheel.formats.patch_store import Patch, PatchStore, open_patches, write_patches
from segwheel.learning.dataset import EpochSampler, Kept, PatchDataset

PLAIN = {"flips": False, "rot90": False, "rotation": 0, "scale": (1, 1), "brightness": 0, "contrast": 0, "gamma": 0}
PLAIN |= {"noise": 0, "blur": 0}


def test_a_draw_repeats_and_epochs_differ(store: PatchStore) -> None:
    augmentation = train_params().augmentation
    first, again = (PatchDataset(store, augmentation, 1) for _ in range(2))
    a, b, later = first[(0, 3)], again[(0, 3)], first[(1, 3)]
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(a["image"], later["image"])


def test_patches_are_read_once_as_far_as_there_is_room(store: PatchStore, monkeypatch: pytest.MonkeyPatch) -> None:
    one = sum(array.nbytes for array in (store[0][0], *store[0][1].values()))
    kept, read = Kept(store, room=2 * one), []
    original = PatchStore.__getitem__

    def noting(self: PatchStore, index: int) -> Patch:
        read.append(index)
        return original(self, index)

    monkeypatch.setattr(PatchStore, "__getitem__", noting)
    for index in (0, 1, 2, 0, 1, 2):
        assert (kept[index][0] == store.image[index]).all()
    assert read == [0, 1, 2, 2]


def test_every_augmentation_changes_the_patch(store: PatchStore) -> None:
    plain = train_params(augmentation=PLAIN).augmentation
    middle = [PatchDataset(store, plain, 0)[(0, i)]["image"] for i in range(4)]
    changes = {
        **{"flips": True, "rot90": True, "rotation": 45, "scale": (1.5, 1.5), "brightness": 1, "contrast": 0.5},
        **{"gamma": 0.5, "noise": 1, "blur": 3},
    }
    for name, value in changes.items():
        changed = plain.model_copy(update={name: value})
        found = [PatchDataset(store, changed, 0)[(0, i)]["image"] for i in range(4)]
        assert not all(torch.allclose(a, b, atol=1e-3) for a, b in zip(middle, found, strict=True)), name


def test_labels_go_through_the_geometry_of_the_image(tmp_path: Path) -> None:
    store = make_store(tmp_path / "p.zarr", ["mask", "distance"])
    augmentation = train_params(augmentation={"noise": 0, "blur": 0, "rotation": 45}).augmentation
    for index in range(8):
        item = PatchDataset(store, augmentation, 0)[(0, index)]
        inside, outside = item["image"][0][item["mask"] == 1], item["image"][0][item["mask"] == 0]
        assert inside.mean() > outside.mean() + 0.8
        known = ~item["distance"].isnan()
        assert ((item["distance"] > 0.15) & known & (item["mask"] == 0)).float().mean() < 0.01


def test_unlabelled_stays_unlabelled_and_so_does_what_lies_beyond(tmp_path: Path) -> None:
    mask = np.full((48, 48), 255, np.uint8)
    mask[20:28] = 1
    patch = (np.zeros((48, 48), np.float32), {"mask": mask})
    attributes = {"patch_size": 32, "pixel_size_um": None, "normalization": {"mean": 0, "std": 1}, "samples": ["a"]}
    write_patches(tmp_path / "p.zarr", iter([patch]), 1, attributes)
    shrunk = train_params(augmentation=PLAIN | {"scale": (0.4, 0.4)}).augmentation
    item = PatchDataset(open_patches(tmp_path / "p.zarr"), shrunk, 0)[(0, 0)]
    assert set(item["mask"].unique().tolist()) == {1, 255}
    assert (item["mask"][0] == 255).all()


def test_the_middle_is_what_validation_sees(store: PatchStore) -> None:
    image, targets = store[2]
    item = PatchDataset(store, None, 0)[(5, 2)]
    np.testing.assert_array_equal(item["image"][0].numpy(), image[8:40, 8:40])
    np.testing.assert_array_equal(item["mask"].numpy(), targets["mask"][8:40, 8:40])


def test_devices_share_an_epoch_evenly() -> None:
    samplers = [EpochSampler(7, 0, shuffle=True, rank=rank, devices=2) for rank in range(2)]
    drawn = [list(sampler) for sampler in samplers]
    assert [len(part) for part in drawn] == [4, 4]
    assert {index for part in drawn for _, index in part} == set(range(7))
    samplers[0].set_epoch(1)
    assert list(samplers[0]) != drawn[0]
