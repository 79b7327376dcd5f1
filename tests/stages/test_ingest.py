from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

import segwheel
from segwheel.domain import index
from segwheel.domain.corrections import Correction, write_corrections
from segwheel.domain.folders import apply_splits, find_pairs
from segwheel.domain.manifest import read_manifest
from segwheel.domain.quality import ValidationResult
from segwheel.errors import FormatError, ManifestError, MissingError, PartialError
from segwheel.formats.files import content_md5
from segwheel.formats.tiff import write_image, write_mask
from segwheel.params.images import GenerateParams, IngestParams
from segwheel.stages.ingest import ingest, validate

SIZE = (24, 32)


def add_sample(folder: Path, name: str, seed: int = 0, mask: bool = True) -> None:
    rng = np.random.default_rng([seed, *name.encode()])
    write_image(folder / "images" / f"{name}.tif", rng.integers(0, 256, SIZE, dtype=np.uint8))
    if mask:
        write_mask(folder / "masks" / f"{name}_mask.tif", (rng.random(SIZE) > 0.8).astype(np.uint8))


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`working` with three sound samples, in the working directory."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b 2", "ц ü"):
        add_sample(tmp_path / "working", name)
    return tmp_path / "working"


def test_sound_pairs_make_a_manifest(folder: Path, tmp_path: Path) -> None:
    result = validate(Path("working"), Path("out"))
    result.raise_for_errors("validate_dataset")
    samples = read_manifest(tmp_path / "out" / "all.csv", targets=("mask",))
    assert [sample.basename for sample in samples] == ["a", "b 2", "ц ü"]
    assert samples[1].image_path == folder / "images" / "b 2.tif"
    assert all(sample.image_path.is_file() and sample.targets["mask"].is_file() for sample in samples)
    rows = table(tmp_path / "out" / "all.csv")
    assert rows[0]["image_path"] == "working/images/a.tif"
    assert rows[0]["image_md5"] == content_md5(folder / "images" / "a.tif")
    assert float(rows[0]["mask_coverage"]) > 0
    assert [row["status"] for row in table(tmp_path / "out" / "qc_summary.csv")] == ["ok"] * 3


def test_outside_of_the_working_directory_paths_are_absolute(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    validate(folder, Path("out"))
    assert table(Path("out/all.csv"))[0]["image_path"] == str(folder / "images" / "a.tif")
    assert len(read_manifest(Path("out/all.csv"), data_root=tmp_path)) == 3


def truncated(folder: Path) -> None:
    path = folder / "images" / "a.tif"
    path.write_bytes(path.read_bytes()[:300])


def truncated_mask(folder: Path) -> None:
    path = folder / "masks" / "a_mask.tif"
    path.write_bytes(path.read_bytes()[:150])


def smaller_mask(folder: Path) -> None:
    write_mask(folder / "masks" / "a_mask.tif", np.ones((24, 31), np.uint8))


def other_values(folder: Path) -> None:
    write_image(folder / "masks" / "a_mask.tif", np.full(SIZE, 3, np.uint8))


def no_mask(folder: Path) -> None:
    (folder / "masks" / "a_mask.tif").unlink()


def no_image(folder: Path) -> None:
    (folder / "images" / "a.tif").unlink()


def twice(folder: Path) -> None:
    shutil.copy(folder / "images" / "a.tif", folder / "images" / "a.tiff")


def empty_mask(folder: Path) -> None:
    write_mask(folder / "masks" / "a_mask.tif", np.zeros(SIZE, np.uint8))


def not_finite(folder: Path) -> None:
    write_image(folder / "images" / "a.tif", np.full(SIZE, np.nan, np.float32))


def several_pages(folder: Path) -> None:
    tifffile.imwrite(folder / "images" / "a.tif", np.zeros((2, *SIZE), np.uint8), photometric="minisblack")


@pytest.mark.parametrize(
    ("spoil", "file", "said"),
    [
        (truncated, "images/a.tif", "found a truncated file of 300 bytes"),
        (truncated_mask, "masks/a_mask.tif", "found a damaged file of 150 bytes"),
        (
            smaller_mask,
            "masks/a_mask.tif",
            "expected a mask as large as its image, 24 x 32 (height x width), found 24 x 31",
        ),
        (other_values, "masks/a_mask.tif", "found values 3"),
        (no_mask, "masks/a_mask.tif", "no such mask"),
        (no_image, "images/a.tif", "no such image"),
        (twice, "images", "found a.tif and a.tiff"),
        (empty_mask, "masks/a_mask.tif", "found an all-empty mask"),
        (not_finite, "images/a.tif", "found 768 NaN or infinite pixels"),
        (several_pages, "images/a.tif", "found 2 pages"),
    ],
)
def test_a_spoilt_sample_is_named_and_left_out(folder: Path, tmp_path: Path, spoil, file: str, said: str) -> None:  # type: ignore[no-untyped-def]
    spoil(folder)
    result = validate(Path("working"), Path("out"))
    (finding,) = result.findings
    assert finding.message.startswith(f"working/{file}: ")
    assert said in finding.message
    assert "\n" not in finding.message
    assert [row["basename"] for row in table(tmp_path / "out" / "all.csv")] == ["b 2", "ц ü"]
    assert [row["status"] for row in table(tmp_path / "out" / "qc_summary.csv")] == ["error", "ok", "ok"]
    with pytest.raises(PartialError, match=r"^validate_dataset: 1 of 3 failed \(a\)$"):
        result.raise_for_errors("validate_dataset")


def test_every_problem_is_named(folder: Path) -> None:
    truncated(folder)
    other_values(folder)
    (folder / "masks" / "b 2_mask.tif").unlink()
    (folder / "images" / "notes.txt").touch()
    result = validate(Path("working"), Path("out"))
    assert len(result.findings) == 4
    with pytest.raises(PartialError, match="3 of 4 failed"):
        result.raise_for_errors("validate_dataset")


def test_zero_and_one_is_accepted_and_said(folder: Path) -> None:
    path = folder / "masks" / "a_mask.tif"
    write_image(path, (tifffile.imread(path) // 255).astype(np.uint8))
    result = validate(Path("working"), Path("out"))
    result.raise_for_errors("validate_dataset")
    assert [finding.status for finding in result.findings] == ["warning"]
    assert len(result.rows) == 3


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="images: no such folder"):
        validate(tmp_path, tmp_path / "out")
    (tmp_path / "images").mkdir()
    with pytest.raises(FormatError, match="found an empty folder"):
        validate(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_full_disk_leaves_what_was_there(folder: Path, tmp_path: Path) -> None:
    """A process that may write no file over 200 bytes fails, as on a full disk, and leaves the old table."""
    validate(Path("working"), Path("out"))
    before = (tmp_path / "out" / "all.csv").read_bytes()
    add_sample(folder, "d")
    program = (
        "import resource, signal; from pathlib import Path; from segwheel.stages.ingest import validate\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))\n"
        "validate(Path('working'), Path('out'))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(segwheel.__file__).parents[1])}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "File too large" in done.stderr
    assert (tmp_path / "out" / "all.csv").read_bytes() == before
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["all.csv", "qc_summary.csv"]


IMPORTED = IngestParams(generate=None)


def places(home: Path) -> tuple[Path, Path, Path, Path, Path]:
    return home / "index.csv", home / "corrections.csv", home / "samples", home / "all.csv", home / "qc.csv"


class Flywheel:
    """An imported flywheel of five images in `data/cells`, without DVC."""

    def __init__(self, root: Path) -> None:
        self.home = root / "data" / "cells"
        for name in ("l1", "l2", "p1", "p2", "t1", "u1"):
            add_sample(self.home / "raw", name)
        rows = "l1,labelled,g1\nl2,labelled,\np1,pool,g1\np2,pool,\nt1,test,g2\nu1,gap,\n"
        (root / "splits.csv").write_text("name,split,group\n" + rows)
        pairs, _ = find_pairs(self.home / "raw")
        pairs = apply_splits(pairs, root / "splits.csv")
        index.write_index(
            self.home / "index.csv", [index.entry(pair, self.home, {"pixel_size_um": "0.5"}) for pair in pairs]
        )
        write_corrections(self.home / "corrections.csv", [])

    def correct(self, *names: str, label: int = 1, **changes: object) -> None:
        corrections = []
        for name in names:
            path = self.home / "corrections" / f"{name}_mask.tif"
            write_mask(path, np.full(SIZE, label, np.uint8))
            values: dict[str, object] = {
                "basename": name, "axis": "", "index": None, "mask_path": f"corrections/{name}_mask.tif",
                "mask_md5": content_md5(path), "annotator": "me", "corrected_at": "2026-01-01T00:00:00Z",
                "lead_time_s": None, "outcome": "edited", "model_version": "", "pixels_changed": 3, "iteration": 1,
            }  # fmt: skip
            corrections.append(Correction(**(values | changes)))  # type: ignore[arg-type]
        write_corrections(self.home / "corrections.csv", corrections)

    def ingest(self) -> ValidationResult:
        home = Path("data/cells")
        return ingest(*places(home), IMPORTED)

    def rows(self) -> dict[str, dict[str, str]]:
        return {row["basename"]: row for row in table(self.home / "all.csv")}


@pytest.fixture
def cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Flywheel:
    monkeypatch.chdir(tmp_path)
    return Flywheel(tmp_path)


def test_pool_masks_are_hidden_and_nothing_is_copied(cells: Flywheel) -> None:
    cells.ingest().raise_for_errors("ingest")
    rows = cells.rows()
    assert {name: row["split"] for name, row in rows.items()} == {
        "l1": "train", "l2": "train", "p1": "pool", "p2": "pool", "t1": "test", "u1": "unused",
    }  # fmt: skip
    assert {name for name, row in rows.items() if row["mask_path"]} == {"l1", "l2", "t1"}
    assert not any(rows["p1"][column] for column in ("mask_coverage", "object_count", "mask_md5"))
    assert rows["l1"]["image_path"] == "data/cells/raw/images/l1.tif"
    assert (rows["l1"]["group"], rows["l2"]["group"], rows["l1"]["pixel_size_um"]) == ("g1", "l2", "0.5")
    assert [path.name for path in (cells.home / "samples").iterdir()] == ["index.csv"]


def test_a_correction_labels_a_pool_sample(cells: Flywheel) -> None:
    cells.correct("p1")
    cells.ingest().raise_for_errors("ingest")
    rows = cells.rows()
    assert (rows["p1"]["split"], rows["p1"]["corrected"]) == ("train", "1")
    assert rows["p1"]["mask_path"] == "data/cells/corrections/p1_mask.tif"
    assert rows["p1"]["mask_coverage"] == "1.0"
    assert not rows["p2"]["mask_path"]


def test_a_corrected_test_sample_is_still_a_test(cells: Flywheel) -> None:
    cells.correct("t1")
    cells.ingest()
    assert cells.rows()["t1"]["split"] == "test"
    assert cells.rows()["t1"]["mask_path"] == "data/cells/corrections/t1_mask.tif"


def test_a_person_may_have_found_nothing(cells: Flywheel) -> None:
    cells.correct("p1", label=0)
    cells.ingest().raise_for_errors("ingest")
    assert cells.rows()["p1"]["object_count"] == "0"


def test_raw_data_that_are_not_there(cells: Flywheel) -> None:
    shutil.rmtree(cells.home / "raw")
    with pytest.raises(MissingError, match=r"l1\.tif: no such file; `dvc pull data/cells/raw\.dvc`"):
        cells.ingest()
    assert not (cells.home / "all.csv").exists()


def test_corrections_that_are_not_there(cells: Flywheel) -> None:
    cells.correct("p1")
    shutil.rmtree(cells.home / "corrections")
    with pytest.raises(MissingError, match=r"p1_mask\.tif: no such file; `dvc pull data/cells/corrections\.dvc`"):
        cells.ingest()


def test_changed_content_is_an_error_of_that_sample(cells: Flywheel) -> None:
    add_sample(cells.home / "raw", "l1", seed=9)
    result = cells.ingest()
    with pytest.raises(PartialError, match=r"ingest: 1 of 6 failed \(l1\)"):
        result.raise_for_errors("ingest")
    assert all("expected MD5" in finding.message for finding in result.findings)
    assert "l1" not in cells.rows()
    assert "l2" in cells.rows()


def test_a_sample_in_training_needs_a_mask(cells: Flywheel) -> None:
    entries = index.read_index(cells.home / "index.csv")
    bare = [replace(one, labels={}) for one in entries]
    index.write_index(cells.home / "index.csv", bare)
    result = cells.ingest()
    assert {finding.basename for finding in result.findings} == {"l1", "l2", "t1"}
    assert "l1.tif: expected a mask, its split is train, found none" in result.findings[0].message


@pytest.mark.parametrize(
    ("names", "changes", "said"),
    [
        (["l1"], {"axis": "inline", "index": 3}, "found a slice, l1 inline 3"),
        (["stranger"], {}, "found stranger"),
        (["l1"], {"mask_path": "../../secret.tif"}, "inside the data root"),
    ],
)
def test_corrections_that_do_not_fit(cells: Flywheel, names: list[str], changes: dict[str, object], said: str) -> None:
    cells.correct(*names, **changes)
    with pytest.raises(ManifestError, match=said):
        cells.ingest()


def test_a_generated_flywheel_goes_the_same_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    home = Path("data/demo")
    index.write_index(home / "index.csv", [])
    write_corrections(home / "corrections.csv", [])
    with pytest.raises(ManifestError, match="expected samples, found no row"):
        ingest(*places(home), IMPORTED)
    generated = IngestParams(generate=GenerateParams(count=4, size=64, seed=1))
    for _ in range(2):  # the second time over what the first left
        ingest(*places(home), generated).raise_for_errors("ingest")
    rows = table(home / "all.csv")
    assert rows[0]["image_path"] == "data/demo/samples/images/cells_001.tif"
    assert [row["split"] for row in rows] == ["train", "pool", "pool", "test"]
    assert [bool(row["mask_path"]) for row in rows] == [True, False, False, True]
    kept = index.read_index(home / "samples" / "index.csv")
    assert [set(one.labels) for one in kept] == [{"mask"}] * 4


def test_a_row_whose_path_leaves_the_folder(cells: Flywheel) -> None:
    path = cells.home / "index.csv"
    path.write_text(path.read_text().replace("raw/images/l2.tif", "../../../l2.tif"))
    with pytest.raises(ManifestError, match=r"index\.csv:3: expected a path inside"):
        cells.ingest()


def test_the_real_sets_are_sound(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "microscopy" / "em_membranes"
    result = validate(folder, tmp_path)
    assert (len(result.rows), result.findings) == (30, [])
    given = {row["name"]: float(row["membrane_coverage"]) for row in table(folder / "splits.csv")}
    for row in result.rows:
        assert row["mask_coverage"] == pytest.approx(given[str(row["basename"])], abs=5e-4)
