from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from segwheel.axes import Region
from segwheel.errors import FormatError
from segwheel.formats import flat, raw_cube, volume
from segwheel.formats.geometry import Geometry
from segwheel.formats.segy_export import export
from segwheel.formats.segy_import import convert
from segwheel.formats.segy_scan import Reading, scan

MakeSegy = Callable[..., Path]
RNG = np.random.default_rng(0)
LINES = [(10 + 2 * i, 100 + j) for i in range(3) for j in range(4)]
SAMPLES = RNG.integers(0, 50, (12, 6)).astype(np.float32)
SHUFFLED = [int(i) for i in RNG.permutation(12)]


def headers(path: Path, size: int, samples: int = 6) -> tuple[bytes, bytes]:
    """File headers, and all trace headers, of a file without extensions."""
    content = path.read_bytes()
    traces = np.frombuffer(content[3600:], "u1").reshape(-1, 240 + samples * size)
    return content[:3600], traces[:, :240].tobytes()


@pytest.mark.parametrize("order", [">", "<"])
@pytest.mark.parametrize("code", [5, 6])
@pytest.mark.parametrize("extra", [0, 1])
def test_a_round_trip_of_floats_is_the_file_itself(
    make_segy: MakeSegy, tmp_path: Path, order: str, code: int, extra: int
) -> None:
    binary = {3501: 0x0200, 3507: extra} if extra else {}
    path = make_segy(
        [LINES[i] for i in SHUFFLED],
        SAMPLES,
        order=order,
        code=code,
        extended=extra,
        extra_headers=extra,
        binary=binary,
        fields={5: SHUFFLED, 229: 12345},
    )
    convert(path, tmp_path / "a.zarr")
    export(volume.open(tmp_path / "a.zarr"), tmp_path / "a.zarr", path, tmp_path / "b.sgy")
    assert (tmp_path / "b.sgy").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("order", [">", "<"])
@pytest.mark.parametrize(("code", "size"), [(2, 4), (3, 2), (8, 1), (16, 1)])
def test_integers_become_ieee_floats_and_only_the_format_code_changes(
    make_segy: MakeSegy, tmp_path: Path, order: str, code: int, size: int
) -> None:
    path = make_segy(LINES, SAMPLES, order=order, code=code)
    convert(path, tmp_path / "a.zarr")
    said = export(volume.open(tmp_path / "a.zarr"), tmp_path / "a.zarr", path, tmp_path / "b.sgy")
    assert said.startswith("samples are 4-byte IEEE floats, since the ")
    assert said.endswith(f"integers of {path.name} cannot hold them")
    (old, old_traces), (new, new_traces) = headers(path, size), headers(tmp_path / "b.sgy", 4)
    assert new_traces == old_traces
    assert [i + 1 for i in range(3600) if new[i] != old[i]] == [3226 if order == ">" else 3225]
    assert scan(tmp_path / "b.sgy").layout.format.code == 5
    convert(tmp_path / "b.sgy", tmp_path / "b.zarr")
    whole = Region((0, 0, 0), (6, 3, 4))
    np.testing.assert_array_equal(volume.open(tmp_path / "b.zarr").read(whole), SAMPLES.T.reshape(6, 3, 4))


def test_new_samples_under_old_headers(make_segy: MakeSegy, tmp_path: Path) -> None:
    path = make_segy([LINES[i] for i in SHUFFLED], SAMPLES[SHUFFLED], fields={5: SHUFFLED})
    survey = scan(path)
    values = RNG.standard_normal((6, 3, 4), dtype=np.float32)
    volume.write_array(tmp_path / "a.zarr", values, survey.geometry)
    export(volume.open(tmp_path / "a.zarr"), tmp_path / "a.zarr", path, tmp_path / "b.sgy")
    assert headers(tmp_path / "b.sgy", 4) == headers(path, 4)
    convert(tmp_path / "b.sgy", tmp_path / "b.zarr")
    np.testing.assert_array_equal(volume.open(tmp_path / "b.zarr").read(Region.whole((6, 3, 4))), values)


def test_dead_and_missing_are_zeros(make_segy: MakeSegy, tmp_path: Path) -> None:
    samples = SAMPLES[:11] + 1
    samples[3, 2] = np.nan
    path = make_segy(LINES[:11], samples, fields={29: [2, *[1] * 10]})
    convert(path, tmp_path / "a.zarr")
    export(volume.open(tmp_path / "a.zarr"), tmp_path / "a.zarr", path, tmp_path / "b.sgy")
    written = np.frombuffer((tmp_path / "b.sgy").read_bytes()[3600:], "u1").reshape(11, -1)[:, 240:].copy().view(">f4")
    samples[0] = samples[3, 2] = 0
    samples[3, 2] = 0
    np.testing.assert_array_equal(written, samples)


def test_blocks_of_any_size_give_the_same(make_segy: MakeSegy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [(il, xl) for xl in range(70) for il in range(67)]
    path = make_segy(lines, RNG.standard_normal((len(lines), 9), dtype=np.float32))
    convert(path, tmp_path / "a.zarr")
    monkeypatch.setattr(flat, "BLOCK_ELEMENTS", 100)
    told: list[tuple[int, int]] = []
    opened = volume.open(tmp_path / "a.zarr")
    export(opened, tmp_path / "a.zarr", path, tmp_path / "b.sgy", progress=lambda *numbers: told.append(numbers))
    assert (tmp_path / "b.sgy").read_bytes() == path.read_bytes()
    assert [done for done, _ in told] == [64 * 64, 64 * 70, 64 * 70 + 3 * 64, 67 * 70]


def test_a_line_goes_back_to_its_file(make_segy: MakeSegy, tmp_path: Path) -> None:
    path = make_segy([(7, 20 - i) for i in range(12)], SAMPLES)
    convert(path, tmp_path / "a.zarr", Reading(line=True))
    export(volume.open(tmp_path / "a.zarr"), tmp_path / "a.zarr", path, tmp_path / "b.sgy")
    assert (tmp_path / "b.sgy").read_bytes() == path.read_bytes()


def test_a_volume_remembers_which_bytes_were_given(make_segy: MakeSegy, tmp_path: Path) -> None:
    path = make_segy(LINES, SAMPLES, line_bytes=(233, 237))
    convert(path, tmp_path / "a.zarr", Reading(lines=(233, 237)))
    export(volume.open(tmp_path / "a.zarr"), tmp_path / "a.zarr", path, tmp_path / "b.sgy")
    assert (tmp_path / "b.sgy").read_bytes() == path.read_bytes()


def test_a_wrong_format_code_is_put_right(make_segy: MakeSegy, tmp_path: Path) -> None:
    path = make_segy(LINES, SAMPLES, binary={3225: 2})  # IEEE floats that call themselves integers
    convert(path, tmp_path / "a.zarr", Reading(sample_format=5))
    export(volume.open(tmp_path / "a.zarr"), tmp_path / "a.zarr", path, tmp_path / "b.sgy")
    (old, _), (new, _) = headers(path, 4), headers(tmp_path / "b.sgy", 4)
    assert [i + 1 for i in range(3600) if new[i] != old[i]] == [3226]
    np.testing.assert_array_equal(scan(tmp_path / "b.sgy").layout.format.code, 5)


def test_a_raw_cube_takes_its_dimensions_from_the_file(make_segy: MakeSegy, tmp_path: Path) -> None:
    path = make_segy(LINES, SAMPLES)
    raw_cube.write(tmp_path / "a.rgt", SAMPLES.T.reshape(6, 3, 4))
    cube = raw_cube.RawCube(tmp_path / "a.rgt", (6, 3, 4))
    export(cube, tmp_path / "a.rgt", path, tmp_path / "b.sgy")
    assert (tmp_path / "b.sgy").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("shape", [(6, 3, 5), (7, 3, 4), (6, 4, 3)])
def test_a_volume_of_another_shape_is_refused(make_segy: MakeSegy, tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = make_segy(LINES, SAMPLES)
    volume.write_array(tmp_path / "a.zarr", np.zeros(shape, dtype=np.float32))
    with pytest.raises(FormatError, match=r"a\.zarr: expected the grid of .*made\.sgy \(depth .*\), found depth"):
        export(volume.open(tmp_path / "a.zarr"), tmp_path / "a.zarr", path, tmp_path / "b.sgy")
    assert not (tmp_path / "b.sgy").exists()


def test_a_volume_of_other_line_numbers_is_refused(make_segy: MakeSegy, tmp_path: Path) -> None:
    path, moved = make_segy(LINES, SAMPLES), make_segy([(il + 1, xl) for il, xl in LINES], SAMPLES, name="moved.sgy")
    convert(moved, tmp_path / "a.zarr")
    opened = volume.open(tmp_path / "a.zarr")
    with pytest.raises(FormatError, match=r"expected the grid of .*inline 10\.\.14 .*found .*inline 11\.\.15"):
        export(opened, tmp_path / "a.zarr", path, tmp_path / "b.sgy")
    assert opened.geometry != Geometry.plain(3)


def test_a_full_disk_leaves_nothing(make_segy: MakeSegy, tmp_path: Path, with_little_room: Callable[..., str]) -> None:
    path = make_segy(LINES, RNG.standard_normal((12, 5000), dtype=np.float32))
    convert(path, tmp_path / "a.zarr")
    (tmp_path / "b.sgy").write_text("what was there")
    opened = volume.open(tmp_path / "a.zarr")
    message = with_little_room(100_000, export, opened, tmp_path / "a.zarr", path, tmp_path / "b.sgy")
    assert message.startswith(f"{tmp_path / 'b.sgy'}: expected room to write it, found none")
    assert (tmp_path / "b.sgy").read_text() == "what was there"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.zarr", "b.sgy", "made.sgy"]
