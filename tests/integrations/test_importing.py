from __future__ import annotations

import difflib
import shutil
from pathlib import Path

import numpy as np
import pytest

from segwheel.domain.corrections import read_corrections
from segwheel.domain.index import read_index
from segwheel.errors import InputError, ManifestError, ParamsError
from segwheel.formats.tiff import write_image, write_mask
from segwheel.integrations.importing import Plan, carry_out, plan_import
from segwheel.params.images import IngestParams
from segwheel.params.yaml_file import read_yaml
from segwheel.stages.ingest import ingest

PARAMS = """\
# what this repository knows
flywheels: [microscopy, seismic] # a list

# to start from
new_flywheel:
  axes: [y, x]
  ingest:
    generate: # for the demo
      labelled: 6
  train:
    learning_rate: 1e-4 # a rate
    encoder_weights: null
    name: 'quoted'

# shipped: faults
seismic:
  axes:
    - depth
    - inline
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "repository").mkdir()
    (tmp_path / "repository" / "params.yaml").write_text(PARAMS)
    return tmp_path / "repository"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "my images"
    rng = np.random.default_rng(0)
    for name in ("a", "b ü", "c"):
        write_image(folder / "images" / f"{name}.tif", rng.integers(0, 256, (8, 9), dtype=np.uint8))
    for name in ("a", "b ü"):
        write_mask(folder / "masks" / f"{name}_mask.tif", (rng.random((8, 9)) > 0.5).astype(np.uint8))
    return folder


class Added:
    """Stands in for DVC: remembers what it was given."""

    def __init__(self) -> None:
        self.calls: list[tuple[Path, Path]] = []

    def __call__(self, root: Path, path: Path) -> None:
        assert (root / path).is_dir()
        self.calls.append((root, path))


def test_a_folder_becomes_a_flywheel(root: Path, folder: Path) -> None:
    added = Added()
    paths = carry_out(root, plan_import(root, "cells", folder), added, 0.25)
    assert added.calls == [(root, Path("data/cells/raw"))]
    assert Path("data/cells/index.csv") in paths
    entries = read_index(root / "data/cells/index.csv")
    assert [(one.basename, one.split, bool(one.labels)) for one in entries] == [
        ("a", "", True), ("b ü", "", True), ("c", "pool", False),
    ]  # fmt: skip
    assert entries[1].image.path == "raw/images/b ü.tif"
    assert entries[0].pixel_size_um == 0.25
    copied = root / "data/cells/raw/masks/b ü_mask.tif"
    assert copied.read_bytes() == (folder / "masks" / "b ü_mask.tif").read_bytes()
    assert read_corrections(root / "data/cells/corrections.csv") == []


def test_only_the_new_flywheel_is_new_in_params(root: Path, folder: Path) -> None:
    carry_out(root, plan_import(root, "cells", folder), Added())
    text = (root / "params.yaml").read_text()
    changes = [line for line in difflib.ndiff(PARAMS.splitlines(), text.splitlines()) if line[0] in "+-"]
    assert [line for line in changes if line[0] == "-"] == ["- flywheels: [microscopy, seismic] # a list"]
    assert "+ flywheels: [microscopy, seismic, cells] # a list" in changes
    params = read_yaml(root / "params.yaml")
    assert params["cells"] == params["new_flywheel"] | {"ingest": {"generate": None}}
    assert text.count("# shipped: faults") == 1
    carry_out(root, plan_import(root, "more", folder), Added())
    assert read_yaml(root / "params.yaml")["flywheels"] == ["microscopy", "seismic", "cells", "more"]


def test_the_template_may_come_last(root: Path, folder: Path) -> None:
    path = root / "params.yaml"
    path.write_text("flywheels:\n  - microscopy\nnew_flywheel:\n  ingest: {generate: null} # own\n# the end\n")
    carry_out(root, plan_import(root, "cells", folder), Added())
    assert path.read_text() == (
        "flywheels:\n  - microscopy\n  - cells\nnew_flywheel:\n  ingest: {generate: null} # own\n# the end\n"
        "\ncells:\n  ingest: {generate: null} # own\n"
    )


def test_splits_are_taken_over(root: Path, folder: Path) -> None:
    splits = folder / "splits.csv"
    splits.write_text("name,split,group\na,labelled,g\nb ü,pool,g\nc,gap,\n", encoding="utf-8")
    carry_out(root, plan_import(root, "cells", folder, splits), Added())
    entries = read_index(root / "data/cells/index.csv")
    assert [(one.split, one.group) for one in entries] == [("train", "g"), ("pool", "g"), ("unused", "")]
    splits.write_text("name,split\na,labelled\n")
    with pytest.raises(ManifestError, match="found no row for b ü, c"):
        plan_import(root, "more", folder, splits)


def test_an_image_to_learn_from_needs_a_mask(root: Path, folder: Path) -> None:
    splits = folder / "splits.csv"
    splits.write_text("name,split\na,pool\nb ü,pool\nc,test\n", encoding="utf-8")
    (finding,) = plan_import(root, "cells", folder, splits).findings
    assert "c_mask.tif: no such mask" in finding.message


def tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_one_spoilt_file_imports_nothing(root: Path, folder: Path) -> None:
    (folder / "images" / "c.tif").write_bytes(b"II*\0")
    before = tree(root)
    plan = plan_import(root, "cells", folder)
    with pytest.raises(InputError, match="import cells: 1 of 3 samples cannot be used, nothing was imported"):
        carry_out(root, plan, Added())
    assert tree(root) == before


@pytest.mark.parametrize("name", ["", "1cells", "my-cells", "a b", "../x", "zellen_ü", "class"])
def test_names_that_are_no_identifier(root: Path, folder: Path, name: str) -> None:
    with pytest.raises(InputError, match="flywheel name: expected letters"):
        plan_import(root, name, folder)


@pytest.mark.parametrize("name", ["microscopy", "flywheels"])
def test_names_that_are_taken(root: Path, folder: Path, name: str) -> None:
    with pytest.raises(ParamsError, match=f"expected a new name, found {name}"):
        plan_import(root, name, folder)


@pytest.mark.parametrize(
    "text", ["", "flywheels: microscopy\n", "flywheels: []\n", "flywheels: []\nnew_flywheel: {}\n"]
)
def test_params_without_a_template(root: Path, folder: Path, text: str) -> None:
    (root / "params.yaml").write_text(text)
    with pytest.raises(ParamsError):
        plan_import(root, "cells", folder)


def test_an_interrupted_import_goes_on(root: Path, folder: Path) -> None:
    def full(*_: Path) -> None:
        raise OSError(28, "No space left on device")

    plan = plan_import(root, "cells", folder)
    with pytest.raises(OSError, match="No space left"):
        carry_out(root, plan, full)
    assert (root / "params.yaml").read_text() == PARAMS
    raw = root / "data/cells/raw/images"
    (raw / "b ü.tif").unlink()
    (raw / ".c.tif.0123abcd.part.tif").write_bytes(b"half")
    kept = (raw / "a.tif").stat()
    carry_out(root, plan_import(root, "cells", folder), Added())
    assert (raw / "a.tif").stat().st_mtime_ns == kept.st_mtime_ns
    assert sorted(path.name for path in raw.iterdir()) == ["a.tif", "b ü.tif", "c.tif"]
    assert "cells" in read_yaml(root / "params.yaml")["flywheels"]


def test_other_files_in_the_way_are_not_mixed_in(root: Path, folder: Path) -> None:
    write_image(root / "data/cells/raw/images/old.tif", np.zeros((3, 4), np.uint8))
    with pytest.raises(InputError, match=r"old\.tif: expected an empty folder"):
        carry_out(root, plan_import(root, "cells", folder), Added())
    assert (root / "params.yaml").read_text() == PARAMS


def test_what_was_imported_can_be_ingested(root: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    carry_out(root, plan_import(root, "cells", folder), Added())
    shutil.rmtree(folder)
    monkeypatch.chdir(root)
    home = Path("data/cells")
    tables = (home / "index.csv", home / "corrections.csv", home / "samples", home / "all.csv", home / "qc.csv")
    result = ingest(*tables, IngestParams(generate=None))
    result.raise_for_errors("ingest")
    assert [row["basename"] for row in result.rows] == ["a", "b ü", "c"]


def test_the_real_sets_fit_their_splits(root: Path, shared_data: Path) -> None:
    folder = shared_data / "microscopy" / "em_membranes"
    plan = plan_import(root, "em", folder, folder / "splits.csv")
    assert isinstance(plan, Plan)
    assert plan.findings == []
    words = [pair.split for pair in plan.pairs]
    assert [words.count(word) for word in ("train", "pool", "test", "unused")] == [6, 15, 7, 2]
