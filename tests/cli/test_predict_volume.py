"""One command from a seismic file to attributes that other programs open."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import segyio
import torch
from typer.testing import CliRunner

from segwheel.axes import Region
from segwheel.cli.app import app
from segwheel.domain.synthesis.recipe import RECIPES
from segwheel.domain.synthesis.seismic import generate
from segwheel.errors import CheckpointError, FormatError, MissingError
from segwheel.formats import raw_cube, volume
from segwheel.learning import multitask_checkpoint
from segwheel.learning.multitask_checkpoint import NetworkKind, describe, write_model

ATTRIBUTES = ("rgt", "dhr", "fsem", "fdip", "fstrike")
SHAPE = (32, 20, 18)
DEAD = (7, 5)  # a trace of zeros


def write_model_file(path: Path, *, ndim: int = 3, refine: bool = False) -> None:
    torch.manual_seed(0)
    kind = NetworkKind(design="light", refine=refine, ndim=ndim, width=0.1, tasks=("rgt", "dhr", "fault"))
    write_model(path, kind.build().state_dict(), describe(kind, (16,) * ndim, 1.0, 0.12))


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    cube = generate(SHAPE, RECIPES["published"], 1).image
    cube[:, DEAD[0], DEAD[1]] = 0
    np.save("survey.npy", cube)
    raw_cube.write(Path("survey.bin"), cube)
    spec = segyio.spec()
    spec.sorting, spec.format, spec.samples = 2, 5, range(0, 4 * SHAPE[0], 4)
    spec.ilines, spec.xlines = range(101, 101 + SHAPE[1]), range(21, 21 + SHAPE[2])
    with segyio.create("survey.sgy", spec) as file:
        for number, trace in enumerate(cube.reshape(SHAPE[0], -1).T):
            inline, crossline = divmod(number, SHAPE[2])
            file.header[number] = {189: 101 + inline, 193: 21 + crossline, 181: 5000 + 25 * inline}
            file.trace[number] = np.ascontiguousarray(trace)
    write_model_file(Path("model.pth"))
    return tmp_path


def run(*arguments: str) -> tuple[str, BaseException | None]:
    result = CliRunner().invoke(app, ["predict-volume", *arguments])
    return result.stdout, result.exception


def whole(path: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    found: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = volume.open(Path(path)).read(Region.whole(SHAPE))
    return found


def headers(path: str) -> tuple[bytes, list[bytes]]:
    """Everything of a SEG-Y file but its samples."""
    content, size = Path(path).read_bytes(), 240 + 4 * SHAPE[0]
    traces = content[3600:]
    return content[:3600], [traces[i : i + 240] for i in range(0, len(traces), size)]


def test_segy_becomes_five_attributes_in_segy(workplace: Path) -> None:
    said, error = run("survey.sgy", "out", "--model", "model.pth")
    assert error is None
    assert said.startswith("out: rgt.zarr, dhr.zarr, fsem.zarr, fdip.zarr, fstrike.zarr\n")
    assert "faults of probability 0.12 and more: " in said
    for name in ATTRIBUTES:
        assert headers(f"out/{name}.sgy") == headers("survey.sgy")
        with segyio.open(f"out/{name}.sgy") as file:
            cube = np.moveaxis(segyio.tools.cube(file), -1, 0)
        np.testing.assert_array_equal(cube, whole(f"out/{name}.zarr"))
        assert not cube[:, DEAD[0], DEAD[1]].any()
        assert cube.any()
    with Path("out/faults.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == int(said.splitlines()[1].split()[-1])
    assert Path("out/fault_sticks.txt").is_file()
    assert not list(workplace.glob("out/.*"))


def test_numpy_and_raw_cubes_and_volumes_give_the_same(workplace: Path) -> None:
    assert run("survey.sgy", "wanted", "--model", "model.pth")[1] is None
    for source, *options in (
        ("survey.npy",),
        ("survey.bin", "--n1", "32", "--n2", "20", "--n3", "18"),
        ("wanted/image.zarr", "--like", "survey.sgy"),
    ):
        output = source.replace(".", "_").replace("/", "_")
        assert run(source, output, "--model", "model.pth", *options)[1] is None
        for name in ATTRIBUTES:
            np.testing.assert_array_equal(whole(f"{output}/{name}.zarr"), whole(f"wanted/{name}.zarr"))
            assert Path(f"{output}/{name}.sgy").exists() == ("--like" in options)
    assert Path("wanted_image_zarr/rgt.sgy").read_bytes() == Path("wanted/rgt.sgy").read_bytes()


def test_bad_samples_are_said(workplace: Path) -> None:
    cube = np.load("survey.npy")
    cube[3, 4, 5:7] = np.nan
    np.save("bad.npy", cube)
    result = CliRunner().invoke(app, ["predict-volume", "bad.npy", "out", "--model", "model.pth"])
    assert result.exception is None
    assert "note: bad.npy: 2 NaN or infinite samples, which count as dead" in result.stderr


def test_the_threshold_says_what_a_fault_is(workplace: Path) -> None:
    said, _ = run("survey.npy", "out", "--model", "model.pth", "--threshold", "1")
    assert said.splitlines()[1] == "faults of probability 1 and more: 0"
    assert Path("out/faults.csv").read_text().startswith("fault,voxels,probability,dip,strike\n")


def test_a_section_needs_a_model_of_sections(workplace: Path) -> None:
    raw_cube.write(Path("line.bin"), np.load("survey.npy")[:, 3])
    arguments = ("line.bin", "line", "--n1", "32", "--n2", "18", "--model")
    _, error = run(*arguments, "model.pth")
    assert isinstance(error, FormatError)
    assert "expected 3 axes, as the model was trained on, found 32 x 18" in str(error)
    write_model_file(Path("line.pth"), ndim=2)
    assert run(*arguments, "line.pth")[0].startswith("line: rgt.zarr, dhr.zarr, fsem.zarr, fdip.zarr\n")


def test_weights_that_ship_are_found_by_their_name(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (workplace / "weights").mkdir()
    monkeypatch.setattr(multitask_checkpoint, "WEIGHTS", workplace / "weights")
    _, error = run("survey.npy", "out", "--model", "seismic_light")
    assert isinstance(error, MissingError)
    assert str(error) == "seismic_light: no such model file; weights that ship with segwheel: none"
    assert not Path("out").exists()
    Path("model.pth").rename("weights/seismic_light.pth")
    assert run("survey.npy", "out", "--model", "seismic_light")[1] is None


def test_without_a_model_the_input_chooses_the_weights(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (workplace / "weights").mkdir()
    monkeypatch.setattr(multitask_checkpoint, "WEIGHTS", workplace / "weights")
    write_model_file(Path("weights/seismic_light.pth"))
    write_model_file(Path("weights/section_light.pth"), ndim=2)
    np.save("line.npy", np.load("survey.npy")[:, 3])
    assert run("line.npy", "line")[0].startswith("line: rgt.zarr, dhr.zarr, fsem.zarr, fdip.zarr\n")
    assert run("survey.npy", "out")[0].startswith("out: rgt.zarr, dhr.zarr, fsem.zarr, fdip.zarr, fstrike.zarr\n")


def test_what_cannot_be_used_is_one_sentence(workplace: Path) -> None:
    write_model_file(Path("refine.pth"), refine=True)
    _, error = run("survey.npy", "out", "--model", "refine.pth")
    assert isinstance(error, CheckpointError)
    assert "expected a light 3D network of width 0.1 that takes an image" in str(error)
    assert isinstance(run("none.sgy", "out", "--model", "model.pth")[1], MissingError)
    _, error = run("survey.bin", "out", "--model", "model.pth", "--n1", "32", "--n2", "20", "--n3", "19")
    assert isinstance(error, FormatError)
    Path("survey.sgy").write_bytes(Path("survey.sgy").read_bytes()[:-100])
    assert isinstance(run("survey.sgy", "out", "--model", "model.pth")[1], FormatError)
    assert not list(workplace.glob("out/*"))
