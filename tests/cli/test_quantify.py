from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import typer
from typer.testing import CliRunner

from segwheel.cli.quantify import extract_metrics, quantify_objects
from segwheel.cli.synth_cells import synth_cells
from segwheel.formats.tiff import write_mask

app = typer.Typer()
app.command("synth")(synth_cells)
app.command("quantify_objects")(quantify_objects)
app.command("extract_metrics")(extract_metrics)


def invoke(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cells") / "demo"
    assert "4 images" in invoke("synth", "--output", folder, "--count", 4, "--size", 96, "--seed", 1)
    rows = [f"{name},images/{name}.tif,masks/{name}_mask.tif" for name in ("cells_001", "cells_002")]
    (folder / "all.csv").write_text("basename,image_path,mask_path\n" + "\n".join(rows) + "\n")
    return folder


def test_truth_as_prediction_is_perfect(cells: Path, tmp_path: Path) -> None:
    options = ("--gt-manifest", cells / "all.csv", "--data-root", cells, "--separation", "none")
    out = tmp_path / "out"
    text = invoke("quantify_objects", "--pred-mask-dir", cells / "masks", "--output-dir", out, *options)
    assert "1.000" in text
    scores = pd.read_csv(tmp_path / "out/instance_eval.csv")
    assert scores["basename"].tolist() == ["cells_001", "cells_002"]
    assert (scores["f1"] == 1).all()


def test_measurements_alone(cells: Path, tmp_path: Path) -> None:
    options = ("--pred-mask-dir", cells / "masks", "--output-dir", tmp_path, "--pixel-size", 0.5)
    invoke("extract_metrics", *options)
    objects = pd.read_csv(tmp_path / "all_objects.csv")
    assert (objects["area_um2"] == objects["area"] / 4).all()
    assert not (tmp_path / "instance_eval.csv").exists()
    invoke("extract_metrics", *options, "--min-object-area", 300)
    assert 0 < len(pd.read_csv(tmp_path / "all_objects.csv")) < len(objects)


def test_every_separation_option_reaches_the_objects(cells: Path, tmp_path: Path) -> None:
    for path in cells.glob("labels/*.tif"):
        label = (tifffile.imread(path) > 0).astype(np.uint8)  # touching cells are one piece
        write_mask(tmp_path / "joined" / path.name.replace("_labels", "_pred_mask"), label)

    def count(*options: object) -> int:
        invoke("extract_metrics", "--pred-mask-dir", tmp_path / "joined", "--output-dir", tmp_path / "out", *options)
        return len(pd.read_csv(tmp_path / "out/all_objects.csv"))

    eager = ("--min-object-area", 10, "--seed-smoothing", 0, "--seed-depth", 0.05)
    assert count(*eager) > count(*eager, "--separation", "none")
    assert count(*eager) > count(*eager, "--seed-depth", 0.9)
    assert count(*eager) > count(*eager, "--seed-smoothing", 3)
    assert count("--background-objects", "--separation", "none") != count("--separation", "none")


def test_diagonal_neighbours_are_one_object_unless_asked_otherwise(tmp_path: Path) -> None:
    write_mask(tmp_path / "corner_mask.tif", np.kron(np.eye(2, dtype=np.uint8), np.ones((12, 12), np.uint8)))
    options = ("--pred-mask-dir", tmp_path, "--output-dir", tmp_path / "out", "--separation", "none")
    assert "out: 1 objects" in invoke("extract_metrics", *options)
    assert "out: 2 objects" in invoke("extract_metrics", *options, "--connectivity", 4)


def test_a_mask_that_cannot_be_read_is_named_and_the_others_are_done(cells: Path, tmp_path: Path) -> None:
    shutil.copytree(cells / "masks", tmp_path / "masks")
    (tmp_path / "masks/cells_002_mask.tif").write_bytes(b"II*\0")
    command = ["quantify_objects", "--pred-mask-dir", str(tmp_path / "masks"), "--output-dir", str(tmp_path / "out")]
    result = CliRunner().invoke(app, command)
    assert str(result.exception) == "quantify: 1 of 4 failed (cells_002)"
    assert result.stderr.startswith(f"error: {tmp_path}/masks/cells_002_mask.tif: expected a TIFF")
    assert pd.read_csv(tmp_path / "out/all_objects.csv")["basename"].nunique() == 3
