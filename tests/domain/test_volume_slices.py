"""Labels given slice by slice: bit-exact, the latest wins, the rest is untouched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segwheel.axes import Region
from segwheel.domain.volume_slices import LabelledSlice, disagreements, find_slice, read_slice, write_labels
from segwheel.errors import FormatError
from segwheel.formats import volume
from segwheel.formats.volume import Volume

SHAPE = (70, 9, 66)
RNG = np.random.default_rng(0)


def written(path: Path, values: np.ndarray[Any, Any]) -> Volume:
    volume.write_array(path, values)
    return volume.open(path)


@pytest.fixture
def image(tmp_path: Path) -> Volume:
    return written(tmp_path / "image.zarr", RNG.normal(size=SHAPE).astype(np.float32))


def labelled(image: Volume, axis: str, index: int | None, label: np.ndarray[Any, Any] | None = None) -> LabelledSlice:
    place = find_slice(image, axis, index)
    values = RNG.choice(np.array([0, 1, 255], np.uint8), size=place.shape) if label is None else label
    return LabelledSlice(f"{axis} {index}", place, values)


def everything(path: Path) -> np.ndarray[Any, Any]:
    opened = volume.open(path)
    return opened.read(Region.whole(opened.shape))


def test_slices_are_laid_over_the_base_and_nothing_else_changes(image: Volume, tmp_path: Path) -> None:
    base = RNG.choice(np.array([0, 1, 255], np.uint8), size=SHAPE)
    slices = [labelled(image, "inline", 4), labelled(image, "crossline", 65), labelled(image, "depth", 0)]
    write_labels(tmp_path / "l.zarr", image, written(tmp_path / "base.zarr", base), slices)
    expected = base.copy()
    for part, one in zip((np.s_[:, 4], np.s_[:, :, 65], np.s_[0]), slices, strict=True):
        expected[part] = np.where(one.label == 255, expected[part], one.label)
    np.testing.assert_array_equal(everything(tmp_path / "l.zarr"), expected)
    assert volume.open(tmp_path / "l.zarr").geometry == image.geometry


def test_without_a_base_all_but_the_slices_is_unlabelled(image: Volume, tmp_path: Path) -> None:
    one = labelled(image, "inline", 2)
    write_labels(tmp_path / "l.zarr", image, None, [one])
    found = everything(tmp_path / "l.zarr")
    np.testing.assert_array_equal(found[:, 2], one.label)
    assert (np.delete(found, 2, axis=1) == 255).all()


def test_the_later_slice_wins_and_the_disagreement_is_told(image: Volume, tmp_path: Path) -> None:
    older = labelled(image, "inline", 2, np.zeros((70, 66), np.uint8))
    label = np.ones((70, 9), np.uint8)
    label[:30] = 255
    newer = labelled(image, "crossline", 5, label)
    write_labels(tmp_path / "l.zarr", image, None, [older, newer])
    np.testing.assert_array_equal(everything(tmp_path / "l.zarr")[:, 2, 5], [0] * 30 + [1] * 40)
    assert disagreements([older, newer]) == [(older, newer, 40)]
    assert disagreements([older, labelled(image, "inline", 3)]) == []


def test_a_section_is_one_slice(tmp_path: Path) -> None:
    section = written(tmp_path / "image.zarr", np.ones((8, 9), np.float32))
    one = labelled(section, "", None)
    write_labels(tmp_path / "l.zarr", section, None, [one])
    np.testing.assert_array_equal(everything(tmp_path / "l.zarr"), one.label)
    with pytest.raises(FormatError, match="expected the whole section, without an axis, found depth"):
        find_slice(section, "depth", 2)


def test_slices_are_read_depth_first(image: Volume) -> None:
    values = image.read(Region.whole(SHAPE))
    np.testing.assert_array_equal(read_slice(image, "inline", 8), values[:, 8])
    np.testing.assert_array_equal(read_slice(image, "crossline", 1), values[:, :, 1])
    np.testing.assert_array_equal(read_slice(image, "depth", 69), values[69])


@pytest.mark.parametrize(
    ("axis", "index", "said"),
    [
        ("inline", 9, "expected inline 0 to 8, found index 9"),
        ("inline", None, "found index None"),
        ("trace", 0, "expected a slice across depth or inline or crossline, found trace"),
        ("", None, "found no axis"),
    ],
)
def test_slices_that_are_not_there(image: Volume, axis: str, index: int | None, said: str) -> None:
    with pytest.raises(FormatError, match=said):
        find_slice(image, axis, index)
