"""The folder of generated samples."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from segwheel.domain.synthesis.cubes import SeismicSet, write_set
from segwheel.domain.synthesis.recipe import SeismicRecipe
from segwheel.errors import FormatError, InputError
from segwheel.formats import raw_cube

SMALL = SeismicSet((24, 16, 20), 3, SeismicRecipe(faults=(2, 2)))
NAMES = ("rgt", "dhr", "fsem", "fdip", "fstrike")


def hashes(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*.bin")}


def test_files_are_those_of_the_published_layout_and_hold_the_sample(tmp_path: Path) -> None:
    assert list(write_set(tmp_path / "set", SMALL, 2)) == [0, 1]
    made, damaged = SMALL.sample(1)
    data, target = tmp_path / "set" / "data", tmp_path / "set" / "target"
    assert len(raw_cube.list_samples(data, ("image", *NAMES))) == 2
    assert len(raw_cube.list_samples(target, NAMES)) == 2
    assert (raw_cube.read(data / "1.bin", SMALL.shape) == made.image).all()
    for name in NAMES:
        assert (raw_cube.read(target / f"1_{name}.bin", SMALL.shape) == made.targets[name]).all()
        assert (raw_cube.read(data / f"1_{name}.bin", SMALL.shape) == damaged[name]).all()


def test_the_depth_axis_is_fastest_in_the_file(tmp_path: Path) -> None:
    list(write_set(tmp_path / "set", SMALL, 1))
    values = np.fromfile(tmp_path / "set" / "target" / "0_rgt.bin", "<f4")
    assert (values[:24] == SMALL.sample(0)[0].rgt[:, 0, 0]).all()


def test_a_section_has_no_strike_and_refinement_can_be_left_out(tmp_path: Path) -> None:
    list(write_set(tmp_path / "set", SeismicSet((32, 24), 0, SeismicRecipe(), refinement=False), 1))
    found = sorted(hashes(tmp_path / "set"))
    assert found == ["data/0.bin", *(f"target/0_{name}.bin" for name in ("dhr", "fdip", "fsem", "rgt"))]


def test_a_folder_is_the_same_however_it_came_about(tmp_path: Path) -> None:
    list(write_set(tmp_path / "at once", SMALL, 3, workers=2))
    list(write_set(tmp_path / "in turns", SMALL, 1))
    (tmp_path / "in turns" / "target" / "0_rgt.bin").unlink()
    kept = tmp_path / "in turns" / "recipe.json"
    before = kept.stat().st_mtime_ns
    list(write_set(tmp_path / "in turns", SMALL, 3))
    assert hashes(tmp_path / "at once") == hashes(tmp_path / "in turns")
    assert len(set(hashes(tmp_path / "at once").values())) == 3 * 11, "every sample differs"
    assert kept.stat().st_mtime_ns == before


def test_samples_that_are_whole_are_not_made_again(tmp_path: Path) -> None:
    list(write_set(tmp_path / "set", SMALL, 1))
    marked = tmp_path / "set" / "data" / "0.bin"
    marked.write_bytes(bytes(marked.stat().st_size))
    list(write_set(tmp_path / "set", SMALL, 1))
    assert not any(marked.read_bytes())


def test_a_folder_of_another_set_is_refused(tmp_path: Path) -> None:
    list(write_set(tmp_path / "set", SMALL, 1))
    before = hashes(tmp_path / "set")
    for other in (SeismicSet((24, 16, 20), 4, SMALL.recipe), SeismicSet((24, 16, 20), 3, SeismicRecipe())):
        with pytest.raises(
            FormatError, match=r"recipe\.json: expected samples of the same .*, found another (seed|recipe);"
        ):
            list(write_set(tmp_path / "set", other, 1))
    assert hashes(tmp_path / "set") == before


def test_a_folder_with_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(FormatError, match="expected a new or empty folder"):
        list(write_set(tmp_path, SMALL, 1))
    (tmp_path / "recipe.json").write_text("{")
    with pytest.raises(FormatError, match="expected JSON"):
        list(write_set(tmp_path, SMALL, 1))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["recipe.json", "thesis.txt"]


def test_a_shape_that_cannot_be_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found 24 x 2 x 20"):
        list(write_set(tmp_path / "set", SeismicSet((24, 2, 20), 0, SeismicRecipe()), 1))
    assert not (tmp_path / "set").exists()


def test_the_note_says_what_was_asked_for(tmp_path: Path) -> None:
    list(write_set(tmp_path / "set", SMALL, 1))
    note = json.loads((tmp_path / "set" / "recipe.json").read_text())
    assert (note["shape"], note["seed"], note["recipe"]["faults"]) == ([24, 16, 20], 3, [2, 2])
