"""The queue holds slices that nobody has labelled, apart from each other, the most uncertain first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segwheel.domain.slice_selection import SlicePlace, clearest_slice, rank_slices
from segwheel.formats import volume
from segwheel.params.volumes import VolumeSelectParams

PARAMS = VolumeSelectParams(method="boundary_uncertainty", count=4, axes=("inline", "crossline"), spacing=8, seed=0)
SHAPE = (20, 40, 33)


def stored(path: Path, values: np.ndarray[Any, Any]) -> volume.Volume:
    volume.write_array(path, values)
    return volume.open(path)


def probabilities(shape: tuple[int, ...] = SHAPE) -> np.ndarray[Any, Any]:
    """A fault along crossline that the network is the less sure of, the further inline."""
    sure = np.linspace(0.99, 0.55, shape[1])[:, None] * np.ones(shape[2:])
    fault = np.zeros(shape, np.float32)
    fault[8:12] = sure
    return fault


def test_slices_come_in_the_order_of_their_uncertainty(tmp_path: Path) -> None:
    fsem = stored(tmp_path / "a.zarr", probabilities())
    ranked = rank_slices("s", fsem, None, 0.5, PARAMS)
    inline = [place.index for place, _ in ranked if place.axis == "inline"]
    assert inline == [36, 28, 20, 12, 4]
    assert {place.index for place, _ in ranked if place.axis == "crossline"} == {4, 12, 20, 28}
    assert [one.score for _, one in ranked] == sorted((one.score for _, one in ranked), reverse=True)
    assert ranked[0][0] == SlicePlace("s", "inline", 36)
    assert ranked[0][1].basename == "s_inline_36"


def test_labelled_slices_and_their_neighbours_are_left_out(tmp_path: Path) -> None:
    fsem = stored(tmp_path / "a.zarr", probabilities())
    label = np.full(SHAPE, 255, np.uint8)
    label[:, 36], label[:, 9], label[:3, :, 20] = 0, 1, 0
    ranked = rank_slices("s", fsem, stored(tmp_path / "b.zarr", label), 0.5, PARAMS)
    assert [place.index for place, _ in ranked if place.axis == "inline"] == [28, 20]  # 4 and 12 are near to 9
    # Three of twenty rows are no label, and neither are the lines that cross labelled slices.
    assert {place.index for place, _ in ranked if place.axis == "crossline"} == {4, 12, 20, 28}


def test_dead_slices_are_left_out_and_what_is_dead_need_not_be_labelled(tmp_path: Path) -> None:
    values = probabilities()
    values[:, :6], values[:12, 18:22] = np.nan, np.nan
    label = np.full(SHAPE, 255, np.uint8)
    label[12:, 20] = 0
    ranked = rank_slices("s", stored(tmp_path / "a.zarr", values), stored(tmp_path / "b.zarr", label), 0.5, PARAMS)
    assert sorted(place.index or 0 for place, _ in ranked if place.axis == "inline") == [12, 28, 36]


def test_a_narrow_volume_has_its_middle(tmp_path: Path) -> None:
    ranked = rank_slices("s", stored(tmp_path / "a.zarr", probabilities((20, 5, 3))), None, 0.5, PARAMS)
    assert {(place.axis, place.index) for place, _ in ranked} == {("inline", 2), ("crossline", 1)}


def test_a_section_is_one_slice_until_it_is_labelled(tmp_path: Path) -> None:
    fsem = stored(tmp_path / "a.zarr", probabilities()[..., 0])
    assert [(place, one.basename) for place, one in rank_slices("s", fsem, None, 0.5, PARAMS)] == [
        (SlicePlace("s", "", None), "s")
    ]
    label = stored(tmp_path / "b.zarr", np.zeros((20, 40), np.uint8))
    assert rank_slices("s", fsem, label, 0.5, PARAMS) == []


@pytest.mark.parametrize("sparse", [False, True])
def test_the_clearest_slice_shows_most_faults(tmp_path: Path, sparse: bool) -> None:
    label = np.full(SHAPE, 255 if sparse else 0, np.uint8)
    label[:, 7] = 0
    label[3:9, 7, 2:30] = 1
    label[0, 30] = 1
    assert clearest_slice(stored(tmp_path / "a.zarr", label)) == SlicePlace("", "inline", 7)
    label[label == 1] = 0
    found = clearest_slice(stored(tmp_path / "b.zarr", label))
    assert not sparse or found == SlicePlace("", "inline", 7)
    assert clearest_slice(stored(tmp_path / "c.zarr", label[:, 0])) == SlicePlace("", "", None)
