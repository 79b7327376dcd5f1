from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import segyio
import typer
from typer.testing import CliRunner

from segwheel.cli.convert import convert, export
from segwheel.errors import FormatError, InputError
from segwheel.formats import raw_cube, volume

app = typer.Typer()
app.command()(convert)
app.command()(export)

RNG = np.random.default_rng(0)
CUBE = RNG.standard_normal((20, 3, 4)).astype(np.float32)


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    spec = segyio.spec()
    spec.sorting, spec.format, spec.samples = 2, 5, range(0, 80, 4)
    spec.ilines, spec.xlines = range(11, 14), range(21, 25)
    with segyio.create("survey.sgy", spec) as file:
        for number, trace in enumerate(CUBE.reshape(20, -1).T):
            file.header[number] = {189: 11 + number // 4, 193: 21 + number % 4}
            file.trace[number] = np.ascontiguousarray(trace)
    return tmp_path


def run(*arguments: str) -> tuple[str, BaseException | None]:
    result = CliRunner().invoke(app, arguments)
    return result.stdout, result.exception


def test_there_and_back(workplace: Path) -> None:
    made = "survey.zarr: 20 x 3 x 4: 12 traces, 0 missing, 0 dead\n"
    assert run("convert", "survey.sgy", "survey.zarr") == (made, None)
    assert volume.open(workplace / "survey.zarr").geometry.source.path == "survey.sgy"  # type: ignore[union-attr]
    for suffix in (".sgy", ".SEGY", ".vti", ".npy", ".bin"):
        written = f"again{suffix}: 20 x 3 x 4 (depth, inline, crossline)\n"
        like = ("--like", "survey.sgy") if suffix.lower() in (".sgy", ".segy") else ()
        assert run("export", "survey.zarr", *like, f"again{suffix}") == (written, None)
    assert (workplace / "again.sgy").read_bytes() == (workplace / "survey.sgy").read_bytes()
    assert (workplace / "again.SEGY").read_bytes() == (workplace / "survey.sgy").read_bytes()
    np.testing.assert_array_equal(np.load("again.npy"), CUBE)
    np.testing.assert_array_equal(raw_cube.read(Path("again.bin"), CUBE.shape), CUBE)
    assert b'WholeExtent="0 3 0 2 0 19"' in (workplace / "again.vti").read_bytes()


def test_raw_and_numpy_cubes_take_the_dimensions_of_the_survey(workplace: Path) -> None:
    raw_cube.write(workplace / "result.rgt", CUBE)
    np.save("result.npy", CUBE)
    for name in ("result.rgt", "result.npy"):
        assert run("export", name, "again.sgy", "--like", "survey.sgy")[1] is None
        assert (workplace / "again.sgy").read_bytes() == (workplace / "survey.sgy").read_bytes()
    raw_cube.write(workplace / "other.rgt", CUBE[:, :, :3])
    _, error = run("export", "other.rgt", "never.sgy", "--like", "survey.sgy")
    assert isinstance(error, FormatError)
    assert "expected 20 x 3 x 4 float32 samples = 960 bytes, found 720 bytes" in str(error)
    _, error = run("export", "result.rgt", "never.vti")
    assert isinstance(error, FormatError)
    assert "give its dimensions with --n1 --n2 --n3" in str(error)
    _, error = run("export", "survey.sgy", "never.vti")
    assert isinstance(error, InputError)
    assert "`segwheel convert survey.sgy survey.zarr` makes one" in str(error)
    assert run("export", "result.rgt", "cube.npy", "--n1", "20", "--n2", "3", "--n3", "4")[1] is None
    np.testing.assert_array_equal(np.load("cube.npy"), CUBE)
    assert not list(workplace.glob("never*"))


def test_faults_become_sticks(workplace: Path) -> None:
    faults = np.zeros((40, 20, 30), dtype=np.float32)
    faults[:, :, 14:17] = 0.7
    volume.write_array(workplace / "faults.zarr", faults)
    assert run("export", "faults.zarr", "faults.txt")[0].startswith("1 faults, 5 sticks\nfaults.txt: 40 x 20 x 30")
    assert run("export", "faults.zarr", "faults.txt", "--every", "10")[0].startswith("1 faults, 3 sticks\n")
    assert run("export", "faults.zarr", "faults.txt", "--threshold", "0.8")[0].startswith("0 faults, 0 sticks\n")


def test_labels_and_lines(workplace: Path) -> None:
    with segyio.open("survey.sgy", "r+", ignore_geometry=True) as file:
        for i in range(12):
            file.trace[i] = np.full(20, i % 2, dtype=np.float32)
            file.header[i] = {189: 11, 193: 21 + i}
    _, error = run("convert", "survey.sgy", "a.zarr")
    assert "--line takes it as a 2D image" in str(error)
    assert run("convert", "survey.sgy", "a.zarr", "--line", "--labels", "--unit", "m")[1] is None
    opened = volume.open(workplace / "a.zarr")
    assert opened.axes == ("depth", "crossline")
    assert opened.dtype == np.uint8
    assert opened.geometry.axes[0].unit == "m"
    assert run("export", "a.zarr", "b.sgy", "--like", "survey.sgy")[1] is None
    assert (workplace / "b.sgy").read_bytes() == (workplace / "survey.sgy").read_bytes()
    raw_cube.write(workplace / "line.fsem", np.tile(np.arange(12) % 2, (20, 1)).astype(np.float32))
    assert run("export", "line.fsem", "c.sgy", "--like", "survey.sgy", "--line")[1] is None
    assert (workplace / "c.sgy").read_bytes() == (workplace / "survey.sgy").read_bytes()


def test_line_numbers_elsewhere(workplace: Path) -> None:
    with segyio.open("survey.sgy", "r+", ignore_geometry=True) as file:
        for i in range(12):
            file.header[i] = {189: 0, 193: 0, 5: i // 6, 17: i % 6}
    _, error = run("convert", "survey.sgy", "a.zarr")
    assert "--iline-byte" in str(error)
    assert run("convert", "survey.sgy", "a.zarr", "--iline-byte", "5", "--xline-byte", "17")[1] is None
    assert volume.open(workplace / "a.zarr").shape == (20, 2, 6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("convert", "survey.sgy", "a.zarr", "--iline-byte", "5"), "expected both of --iline-byte and --xline-byte"),
        (("convert", "survey.sgy", "a.zarr", "--unit", "km"), "--unit: expected ms, m, ft, found km"),
        (("convert", "survey.sgy", "a.zarr", "--sample-format", "4"), "--sample-format: expected one of 1, 2, 3, 5"),
        (("convert", "none.sgy", "a.zarr"), "none.sgy: no such SEG-Y file"),
        (("export", "none.zarr", "a.vti"), "none.zarr: no such volume"),
        (("export", "survey.zarr", "a.doc"), "a.doc: expected a name that ends in .sgy, .segy, .vti, .npy, .bin, .txt"),
        (("export", "survey.zarr", "a"), "found no suffix"),
        (("export", "survey.zarr", "a.sgy"), "a.sgy: expected --like with the SEG-Y file that it belongs to"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(workplace: Path, arguments: tuple[str, ...], message: str) -> None:
    run("convert", "survey.sgy", "survey.zarr")
    _, error = run(*arguments)
    assert message in str(error)
    assert "\n" not in str(error)
    assert {path.name for path in workplace.iterdir()} == {"survey.sgy", "survey.zarr"}
