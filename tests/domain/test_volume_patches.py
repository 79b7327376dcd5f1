"""Patches of volumes hold what the labels say, and nothing that they don't."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segwheel.axes import Region
from segwheel.domain.manifest import write_manifest
from segwheel.domain.volume_patches import around, attributes, cut_volume_patches, drawn
from segwheel.errors import FormatError, ManifestError
from segwheel.formats import volume
from segwheel.formats.patch_store import PatchStore, open_patches
from segwheel.params.volumes import GenerateVolumesParams, VolumePatchParams

TASKS = ("rgt", "dhr", "fault")
SHAPE = (20, 18, 22)


def params(**changes: Any) -> VolumePatchParams:
    values = {
        "shape": (8, 8, 8), "patches_per_volume": 6, "validation_patches_per_volume": 2, "positive_ratio": 0.5,
        "generated": None, "seed": 0,
    }  # fmt: skip
    return VolumePatchParams.model_validate(values | changes)


class Samples:
    """Volumes in a folder, and the manifests of those that train and validate."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rows: dict[str, list[dict[str, object]]] = {"train": [], "val": []}

    def add(self, split: str, name: str, **arrays: np.ndarray[Any, Any]) -> None:
        row: dict[str, object] = {"basename": name}
        for what, values in arrays.items():
            volume.write_array(self.root / f"{name}_{what}.zarr", values)
            row[f"{what}_path"] = f"{name}_{what}.zarr"
        self.rows[split].append(row)

    def cut(self, **changes: Any) -> PatchStore:
        for split, rows in self.rows.items():
            write_manifest(self.root / f"{split}.csv", rows)
        paths = self.root / "train.csv", self.root / "val.csv", self.root, self.root / "out"
        cut_volume_patches(*paths, TASKS, params(**changes))
        return open_patches(self.root / "out" / "train.zarr")


@pytest.fixture
def samples(tmp_path: Path) -> Samples:
    return Samples(tmp_path)


def image(shape: tuple[int, ...] = SHAPE, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(5, 3, shape).astype(np.float32)


def test_everything_labelled(samples: Samples) -> None:
    depth = np.broadcast_to(np.arange(20, dtype=np.float32)[:, None, None], SHAPE) / 19
    faults = (np.random.default_rng(1).random(SHAPE) > 0.9).astype(np.uint8)
    seen = image()
    samples.add("train", "a", image=seen, rgt=depth.copy(), dhr=2 * seen, fsem=faults, fdip=faults / np.float32(2))
    store = samples.cut()
    assert store.attributes["patch_shape"] == [8, 8, 8]
    assert store.attributes["targets"] == list(TASKS)
    assert (store.attributes["samples"], store.attributes["image_std"]) == (["a"] * 6, 1.0)
    for patch, targets in (store[i] for i in range(6)):
        assert set(targets) == {"rgt", "dhr", "fsem", "fdip", "fstrike"}
        std, mean = seen.std(dtype=float), seen.mean(dtype=float)
        np.testing.assert_allclose(targets["dhr"], 2 * (patch * std + mean) / std, rtol=1e-4)
        assert (targets["rgt"].min(), targets["rgt"].max()) == (0, 1)
        np.testing.assert_array_equal(targets["fdip"], targets["fsem"] / 2)
        assert np.isnan(targets["fstrike"]).all()
        assert targets["fsem"].dtype == np.uint8


def test_sparse_slices_label_exactly_their_voxels(samples: Samples) -> None:
    label = np.full(SHAPE, 255, np.uint8)
    label[:, 7] = np.random.default_rng(2).integers(0, 2, (20, 22))
    label[:, :, 15] = 0
    samples.add("train", "a", image=np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE), fsem=label)
    for patch, targets in iter_patches(samples.cut(patches_per_volume=12)):
        corner = np.unravel_index(round(float(patch[0, 0, 0] * deviation(SHAPE) + (np.prod(SHAPE) - 1) / 2)), SHAPE)
        expected = label[tuple(slice(a, a + 8) for a in corner)]
        np.testing.assert_array_equal(targets["fsem"], expected)
        assert (expected != 255).any()
        assert all(np.isnan(targets[name]).all() for name in ("rgt", "dhr", "fdip", "fstrike"))


def deviation(shape: tuple[int, ...]) -> float:
    return float(np.arange(np.prod(shape)).std())


def iter_patches(store: PatchStore) -> Any:
    return (store[i] for i in range(len(store)))


def test_nothing_is_known_of_dead_voxels(samples: Samples) -> None:
    seen = image()
    seen[:, 3:9] = np.nan
    labels = np.ones(SHAPE, np.uint8)
    samples.add("train", "a", image=seen, rgt=image(), dhr=image(), fsem=labels, fdip=np.full(SHAPE, 0.5, np.float32))
    for patch, targets in iter_patches(samples.cut()):
        dead = patch == 0
        assert (targets["fsem"] == np.where(dead, 255, 1)).all()
        assert all((np.isnan(targets[name]) == dead).all() for name in ("rgt", "dhr", "fdip"))


def test_beyond_a_small_volume_there_is_nothing(samples: Samples) -> None:
    shape = (5, 20, 8)
    samples.add("train", "a", image=image(shape), fsem=np.ones(shape, np.uint8))
    for patch, targets in iter_patches(samples.cut()):
        outside = np.ones((8, 8, 8), bool)
        outside[2:7] = False
        assert (patch[outside] == 0).all()
        assert (targets["fsem"] == np.where(outside, 255, 1)).all()


def test_a_section_has_no_strike(samples: Samples) -> None:
    samples.add("train", "a", image=image((30, 40)), fsem=np.ones((30, 40), np.uint8))
    store = samples.cut(shape=(16, 16))
    assert set(store.targets) == {"rgt", "dhr", "fsem", "fdip"}
    assert store[0][0].shape == (16, 16)
    assert attributes(("fault",), 3) == ("fsem", "fdip", "fstrike")


def test_generated_volumes_train_alone_or_beside_others(samples: Samples) -> None:
    made = GenerateVolumesParams(count=2, shape=(16, 16, 9), recipe="published", seed=4)
    alone = samples.cut(generated=made)
    first = alone[0][0]
    assert alone.attributes["samples"] == ["generated 1"] * 4 + ["generated 2"] * 4
    assert all(np.isfinite(targets["rgt"]).all() for _, targets in iter_patches(alone))
    samples.add("train", "a", image=image(), fsem=np.ones(SHAPE, np.uint8))
    both = samples.cut(generated=made)
    assert both.attributes["samples"] == ["a"] * 6 + alone.attributes["samples"]
    np.testing.assert_array_equal(both[6][0], first)
    assert not (samples.root / "out" / "val.zarr").exists()


def test_validation_volumes_have_a_store_of_their_own(samples: Samples) -> None:
    samples.add("train", "a", image=image(), fsem=np.ones(SHAPE, np.uint8))
    samples.add("val", "b", image=image(), fsem=np.zeros(SHAPE, np.uint8))
    samples.cut()
    assert open_patches(samples.root / "out" / "val.zarr").attributes["samples"] == ["b", "b"]


def test_patches_do_not_depend_on_other_volumes(samples: Samples) -> None:
    labels = np.random.default_rng(3).integers(0, 2, SHAPE).astype(np.uint8)
    samples.add("train", "b", image=image(), fsem=labels)
    alone = samples.cut()[0][0]
    samples.rows["train"].insert(0, samples.rows["train"][0] | {"basename": "a"})
    both = samples.cut()
    np.testing.assert_array_equal(both[6][0], alone)
    assert not np.array_equal(both[0][0], alone)


def test_what_cannot_be_cut(samples: Samples) -> None:
    with pytest.raises(ManifestError, match="expected labelled volumes to train on, found none; patches.generated"):
        samples.cut()
    samples.add("train", "a", image=image(), fsem=np.full(SHAPE, 255, np.uint8))
    with pytest.raises(FormatError, match=r"a_image\.zarr: expected labels of live voxels, found none"):
        samples.cut()
    with pytest.raises(FormatError, match="expected a volume of 2 axes"):
        samples.cut(shape=(8, 8))
    samples.rows["train"].clear()
    samples.add("train", "b", image=image(), fsem=np.ones((20, 18, 21), np.uint8))
    with pytest.raises(FormatError, match=r"b_fsem\.zarr: expected the grid of .*b_image\.zarr"):
        samples.cut()


@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.0])
def test_elements_are_drawn_where_labels_are(tmp_path: Path, ratio: float) -> None:
    shape = (70, 66, 65)  # several chunks along every axis
    rng = np.random.default_rng(5)
    label = rng.choice(np.array([0, 1, 255], np.uint8), p=[0.001, 0.001, 0.998], size=shape)
    seen = np.where(rng.random(shape) > 0.5, np.float32(1), np.float32(np.nan)).astype(np.float32)
    volume.write_array(tmp_path / "i.zarr", seen)
    volume.write_array(tmp_path / "l.zarr", label)
    opened = volume.open(tmp_path / "i.zarr"), {"fsem": volume.open(tmp_path / "l.zarr")}
    elements = drawn(*opened, 40, ratio, rng)
    values = [label[element] for element in elements]
    assert values[: round(40 * ratio)] == [1] * round(40 * ratio)
    assert 255 not in values
    assert np.isfinite([seen[element] for element in elements]).all()
    assert len(set(elements)) > 15


@given(st.integers(0, 40), st.integers(1, 41), st.integers(4, 50), st.integers(0, 99))
def test_a_region_holds_its_element_and_stays_inside(at: int, more: int, size: int, seed: int) -> None:
    length = at + more
    region = around((at,), (size,), (length,), np.random.default_rng(seed))
    assert region.shape == (size,)
    assert region.start[0] <= at < region.stop[0]
    inside = region.intersection(Region.whole((length,)))
    assert inside.size == min(size, length)


def test_generated_volumes_must_hold_a_patch() -> None:
    for shape in ((8, 8, 7), (8, 8)):
        with pytest.raises(ValueError, match="holds no patch"):
            params(generated={"count": 1, "shape": shape, "recipe": "field", "seed": 0})
