from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from segwheel.domain.volume_views import cut, views, views_of_arrays
from segwheel.errors import FormatError
from segwheel.formats import volume
from segwheel.formats.geometry import Axis, Geometry
from segwheel.formats.volume import Volume, write_array

SHAPE = (6, 4, 5)
GEOMETRY = Geometry((Axis("depth", 0, 4, "ms"), Axis("inline", 111, 1), Axis("crossline", 875, 2)))
IMAGE = np.arange(120, dtype=np.float32).reshape(SHAPE)


def written(path: Path, values: np.ndarray) -> Volume:
    geometry = GEOMETRY if values.ndim == 3 else Geometry.plain(2)
    write_array(path, values, geometry)
    return volume.open(path)


def test_a_volume_is_seen_along_every_axis(tmp_path: Path) -> None:
    opened = written(tmp_path / "image.zarr", IMAGE)
    inline, crossline, depth = views({"image": opened}, {"crossline": 0})
    np.testing.assert_array_equal(inline.values["image"], IMAGE[:, 2])
    np.testing.assert_array_equal(crossline.values["image"], IMAGE[:, :, 0])
    np.testing.assert_array_equal(depth.values["image"], IMAGE[3])
    assert [one.title for one in (inline, crossline, depth)] == ["inline 113", "crossline 875", "depth 12"]
    assert (depth.rows.name, depth.columns.name) == ("inline", "crossline")


@pytest.mark.parametrize("image", [IMAGE, IMAGE[:, 0]], ids=["volume", "section"])
def test_arrays_in_memory_are_seen_like_volumes_on_disk(tmp_path: Path, image: np.ndarray) -> None:
    write_array(tmp_path / "image.zarr", image)
    stored = views({"image": volume.open(tmp_path / "image.zarr")}, {})
    held = views_of_arrays({"image": image})
    assert [(one.title, one.rows, one.columns) for one in held] == [
        (one.title, one.rows, one.columns) for one in stored
    ]
    for one, other in zip(held, stored, strict=True):
        np.testing.assert_array_equal(one.values["image"], other.values["image"])


def test_a_section_is_one_view(tmp_path: Path) -> None:
    opened = written(tmp_path / "image.zarr", IMAGE[:, 0])
    (one,) = views({"image": opened}, {})
    np.testing.assert_array_equal(one.values["image"], IMAGE[:, 0])
    with pytest.raises(FormatError, match="the whole section, without an axis"):
        views({"image": opened}, {"depth": 1})


def test_what_is_dead_or_unlabelled_is_not_known(tmp_path: Path) -> None:
    image, fsem = IMAGE.copy(), np.full(SHAPE, 255, np.uint8)
    image[:, 0, 0], fsem[:, 1] = np.nan, 1
    volumes = {"image": written(tmp_path / "i.zarr", image), "fsem": written(tmp_path / "f.zarr", fsem)}
    one = cut(volumes, "depth", 2)
    assert np.isnan(one.values["image"]).sum() == 1
    assert (np.isfinite(one.values["fsem"]) == (fsem[2] == 1)).all()


def test_angles_that_networks_weighted_are_degrees_again(tmp_path: Path) -> None:
    fsem = np.full(SHAPE, 0.6, np.float32)
    fstrike = fsem * np.float32(40 / 180)
    volumes = {"image": written(tmp_path / "i.zarr", IMAGE), "fsem": written(tmp_path / "f.zarr", fsem)}
    weighted = written(tmp_path / "s.zarr", fstrike)
    np.testing.assert_allclose(cut({**volumes, "fstrike": weighted}, "inline", 0).values["fstrike"], 40, rtol=1e-4)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    image = written(tmp_path / "i.zarr", IMAGE)
    with pytest.raises(FormatError, match=r"expected the grid of .*found"):
        cut({"image": image, "rgt": written(tmp_path / "r.zarr", IMAGE[:5])}, "depth", 0)
    with pytest.raises(FormatError, match="expected inline 0 to 3, found index 4"):
        views({"image": image}, {"inline": 4})
