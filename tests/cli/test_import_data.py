"""The verb that makes a flywheel: images or volumes, as the folder says."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from segwheel.cli.correct import correct
from segwheel.cli.import_data import import_data
from segwheel.domain.index import read_index
from segwheel.domain.manifest import write_manifest
from segwheel.errors import InputError
from segwheel.formats import raw_cube, volume
from segwheel.formats.tiff import write_image, write_mask
from segwheel.integrations import dvc
from segwheel.params.flywheels import read_flywheel

app = typer.Typer()
app.command("import")(import_data)
app.command()(correct)
PARAMS = Path(__file__).parents[2] / "params.yaml"


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(dvc, "add", lambda *_: None)
    shutil.copy(PARAMS, tmp_path)
    return tmp_path


def run(*arguments: str) -> tuple[str, BaseException | None]:
    result = CliRunner().invoke(app, arguments)
    return result.output, result.exception


def test_a_raw_cube_becomes_a_flywheel() -> None:
    raw_cube.write(Path("cube.bin"), np.ones((4, 5, 6), np.float32))
    said, _ = run("import", "mine", "cube.bin", "--n1", "4", "--n2", "5", "--n3", "6", "--unit", "m")
    assert "flywheel mine: 1 volumes (1 pool)" in said
    assert "git add params.yaml data/mine/index.csv data/mine/corrections.csv" in said
    assert read_flywheel(Path("params.yaml"), "mine").kind == "volumes"
    (entry,) = read_index(Path("data/mine/index.csv"))
    assert (entry.image.path, entry.details["shape"], entry.details["unit"]) == ("raw/volumes/cube.bin", "4 5 6", "m")


def test_images_are_still_images() -> None:
    write_image(Path("in/images/a.tif"), np.arange(20, dtype=np.uint8).reshape(4, 5))
    said, _ = run("import", "mine", "in", "--pixel-size", "0.5")
    assert "flywheel mine: 1 images (1 pool)" in said
    assert read_flywheel(Path("params.yaml"), "mine").kind == "images"
    (entry,) = read_index(Path("data/mine/index.csv"))
    assert entry.pixel_size_um == 0.5


@pytest.mark.parametrize("lengths", [("--n1", "4"), ("--n1", "4", "--n3", "6"), ("--n2", "4", "--n3", "6")])
def test_only_some_of_the_dimensions(lengths: tuple[str, ...]) -> None:
    Path("cube.bin").touch()
    _, error = run("import", "mine", "cube.bin", *lengths)
    assert isinstance(error, InputError)
    assert "expected --n1 and --n2, and --n3 of a cube" in str(error)


def test_a_corrected_slice_is_said() -> None:
    home = Path("data/mine")
    raw_cube.write(Path("cube.bin"), np.ones((4, 5, 6), np.float32))
    run("import", "mine", "cube.bin", "--n1", "4", "--n2", "5", "--n3", "6")
    volume.write_array(home / "samples/cube/image.zarr", np.ones((4, 5, 6), np.float32))
    row = {"basename": "cube", "image_path": "data/mine/samples/cube/image.zarr"}
    write_manifest(home / "manifest/all.csv", [row])
    write_mask(Path("in/cube_inline_3_mask.tif"), np.ones((4, 6), np.uint8))
    said, _ = run("correct", "mine", "in", "--annotator", "me")
    assert "cube inline 3: edited, nothing was predicted" in said
    assert "next: git add data/mine/corrections.csv" in said
