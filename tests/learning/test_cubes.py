"""Samples of raw cubes and of patch stores, as networks take them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from cube_helpers import kind, open_cubes, volume_train_params, write_cubes

from segwheel.errors import FormatError, MissingError
from segwheel.formats import raw_cube
from segwheel.formats.patch_store import open_patches, write_patches
from segwheel.learning.cubes import CubeDataset, CubeFolder, StoredCubes

SHAPE = (20, 18, 16)
ATTRIBUTES = ("rgt", "dhr", "fsem", "fdip", "fstrike")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_cubes(tmp_path / "cubes", SHAPE, 2)


def test_images_have_mean_0_and_std_1_and_dhr_has_their_scale(folder: Path) -> None:
    item = CubeDataset(open_cubes(folder, SHAPE, kind()), SHAPE, None, 0)[(0, 0)]
    assert item["image"].shape == (1, *SHAPE)
    assert abs(float(item["image"].mean())) < 1e-5
    assert float(item["image"].std()) == pytest.approx(1, abs=1e-3)
    image, dhr = (raw_cube.read(folder / name, SHAPE) for name in ("data/0.bin", "target/0_dhr.bin"))
    np.testing.assert_allclose(item["dhr"], dhr / image.std(), rtol=1e-4, atol=1e-5)
    assert item["fsem"].dtype == torch.uint8
    assert set(item["fsem"].unique().tolist()) <= {0, 1}
    np.testing.assert_array_equal(item["rgt"], raw_cube.read(folder / "target/0_rgt.bin", SHAPE))


def test_a_refinement_takes_the_five_damaged_attributes_on_one_scale(folder: Path) -> None:
    network = kind(refine=True, tasks=("dhr",))
    item = CubeDataset(open_cubes(folder, SHAPE, network), SHAPE, None, 0)[(0, 1)]
    assert item["image"].shape == (5, *SHAPE)
    assert item.keys() == {"image", "dhr"}
    damaged = raw_cube.read(folder / "data/1_dhr.bin", SHAPE)
    np.testing.assert_allclose(item["image"][1], damaged / damaged.std(), rtol=1e-4, atol=1e-5)
    truth = raw_cube.read(folder / "target/1_dhr.bin", SHAPE)
    np.testing.assert_allclose(item["dhr"], truth / damaged.std(), rtol=1e-4, atol=1e-5)


def test_what_is_drawn_depends_on_seed_epoch_and_number_alone(folder: Path) -> None:
    params = volume_train_params().augmentation
    samples = open_cubes(folder, SHAPE, kind())
    first, again = (CubeDataset(samples, (16, 16, 16), params, 1) for _ in range(2))
    first[(0, 0)]
    for draw in ((0, 0), (3, 1)):
        for name, values in first[draw].items():
            torch.testing.assert_close(values, again[draw][name], rtol=0, atol=0, equal_nan=True)
    assert not torch.equal(first[(0, 0)]["image"], first[(1, 0)]["image"])


def test_a_cut_is_one_place_of_everything_with_rgt_from_0_to_1(folder: Path) -> None:
    samples = open_cubes(folder, SHAPE, kind())
    item = CubeDataset(samples, (16, 16, 16), None, 0)[(0, 0)]
    middle = (slice(2, 18), slice(1, 17), slice(0, 16))
    np.testing.assert_array_equal(item["dhr"], samples.read(0)[1]["dhr"][middle])
    assert (float(item["rgt"].min()), float(item["rgt"].max())) == (0, 1)


def test_bad_samples_are_dead_and_unlabelled(folder: Path) -> None:
    image, rgt = (raw_cube.read(folder / name, SHAPE) for name in ("data/0.bin", "target/0_rgt.bin"))
    image[3], rgt[4] = np.nan, np.inf
    image[5, 0, 0] = 1e3
    raw_cube.write(folder / "data/0.bin", image)
    raw_cube.write(folder / "target/0_rgt.bin", rgt)
    item = CubeDataset(open_cubes(folder, SHAPE, kind()), SHAPE, None, 0)[(0, 0)]
    assert torch.isfinite(item["image"]).all()
    assert (item["image"][0, 3] == 0).all()
    assert (item["fsem"][3] == 255).all()
    assert item["rgt"].isnan().flatten(1).all(1).nonzero().flatten().tolist() == [3, 4]
    live = torch.ones(SHAPE, dtype=torch.bool)
    live[3] = False
    assert float(item["image"][0][live].std()) == pytest.approx(1, abs=1e-3)


def test_traces_of_zeros_are_dead_and_255_is_unlabelled(folder: Path) -> None:
    image, fsem = (raw_cube.read(folder / name, SHAPE) for name in ("data/0.bin", "target/0_fsem.bin"))
    image[:, 2], image[4] = 0, 0  # a plane of silent traces, and a silent time of living ones
    fsem[:, :, :5] = 255
    raw_cube.write(folder / "data/0.bin", image)
    raw_cube.write(folder / "target/0_fsem.bin", fsem)
    item = CubeDataset(open_cubes(folder, SHAPE, kind()), SHAPE, None, 0)[(0, 0)]
    unlabelled = item["fsem"] == 255
    assert unlabelled[:, 2].all()
    assert unlabelled[:, :, :5].all()
    assert not unlabelled[:, 3:, 5:].any()
    assert item["rgt"][:, 2].isnan().all()
    assert not item["rgt"][4, 3:].isnan().any()


def test_other_labels_are_refused(folder: Path) -> None:
    fsem = raw_cube.read(folder / "target/0_fsem.bin", SHAPE)
    fsem[0, 0, 0] = 2
    raw_cube.write(folder / "target/0_fsem.bin", fsem)
    with pytest.raises(
        FormatError, match=r"0_fsem\.bin: expected labels 0, 1 and 255 \(unlabelled\), found the value 2"
    ):
        open_cubes(folder, SHAPE, kind()).read(0)


def test_where_little_is_labelled_every_cut_holds_some(folder: Path) -> None:
    network = kind(tasks=("fault",))
    for name in ("fsem", "fdip", "fstrike"):
        values = raw_cube.read(folder / f"target/0_{name}.bin", SHAPE)
        values[:, 1:] = 255 if name == "fsem" else np.nan
        raw_cube.write(folder / f"target/0_{name}.bin", values)
    cubes = CubeDataset(open_cubes(folder, SHAPE, network), (8, 8, 8), volume_train_params().augmentation, 0)
    assert all((cubes[(epoch, 0)]["fsem"] != 255).any() for epoch in range(12))


def test_a_cube_without_numbers_is_told(folder: Path) -> None:
    raw_cube.write(folder / "data/1.bin", np.full(SHAPE, np.nan, np.float32))
    with pytest.raises(FormatError, match=r"1\.bin: expected at least one live sample"):
        open_cubes(folder, SHAPE, kind()).read(1)


@pytest.mark.parametrize("name", ["data/1_fdip.bin", "target/0_dhr.bin"])
def test_missing_and_truncated_files_are_told_before_training(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"\0" * 40)
    with pytest.raises(FormatError, match=rf"{Path(name).name}: expected 20 x 18 x 16 float32 samples = 23040 bytes"):
        open_cubes(folder, SHAPE, kind(refine=True))
    (folder / name).unlink()
    with pytest.raises(MissingError, match=Path(name).name):
        open_cubes(folder, SHAPE, kind(refine=True))


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no such folder"):
        CubeFolder.open(tmp_path / "a", tmp_path / "b", (("image",), ("rgt",)), SHAPE)


def test_patches_of_a_store_keep_what_is_unlabelled(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    fsem = np.full((16, 16, 16), 255, np.uint8)
    fsem[:, 3] = rng.random((16, 16)) < 0.2
    dhr = np.full((16, 16, 16), np.nan, np.float32)
    patch = (rng.normal(size=(16, 16, 16)).astype(np.float32), {"fsem": fsem, "dhr": dhr})
    write_patches(tmp_path / "p.zarr", iter([patch]), 1, {"patch_shape": [16, 16, 16]})
    samples = StoredCubes(open_patches(tmp_path / "p.zarr"))
    plain = CubeDataset(samples, (16, 16, 16), None, 0)[(0, 0)]
    np.testing.assert_array_equal(plain["fsem"], fsem)
    assert plain["dhr"].isnan().all()
    changed = CubeDataset(samples, (16, 16, 16), volume_train_params().augmentation, 0)[(0, 0)]
    assert int((changed["fsem"] == 255).sum()) == int((fsem == 255).sum())
    assert int((changed["fsem"] == 1).sum()) == int((fsem == 1).sum())
