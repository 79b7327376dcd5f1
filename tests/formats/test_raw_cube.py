from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segwheel.axes import Region
from segwheel.errors import FormatError, MissingError
from segwheel.formats import flat, raw_cube, volume

RNG = np.random.default_rng(0)


def noise(*shape: int) -> npt.NDArray[np.float32]:
    return RNG.standard_normal(shape, dtype=np.float32)


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
def test_depth_runs_fastest(tmp_path: Path, shape: tuple[int, ...]) -> None:
    values = noise(*shape)
    raw_cube.write(tmp_path / "0.bin", values)
    published = np.fromfile(tmp_path / "0.bin", "<f4").reshape(shape[::-1]).T
    np.testing.assert_array_equal(published, values)
    np.testing.assert_array_equal(raw_cube.read(tmp_path / "0.bin", shape), values)


@given(st.data())
def test_any_region_comes_back(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(1, 6), min_size=2, max_size=3).map(tuple))
    path, values = tmp_path_factory.mktemp("cube") / "0.bin", noise(*shape)
    raw_cube.write(path, values)
    ends = [sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n)))) for n in shape]
    region = Region(tuple(a for a, _ in ends), tuple(b for _, b in ends))
    np.testing.assert_array_equal(raw_cube.RawCube(path, shape).read(region), values[region.slices])


def test_bad_samples_are_zeros_and_not_live(tmp_path: Path) -> None:
    values = noise(4, 5)
    values[1, 2], values[3, 3] = np.nan, np.inf
    raw_cube.write(tmp_path / "0.bin", values)
    cube, whole = raw_cube.RawCube(tmp_path / "0.bin", (4, 5)), Region.whole((4, 5))
    assert cube.axes == ("depth", "trace")
    np.testing.assert_array_equal(cube.live(whole), np.isfinite(values))
    np.testing.assert_array_equal(cube.read(whole), np.where(np.isfinite(values), values, 0))


@pytest.mark.parametrize("size", [0, 100, 479, 484])
def test_another_size_is_refused_before_reading(tmp_path: Path, size: int) -> None:
    (tmp_path / "0.bin").write_bytes(bytes(size))
    message = rf"0\.bin: expected 4 x 5 x 6 float32 samples = 480 bytes, found {size} bytes"
    with pytest.raises(FormatError, match=message):
        raw_cube.read(tmp_path / "0.bin", (4, 5, 6))
    with pytest.raises(FormatError, match=message):
        raw_cube.RawCube(tmp_path / "0.bin", (4, 5, 6))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"0\.bin: no such raw cube"):
        raw_cube.read(tmp_path / "0.bin", (1, 1))
    with pytest.raises(MissingError, match=r"0\.bin: no such raw cube"):
        raw_cube.infer_shape(tmp_path / "0.bin", 2)


@pytest.mark.parametrize(("samples", "ndim", "shape"), [(64**3, 3, (64,) * 3), (7**3, 3, (7,) * 3), (49, 2, (7, 7))])
def test_equal_edges_are_inferred(tmp_path: Path, samples: int, ndim: int, shape: tuple[int, ...]) -> None:
    (tmp_path / "0.bin").write_bytes(bytes(4 * samples))
    assert raw_cube.infer_shape(tmp_path / "0.bin", ndim) == shape


@pytest.mark.parametrize(("size", "ndim", "hint"), [(0, 3, "--n1 --n2 --n3"), (400, 3, "--n3"), (402, 2, "--n1 --n2")])
def test_other_sizes_want_their_dimensions(tmp_path: Path, size: int, ndim: int, hint: str) -> None:
    (tmp_path / "0.bin").write_bytes(bytes(size))
    with pytest.raises(FormatError, match=rf"{ndim}D cube with equal edges, found {size} bytes; .*{hint}"):
        raw_cube.infer_shape(tmp_path / "0.bin", ndim)


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / f"{name}.bin").touch()


def test_samples_are_listed_by_number(tmp_path: Path) -> None:
    touch(tmp_path, *(str(i) for i in range(12)), "0_rgt", "1_rgt", "other", "12_other")
    samples = raw_cube.list_samples(tmp_path, ["image"])
    assert [sample["image"].name for sample in samples] == [f"{i}.bin" for i in range(12)]
    assert len(raw_cube.list_samples(tmp_path, ["image"], count=3)) == 3
    assert raw_cube.list_samples(tmp_path, ["image", "rgt"], count=2)[1] == {
        "image": tmp_path / "1.bin",
        "rgt": tmp_path / "1_rgt.bin",
    }


@pytest.mark.parametrize(
    ("files", "names", "count", "message"),
    [
        ([], ["image"], None, r"no such folder of numbered cubes; it should hold 0\.bin"),
        (["0", "2"], ["image"], None, r"1\.bin: no such raw cube; samples are numbered 0 to 2 here"),
        (["0", "1"], ["image"], 3, r"2\.bin: no such raw cube"),
        (["0_rgt", "0_dhr", "1_rgt"], ["rgt", "dhr"], None, r"1_dhr\.bin: no such raw cube"),
        (["0"], raw_cube.ATTRIBUTES, None, r"no such folder of numbered cubes; it should hold 0_rgt\.bin, 0_dhr\.bin"),
    ],
)
def test_a_missing_sample_or_target_is_named(
    tmp_path: Path, files: list[str], names: list[str], count: int | None, message: str
) -> None:
    touch(tmp_path, *files)
    with pytest.raises(MissingError, match=message):
        raw_cube.list_samples(tmp_path, names, count)


@pytest.mark.parametrize("shape", [(70, 66), (10, 70, 130)])
def test_a_volume_is_written_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...]) -> None:
    monkeypatch.setattr(flat, "BLOCK_ELEMENTS", 3000)
    values, told = noise(*shape), []
    volume.write_array(tmp_path / "a.zarr", values)
    opened = volume.open(tmp_path / "a.zarr")
    raw_cube.write_volume(tmp_path / "a.bin", opened, lambda done, total: told.append((done, total)))
    np.testing.assert_array_equal(raw_cube.read(tmp_path / "a.bin", shape), values)
    assert len(told) > 1
    assert told[-1] == (values.size, values.size)


def test_a_full_disk_leaves_nothing(tmp_path: Path, with_little_room: Callable[..., str]) -> None:
    message = with_little_room(1000, raw_cube.write, tmp_path / "0.bin", noise(20, 20))
    assert "0.bin: expected room to write it, found none" in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["data_train/0", "target_train/0_rgt", "target_valid/0_fsem"])
def test_published_cubes(shared_data: Path, name: str) -> None:
    path = shared_data / "seismic/lanl_mtl/train/dataset3" / f"{name}.bin"
    cube = raw_cube.read(path, raw_cube.infer_shape(path, 3))
    assert cube.shape == (64, 64, 64)
    if name.endswith("rgt"):  # grows downwards along the first axis
        assert (cube.min(), cube.max()) == (0, 1)
        grown = [float(np.take(cube, -1, axis).mean() - np.take(cube, 0, axis).mean()) for axis in range(3)]
        assert grown[0] > 2 * max(map(abs, grown[1:]))
