from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from segwheel.domain.objects import components
from segwheel.domain.overlap import pixel_overlap
from segwheel.domain.synthesis.cells import CONDITIONS, CellImage, cell_images, write_cells
from segwheel.errors import FormatError


@pytest.fixture(scope="module")
def images() -> list[CellImage]:
    return list(cell_images(8, 128, seed=3))


def test_a_seed_decides_everything(images: list[CellImage]) -> None:
    for one, again in zip(images, cell_images(8, 128, seed=3), strict=True):
        np.testing.assert_array_equal(one.pixels, again.pixels)
        np.testing.assert_array_equal(one.labels, again.labels)
    other = next(cell_images(8, 128, seed=4))
    assert (other.pixels != images[0].pixels).mean() > 0.5
    assert (images[0].labels != images[2].labels).any()


def test_images_have_type_size_and_cells(images: list[CellImage]) -> None:
    for image in images:
        assert image.pixels.dtype == np.uint8
        assert image.pixels.shape == image.labels.shape == (128, 128)
        assert image.labels.max() == np.unique(image.labels).size - 1 >= 2
        assert 0.1 < (image.labels > 0).mean() < 0.5
        assert np.isin(image.pixels, [0, 255]).mean() < 0.01  # hardly clipped


def test_sixteen_bits_are_used() -> None:
    (image,) = cell_images(1, 64, seed=0, bits=16)
    assert image.pixels.dtype == np.uint16
    assert image.pixels.max() > 20_000


def test_some_cells_touch_and_the_mask_separates_them(images: list[CellImage]) -> None:
    cells = sum(int(image.labels.max()) for image in images)
    assert sum(components(image.labels > 0).max() for image in images) < 0.8 * cells
    assert sum(components(image.mask > 0).max() for image in images) == pytest.approx(cells, rel=0.05)


def test_cells_are_hard_to_see_by_brightness_alone(images: list[CellImage]) -> None:
    for image in images:
        cells = image.labels > 0
        masks = [side for level in range(20, 240, 4) for side in (image.pixels < level, image.pixels >= level)]
        assert max(pixel_overlap(mask, cells.astype(np.uint8)).f1 for mask in masks) < 0.8


def test_labelled_images_show_only_some_conditions() -> None:
    images = list(cell_images(24, 64, seed=0))
    shown = {split: {image.condition for image in images if image.split == split} for split in ("labelled", "test")}
    assert [sum(image.split == split for image in images) for split in ("labelled", "pool", "test")] == [6, 12, 6]
    assert shown["labelled"] == {condition.name for condition in CONDITIONS[:2]}
    assert shown["test"] == {condition.name for condition in CONDITIONS}


def test_a_folder_is_written_once(tmp_path: Path) -> None:
    images = list(cell_images(4, 64, seed=0))
    assert write_cells(tmp_path / "demo", images) == 4
    for image in images:
        np.testing.assert_array_equal(tifffile.imread(tmp_path / f"demo/images/{image.name}.tif"), image.pixels)
        np.testing.assert_array_equal(tifffile.imread(tmp_path / f"demo/masks/{image.name}_mask.tif"), image.mask * 255)
        np.testing.assert_array_equal(tifffile.imread(tmp_path / f"demo/labels/{image.name}_labels.tif"), image.labels)
    assert (tmp_path / "demo/splits.csv").read_text().splitlines()[:2] == [
        "name,split,group",
        "cells_001,labelled,sharp",
    ]
    with pytest.raises(FormatError, match="expected a new or empty folder"):
        write_cells(tmp_path / "demo", images)
