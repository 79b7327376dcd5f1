"""Bodies of faults: connected as a plain labelling connects them, with the dip and strike that they were made with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from segwheel.domain import fault_bodies as module
from segwheel.domain.fault_bodies import connected, fault_bodies
from segwheel.domain.orientation import normals
from segwheel.formats import volume


@pytest.mark.parametrize("shape", [(9, 8, 7), (30, 25), (1, 6, 6)])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.15, 1.0])
def test_voxels_are_connected_as_a_labelling_of_the_whole_does(shape: tuple[int, ...], share: float) -> None:
    mask = np.random.default_rng(1).random(shape) < share
    wanted = ndimage.label(mask, np.ones([3] * len(shape)))[0][mask]
    found = connected(np.argwhere(mask).astype(np.int64), shape)
    assert len(found) == mask.sum()
    pairs = set(zip(wanted.tolist(), found.tolist(), strict=True))
    assert len(pairs) == len(set(wanted)) == len(set(found))


def plane(shape: tuple[int, ...], dip: float, strike: float, through: tuple[float, ...]) -> np.ndarray[Any, Any]:
    """Voxels within one of a plane through a point."""
    normal = normals(dip, strike if len(shape) == 3 else None)
    places = np.indices(shape) - np.reshape(through, (-1, *[1] * len(shape)))
    return np.abs(np.tensordot(normal, places, 1)) < 1


def stored(folder: Path, arrays: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, volume.Volume]:
    for name, values in arrays.items():
        volume.write_array(folder / f"{name}.zarr", values.astype(np.float32))
    return {name: volume.open(folder / f"{name}.zarr") for name in arrays}


@pytest.mark.parametrize("chunk", [64**3, 8**3])
def test_a_fault_has_its_size_place_and_orientation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(module, "CHUNK_ELEMENTS", chunk)
    shape, rng = (24, 40, 30), np.random.default_rng(0)
    first, second = plane(shape, 60, 5, (12, 20, 8)), plane(shape, 90, 90, (12, 3, 25))
    second[:, 4:] = False
    second &= ~ndimage.binary_dilation(first, np.ones((5, 5, 5)))
    fsem = np.where(first, 0.8, 0) + np.where(second, 0.9, 0)
    # Angles scatter around strike 0, where the numbers jump by half a turn.
    dip = np.where(first, 60, 90) + rng.normal(0, 2, shape)
    strike = np.where(first, 5, 90) + rng.normal(0, 8, shape)
    dip, strike = np.where(strike < 0, 180 - dip, dip), strike % 180
    assert (strike[first] > 150).any()
    found = fault_bodies(
        stored(tmp_path, {"fsem": fsem, "fdip": fsem * dip / 180, "fstrike": fsem * strike / 180}), 0.5, 10
    )
    assert [row["fault"] for row in found] == [1, 2]
    assert [row["voxels"] for row in found] == [first.sum(), second.sum()]
    assert (found[0]["dip"], found[0]["strike"]) == pytest.approx((60, 5), abs=0.5)
    assert found[0]["probability"] == pytest.approx(0.8)
    at = np.argwhere(second)
    for axis, name in enumerate(("depth", "inline", "crossline")):
        assert (found[1][f"start_{name}"], found[1][f"stop_{name}"]) == (at[:, axis].min(), at[:, axis].max() + 1)
        assert found[1][f"extent_{name}"] == np.ptp(at[:, axis]) + 1
        assert found[1][f"centroid_{name}"] == pytest.approx(at[:, axis].mean(), abs=0.01)


def test_faults_that_cross_are_two(tmp_path: Path) -> None:
    shape = (24, 30, 40)
    first, second = plane(shape, 70, 90, (12, 15, 20)), plane(shape, 110, 30, (12, 15, 20))
    dip, strike = np.where(first, 70, 110), np.where(first, 90, 30)
    fsem = np.where(first | second, 0.9, 0)
    arrays = {"fsem": fsem, "fdip": fsem * dip / 180, "fstrike": fsem * strike / 180}
    found = fault_bodies(stored(tmp_path, arrays), 0.5, 100)
    # The one behind is cut in two by the one in front.
    assert [round(row["dip"]) for row in found] == [70, 110, 110]
    assert sum(row["voxels"] for row in found) > 0.99 * (first | second).sum()
    assert len(fault_bodies(stored(tmp_path / "b", {"fsem": fsem}), 0.5, 100)) == 1


def test_small_bodies_and_uncertain_voxels_are_no_faults(tmp_path: Path) -> None:
    fsem = np.zeros((10, 10, 10))
    fsem[2, 2:8, 2:8], fsem[6, 2:4, 2:4], fsem[9] = 0.6, 0.9, 0.4
    volumes = stored(tmp_path, {"fsem": fsem})
    assert [row["voxels"] for row in fault_bodies(volumes, 0.5, 10)] == [36]
    assert [row["voxels"] for row in fault_bodies(volumes, 0.5, 4)] == [36, 4]
    assert [row["voxels"] for row in fault_bodies(volumes, 0.4, 10)] == [100, 36]
    assert fault_bodies(volumes, 0.95, 1) == []
    assert fault_bodies(volumes, 0.5, 10)[0]["dip"] is None


def test_a_section_has_dips(tmp_path: Path) -> None:
    mask = plane((40, 30), 70, 0, (20, 15))
    fsem = np.where(mask, 0.7, 0)
    (found,) = fault_bodies(stored(tmp_path, {"fsem": fsem, "fdip": fsem * 70 / 180}), 0.5, 10)
    assert found["dip"] == pytest.approx(70, abs=0.1)
    assert found["strike"] is None
    assert found["extent_depth"] == 40
    assert "centroid_trace" in found
