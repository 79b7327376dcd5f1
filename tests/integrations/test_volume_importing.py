from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segwheel.domain.index import read_index
from segwheel.domain.volume_files import RawReading
from segwheel.errors import InputError, ManifestError, MissingError
from segwheel.formats import raw_cube, volume
from segwheel.formats.segy_scan import Reading
from segwheel.integrations.importing import Plan, carry_out
from segwheel.integrations.volume_importing import plan_volume_import
from segwheel.params.flywheels import read_flywheel
from segwheel.params.volumes import VolumeFlywheelParams, VolumeIngestParams
from segwheel.stages.ingest import ingest

SHAPE = (9, 7, 8)
PARAMS = Path(__file__).parents[2] / "params.yaml"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with the parameters that segwheel ships."""
    (tmp_path / "repository").mkdir()
    shutil.copy(PARAMS, tmp_path / "repository")
    monkeypatch.chdir(tmp_path / "repository")
    return tmp_path / "repository"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "my volumes"
    rng = np.random.default_rng(0)
    for name in ("volumes", "labels"):
        (folder / name).mkdir(parents=True)
    np.save(folder / "volumes" / "a.npy", rng.normal(size=SHAPE))
    np.save(folder / "labels" / "a_fsem.npy", rng.integers(0, 2, SHAPE))
    volume.write_array(folder / "volumes" / "b ü.zarr", rng.normal(size=SHAPE).astype(np.float32))
    raw_cube.write(folder / "volumes" / "c.bin", rng.normal(size=SHAPE).astype(np.float32))
    return folder


def carried(root: Path, plan: Plan) -> list[Path]:
    calls = []
    paths = carry_out(root, plan, lambda *call: calls.append(call))
    assert calls == [(root, Path("data") / plan.name / "raw")]
    return paths


def taken_in(root: Path, name: str) -> dict[str, Any]:
    home = Path("data") / name
    tables = (home / "index.csv", home / "corrections.csv", home / "samples", home / "all.csv", home / "qc.csv")
    result = ingest(*tables, VolumeIngestParams(generate=None))
    result.raise_for_errors("ingest")
    return {str(row["basename"]): row for row in result.rows}


def test_a_folder_becomes_a_flywheel(root: Path, folder: Path) -> None:
    reading = RawReading(shape=SHAPE)
    paths = carried(root, plan_volume_import(root, "survey", folder, reading))
    assert Path("data/survey/index.csv") in paths
    entries = read_index(root / "data/survey/index.csv")
    assert [(one.basename, one.split, list(one.labels)) for one in entries] == [
        ("a", "", ["fsem"]), ("b ü", "pool", []), ("c", "pool", []),
    ]  # fmt: skip
    assert RawReading.parse("", entries[2].details) == reading
    params = read_flywheel(root / "params.yaml", "survey")
    assert isinstance(params, VolumeFlywheelParams)
    assert params.ingest.generate is None
    shutil.rmtree(folder)
    rows = taken_in(root, "survey")
    assert {row["shape"] for row in rows.values()} == {"9 x 7 x 8"}
    assert [row["labelled_share"] for row in rows.values() if "labelled_share" in row] == [1.0]


def test_one_segy_file_is_a_flywheel(root: Path, shared_data: Path) -> None:
    file = shared_data / "seismic" / "segy" / "segyio" / "f3.sgy"
    carried(root, plan_volume_import(root, "f3", file, RawReading()))
    rows = taken_in(root, "f3")
    assert (rows["f3"]["shape"], rows["f3"]["split"]) == ("75 x 23 x 18", "pool")
    opened = volume.open(Path(str(rows["f3"]["image_path"])))
    assert opened.geometry.source is not None
    assert opened.geometry.source.path == "data/f3/raw/volumes/f3.sgy"


def test_sections_get_patches_of_two_axes(root: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "line.npy", np.random.default_rng(0).normal(size=(40, 60)))
    before = (root / "params.yaml").read_text()
    carried(root, plan_volume_import(root, "line", tmp_path / "line.npy", RawReading()))
    params = read_flywheel(root / "params.yaml", "line")
    assert isinstance(params, VolumeFlywheelParams)
    assert len(params.patches.shape) == 2
    assert params.patches.generated is not None
    assert len(params.patches.generated.shape) == 2
    assert params.train.model.initial_weights is None
    added = (root / "params.yaml").read_text().split("\nline:\n")[1]
    assert "shape: [64, 64]  " in added
    assert all(line in (root / "params.yaml").read_text().splitlines() for line in before.splitlines())
    assert taken_in(root, "line")["line"]["shape"] == "40 x 60"


def test_how_files_are_read_is_kept() -> None:
    reading = RawReading(Reading((9, 21), True, "m", 5), (4, 5))
    assert RawReading.parse("", reading.details()) == reading
    assert RawReading.parse("", RawReading().details()) == RawReading()
    assert RawReading.parse("", {}) == RawReading()
    with pytest.raises(ManifestError, match=r"index\.csv:3: expected whole numbers"):
        RawReading.parse("index.csv:3", {"shape": "4 x 5"})


def test_splits_are_taken_over(root: Path, folder: Path) -> None:
    splits = folder / "splits.csv"
    splits.write_text("name,split,group\na,pool,g\nb ü,gap,\nc,test,\n", encoding="utf-8")
    plan = plan_volume_import(root, "survey", folder, RawReading(shape=SHAPE), splits)
    assert [(pair.split, pair.group) for pair in plan.pairs] == [("pool", "g"), ("unused", ""), ("test", "")]
    (finding,) = plan.findings
    assert "c.bin: no such labels; expected labels/c_fsem.npy, say, since its split is test" in finding.message


def test_one_spoilt_file_imports_nothing(root: Path, folder: Path) -> None:
    np.save(folder / "labels" / "a_fsem.npy", np.zeros((9, 7, 7)))
    np.save(folder / "volumes" / "d.npy", np.zeros((9, 7)))
    plan = plan_volume_import(root, "survey", folder, RawReading(shape=(9, 7, 9)))
    said = [finding.message for finding in plan.findings]
    assert len(said) == 3
    assert "a_fsem.npy: expected the grid of" in said[0]
    assert "c.bin: expected 9 x 7 x 9 float32 samples = 2268 bytes, found 2016 bytes" in said[1]
    assert "d.npy: expected 3 axes, as the other volumes have" in said[2]
    with pytest.raises(InputError, match="import survey: 3 of 4 samples cannot be used, nothing was imported"):
        carry_out(root, plan, lambda *_: None)
    assert not (root / "data").exists()


def test_raw_cubes_need_dimensions(root: Path, folder: Path) -> None:
    (finding,) = plan_volume_import(root, "survey", folder, RawReading()).findings
    assert "c.bin: expected dimensions of the raw cube, found none; give --n1, --n2 and --n3" in finding.message


def test_other_files_in_the_way_are_not_mixed_in(root: Path, folder: Path) -> None:
    reading = RawReading(shape=SHAPE)
    carried(root, plan_volume_import(root, "survey", folder, reading))
    shutil.copy(PARAMS, root)
    carried(root, plan_volume_import(root, "survey", folder, reading))  # the same again, as after an interruption
    shutil.copy(PARAMS, root)
    (root / "data/survey/raw/volumes/old.npy").touch()
    with pytest.raises(InputError, match=r"old\.npy: expected an empty folder"):
        carry_out(root, plan_volume_import(root, "survey", folder, reading), lambda *_: None)


def test_a_file_that_is_not_there(root: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"no\.sgy: no such volume"):
        plan_volume_import(root, "survey", tmp_path / "no.sgy", RawReading())
