from __future__ import annotations

import json
import multiprocessing
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segwheel.axes import Region
from segwheel.errors import FormatError, MissingError, SegwheelError
from segwheel.formats import volume
from segwheel.formats.geometry import Axis, Frame, Geometry, Source

RNG = np.random.default_rng(0)
SHAPES = [(70, 5, 130), (600, 520), (3, 4, 5)]


def noise(*shape: int) -> npt.NDArray[np.float32]:
    return RNG.standard_normal(shape, dtype=np.float32)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[volume.Volume, npt.NDArray[np.float32]]:
    values = noise(70, 66, 130)
    path = tmp_path_factory.mktemp("volume") / "a.zarr"
    volume.write_array(path, values)
    return volume.open(path), values


@settings(max_examples=25)
@given(st.data())
def test_any_region_comes_back(stored: tuple[volume.Volume, npt.NDArray[np.float32]], data: st.DataObject) -> None:
    opened, values = stored
    ends = [sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n)))) for n in values.shape]
    region = Region(tuple(a for a, _ in ends), tuple(b for _, b in ends))
    np.testing.assert_array_equal(opened.read(region), values[region.slices])
    assert opened.live(region).all()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("slab_axis", [0, 1])
def test_shards_tile_the_volume_one_chunk_thick(tmp_path: Path, shape: tuple[int, ...], slab_axis: int) -> None:
    values, covered = noise(*shape), np.zeros(shape, dtype=int)
    with volume.create(tmp_path / "a.zarr", shape, slab_axis=slab_axis) as writer:
        for region in writer.shards():
            covered[region.slices] += 1
            writer.write(region, values[region.slices])
        shard = writer.shard
    opened = volume.open(tmp_path / "a.zarr")
    assert (covered == 1).all()
    assert shard[slab_axis] == opened.chunk[slab_axis]
    np.testing.assert_array_equal(opened.read(Region.whole(shape)), values)


def test_long_shards_keep_within_their_size(tmp_path: Path) -> None:
    with volume.create(tmp_path / "a.zarr", (1500, 900, 1100), slab_axis=1) as writer:
        assert writer.shard[:2] == (1536, 64)
        assert np.prod(writer.shard) <= volume.SHARD_ELEMENTS


def test_what_is_not_finite_or_not_live_is_dead(tmp_path: Path) -> None:
    values = noise(4, 5, 6)
    values[1, 2, 3], values[0, 0, 0] = np.nan, -np.inf
    live = np.ones((1, 5, 6), dtype=bool)
    live[0, 4] = False
    with volume.create(tmp_path / "a.zarr", values.shape) as writer:
        writer.write(Region.whole(values.shape), values, live)
    opened = volume.open(tmp_path / "a.zarr")
    read, alive = opened.read_with_live(Region.whole(values.shape))
    expected = np.broadcast_to(live, values.shape) & np.isfinite(values)
    np.testing.assert_array_equal(alive, expected)
    np.testing.assert_array_equal(read, np.where(expected, values, 0))


def test_labels_keep_unlabelled_and_what_is_never_written_is_unlabelled(tmp_path: Path) -> None:
    slices = RNG.choice(np.array([0, 1, 255], dtype=np.uint8), (70, 1, 80))
    with volume.create(tmp_path / "a.zarr", (70, 100, 80), np.uint8) as writer:
        writer.write(Region((0, 30, 0), (70, 31, 80)), slices)
    opened = volume.open(tmp_path / "a.zarr")
    whole = opened.read(Region.whole(opened.shape))
    assert whole.dtype == np.uint8
    np.testing.assert_array_equal(whole[:, 30:31], slices)
    assert (np.delete(whole, 30, axis=1) == 255).all()
    np.testing.assert_array_equal(opened.live(Region.whole(opened.shape)), whole != 255)


def test_empty_chunks_take_no_space(tmp_path: Path) -> None:
    with volume.create(tmp_path / "a.zarr", (640, 640, 640)) as writer:
        writer.write(Region((0, 0, 0), (64, 64, 64)), noise(64, 64, 64))
    assert len([path for path in (tmp_path / "a.zarr").rglob("*") if path.is_file()]) == 2


def test_geometry_and_attributes_come_back(tmp_path: Path) -> None:
    axes = (Axis("depth", 0, 4, "ms"), Axis("inline", 3, 2), Axis("crossline", 5))
    geometry = Geometry(axes, Frame((1.0, 2.0), ((3.0, 4.0), (-4.0, 3.0))), Source("a.sgy", "f" * 32, (9, 21)))
    with volume.create(tmp_path / "a.zarr", (3, 4, 5), geometry=geometry, attributes={"model": "m"}) as writer:
        writer.annotate({"later": [1, 2]})
    opened = volume.open(tmp_path / "a.zarr")
    assert opened.geometry == geometry
    assert opened.axes == ("depth", "inline", "crossline")
    assert (opened.attributes["model"], opened.attributes["later"]) == ("m", [1, 2])
    metadata = json.loads((tmp_path / "a.zarr" / "zarr.json").read_text())
    assert metadata["dimension_names"] == ["depth", "inline", "crossline"]
    assert metadata["attributes"]["corners"] == geometry.corners((3, 4, 5))


def test_equal_volumes_are_equal_bytes(tmp_path: Path) -> None:
    values = noise(130, 70)
    for name in "ab":
        volume.write_array(tmp_path / name, values)
    files = [
        {p.relative_to(tmp_path / n): p.read_bytes() for p in (tmp_path / n).rglob("*") if p.is_file()} for n in "ab"
    ]
    assert files[0] == files[1]
    assert len(files[0]) > 1


def interrupted(path: Path, **options: Any) -> None:
    with volume.create(path, (130, 4, 5), **options) as writer:
        writer.write(Region((0, 0, 0), (64, 4, 5)), np.ones((64, 4, 5), dtype=np.float32))
        raise KeyboardInterrupt


def test_an_interrupted_volume_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    volume.write_array(path, np.zeros((2, 3), dtype=np.float32))
    with pytest.raises(KeyboardInterrupt):
        interrupted(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.zarr"]
    assert volume.open(path).shape == (2, 3)


def test_an_interrupted_volume_goes_on_with_the_same_key(tmp_path: Path) -> None:
    path, first, second = tmp_path / "new" / "a.zarr", Region((0, 0, 0), (64, 4, 5)), Region((64, 0, 0), (130, 4, 5))
    with pytest.raises(KeyboardInterrupt):
        interrupted(path, resume_key="k1")
    assert not path.exists()
    with volume.create(path, (130, 4, 5), resume_key="k1") as writer:
        assert writer.finished(first)
        assert not writer.finished(second)
        writer.write(second, np.full((66, 4, 5), 2, dtype=np.float32))
    assert [entry.name for entry in path.parent.iterdir()] == ["a.zarr"]
    values = volume.open(path).read(Region.whole((130, 4, 5)))
    assert (values[:64] == 1).all()
    assert (values[64:] == 2).all()
    assert sorted(entry.name for entry in path.iterdir()) == ["c", "zarr.json"]


def test_an_interrupted_volume_of_another_key_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    with pytest.raises(KeyboardInterrupt):
        interrupted(path, resume_key="k1")
    with volume.create(path, (130, 4, 5), resume_key="k2") as writer:
        assert not writer.finished(Region((0, 0, 0), (64, 4, 5)))
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.zarr"]


def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path: Path, with_little_room: Callable[..., str]) -> None:
    path = tmp_path / "a.zarr"
    message = with_little_room(50_000, volume.write_array, path, noise(64, 64, 64))
    assert message.startswith(f"{path}: expected room to write it, found none")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_volume_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"nothing\.zarr: no such volume; segwheel convert"):
        volume.open(tmp_path / "nothing.zarr")
    with pytest.raises(FormatError, match="expected a segwheel volume"):
        volume.open(tmp_path)
    volume.write_array(tmp_path / "a.zarr", noise(3, 4))
    metadata = tmp_path / "a.zarr" / "zarr.json"
    stored = json.loads(metadata.read_text())
    metadata.write_text(json.dumps(stored | {"attributes": {}}))
    with pytest.raises(FormatError, match="expected a segwheel volume"):
        volume.open(tmp_path / "a.zarr")
    metadata.write_text("{")
    with pytest.raises(SegwheelError):
        volume.open(tmp_path / "a.zarr")


def test_a_mask_of_another_grid_is_refused(tmp_path: Path) -> None:
    axes = (Axis("depth", 0, 4, "ms"), Axis("inline", 100), Axis("crossline", 5))
    moved = (axes[0], Axis("inline", 101), axes[2])
    for name, shape, some in (("a", (3, 4, 5), axes), ("b", (3, 4, 5), moved), ("c", (3, 4, 6), axes)):
        volume.write_array(tmp_path / name, np.zeros(shape, dtype=np.float32), Geometry(some))
    a, b, c = (volume.open(tmp_path / name) for name in "abc")
    volume.require_same_grid(a, a)
    with pytest.raises(
        FormatError, match=r"b: expected the grid of .*a \(.*inline 100\.\.103.*found .*inline 101\.\.104"
    ):
        volume.require_same_grid(a, b)
    with pytest.raises(FormatError, match=r"crossline 5\.\.9 .* found .* crossline 5\.\.10"):
        volume.require_same_grid(a, c)


def _sum(opened: volume.Volume) -> float:
    return float(opened.read(Region.whole(opened.shape)).sum())


def test_a_forked_process_reads_a_volume_opened_before(
    stored: tuple[volume.Volume, npt.NDArray[np.float32]],
) -> None:
    here = _sum(stored[0])
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply(_sum, (stored[0],)) == here


def test_an_open_volume_travels_to_a_spawned_process(stored: tuple[volume.Volume, npt.NDArray[np.float32]]) -> None:
    copy = pickle.loads(pickle.dumps(stored[0]))
    assert _sum(copy) == _sum(stored[0])
    assert copy.geometry == stored[0].geometry
