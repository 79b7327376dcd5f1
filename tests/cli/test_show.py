from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import segyio
import typer
from PIL import Image
from typer.testing import CliRunner

from segwheel.cli.show import show
from segwheel.errors import FormatError, MissingError
from segwheel.formats import raw_cube, volume

app = typer.Typer()
app.command()(show)

RNG = np.random.default_rng(0)
CUBE = RNG.standard_normal((8, 4, 5)).astype(np.float32)
LENGTHS = ("--n1", "8", "--n2", "4", "--n3", "5")


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    raw_cube.write(Path("0.bin"), CUBE)
    return tmp_path


def run(*arguments: str) -> tuple[str, BaseException | None]:
    result = CliRunner().invoke(app, arguments)
    return result.stdout, result.exception


@pytest.mark.parametrize(("name", "attributes"), [("result.rgt", "result"), ("0_rgt.bin", "0"), ("d/rgt.bin", "d")])
def test_raw_cubes(name: str, attributes: str) -> None:
    raw_cube.write(Path(name), np.abs(CUBE))
    said = run("0.bin", "a.png", "--attributes", attributes, "--inline", "0", *LENGTHS)
    assert said == ("a.png: image, rgt of 0.bin\n", None)
    assert Image.open("a.png").height > Image.open("a.png").width  # three slices under each other, two panels


def test_what_predict_volume_made(workplace: Path) -> None:
    for name in ("image", "rgt", "fsem"):
        volume.write_array(workplace / "out" / f"{name}.zarr", np.abs(CUBE))
    assert run("out", "a.png") == ("a.png: image, rgt, fsem of out\n", None)


def test_segy() -> None:
    segyio.tools.from_array3D("survey.sgy", np.ascontiguousarray(CUBE.transpose(1, 2, 0)))
    assert run("survey.sgy", "a.png") == ("a.png: image of survey.sgy\n", None)


def test_a_section(workplace: Path) -> None:
    raw_cube.write(workplace / "section.bin", CUBE[:, 0])
    assert run("section.bin", "a.png", "--n1", "8", "--n2", "5") == ("a.png: image of section.bin\n", None)


def test_what_is_not_there_is_said(workplace: Path) -> None:
    for arguments, kind, text in (
        (("0.bin", "a.jpg"), FormatError, "expected a name that ends in .png, found .jpg"),
        (("0.bin", "a.png"), FormatError, "expected dimensions of the raw cube, found none"),
        (("0.bin", "a.png", *LENGTHS, "--inline", "4"), FormatError, "expected inline 0 to 3, found index 4"),
        (("0.bin", "a.png", *LENGTHS, "--attributes", "no"), MissingError, "no: no such attributes"),
    ):
        error = run(*arguments)[1]
        assert isinstance(error, kind)
        assert text in str(error)
    assert [path.name for path in workplace.iterdir()] == ["0.bin"]
