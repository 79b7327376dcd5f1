from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from segwheel.cli.import_data import import_data
from segwheel.cli.intake import make_splits, validate_dataset
from segwheel.errors import InputError, PartialError
from segwheel.formats.tiff import write_image, write_mask
from segwheel.integrations import dvc

app = typer.Typer()
app.command("validate_dataset")(validate_dataset)
app.command("make_splits")(make_splits)
app.command("import")(import_data)


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in "abcdef":
        write_image(tmp_path / "data/working/images" / f"{name}.tif", rng.integers(0, 256, (8, 9), dtype=np.uint8))
        write_mask(tmp_path / "data/working/masks" / f"{name}_mask.tif", (rng.random((8, 9)) > 0.5).astype(np.uint8))
    return tmp_path


def run(*arguments: str) -> tuple[str, str, BaseException | None]:
    result = CliRunner().invoke(app, arguments)
    return result.stdout, result.stderr, result.exception


def test_the_defaults_fit_together(workplace: Path) -> None:
    assert run("validate_dataset") == ("data/splits/all.csv: 6 of 6 samples\n", "", None)
    assert run("make_splits") == ("data/splits: 1 test, 4 train, 1 val\n", "", None)
    assert {path.name for path in (workplace / "data/splits").iterdir()} == {
        "all.csv", "qc_summary.csv", "train.csv", "val.csv", "test.csv", "pool.csv",
    }  # fmt: skip


def test_every_problem_is_a_line(workplace: Path) -> None:
    (workplace / "data/working/masks/a_mask.tif").unlink()
    (workplace / "data/working/images/b.tif").write_bytes(b"")
    stdout, stderr, problem = run("validate_dataset", "--output-dir", "out")
    assert isinstance(problem, PartialError)
    assert str(problem) == "validate_dataset: 2 of 6 failed (a, b)"
    assert [line.split(":")[:2] for line in stderr.splitlines()] == [
        ["error", " data/working/masks/a_mask.tif"],
        ["error", " data/working/images/b.tif"],
    ]
    assert stdout == "out/all.csv: 4 of 6 samples\n"


def test_ratios_are_checked() -> None:
    run("validate_dataset")
    *_, problem = run("make_splits", "--train-ratio", "0.9")
    assert isinstance(problem, InputError)


def test_import_says_what_comes_next(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dvc, "add", lambda *_: "hash")
    (workplace / "params.yaml").write_text("flywheels: []\nnew_flywheel:\n  ingest:\n    generate: null\n")
    (workplace / "data/working/splits.csv").write_text("name,split\n")
    stdout, stderr, problem = run("import", "cells", "data/working", "--pixel-size", "0.5")
    assert (stderr, problem) == ("", None)
    assert "flywheel cells: 6 images (6 to be divided)" in stdout
    assert "splits.csv was not used" in stdout
    assert stdout.splitlines()[-2:] == ["  dvc repro", "  segwheel compare cells"]
    *_, problem = run("import", "cells2", "data/working", "--pixel-size", "-1")
    assert "--pixel-size: expected a positive" in str(problem)
