from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segwheel.errors import FormatError, InputError, MissingError
from segwheel.review import cubes


def write(folder: Path, sizes: dict[str, int]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in sizes.items():
        np.zeros(values, dtype="<f4").tofile(folder / name)
    return folder


def test_samples_are_counted_without_their_companions(tmp_path: Path) -> None:
    folder = write(tmp_path, {"0.bin": 24, "1.bin": 24, "3.bin": 7, "0_rgt.bin": 5, "notes.txt": 1})
    assert cubes.count_samples(folder) == 2
    assert cubes.count_values(folder) == 24


def test_what_is_no_folder_of_samples_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="nowhere: no such folder"):
        cubes.count_samples(tmp_path / "nowhere")
    with pytest.raises(MissingError, match=r"0.bin: no such cube"):
        cubes.count_samples(write(tmp_path, {"1.bin": 4}))
    with pytest.raises(FormatError, match=r"1.bin: expected 96 bytes, found 16"):
        cubes.count_samples(write(tmp_path / "a", {"0.bin": 24, "1.bin": 4}))
    with pytest.raises(FormatError, match="found 0"):
        cubes.count_samples(write(tmp_path / "b", {"0.bin": 0}))
    (write(tmp_path / "c", {}) / "0.bin").write_bytes(b"12345")
    with pytest.raises(FormatError, match="found 5"):
        cubes.count_samples(tmp_path / "c")


def test_companions_must_be_there_and_as_large(tmp_path: Path) -> None:
    folder = write(tmp_path, {"0_rgt.bin": 8, "1_rgt.bin": 8, "0_dhr.bin": 8, "1_dhr.bin": 7})
    cubes.check_companions(folder, 2, ["rgt"], 8)
    with pytest.raises(MissingError, match=r"2_rgt.bin"):
        cubes.check_companions(folder, 3, ["rgt"], 8)
    with pytest.raises(FormatError, match=r"1_dhr.bin: expected 32 bytes, found 28"):
        cubes.check_companions(folder, 2, ["rgt", "dhr"], 8)


@given(st.integers(1, 60), st.sampled_from([2, 3]))
def test_equal_sides_are_guessed(tmp_path_factory: pytest.TempPathFactory, side: int, axes: int) -> None:
    folder = tmp_path_factory.mktemp("cubes")
    with (folder / "0.bin").open("wb") as file:
        file.truncate(4 * side**axes)
    assert [cubes.guess_side(folder, [side] * known, axes) for known in range(axes)] == [side] * axes


def test_last_side_and_squares_follow_from_what_is_known(tmp_path: Path) -> None:
    folder = write(tmp_path, {"0.bin": 10 * 6 * 6})
    assert cubes.guess_side(folder, [], 3) is None
    assert cubes.guess_side(folder, [10], 3) == 6
    assert cubes.guess_side(folder, [10, 12], 3) == 3
    assert cubes.guess_side(folder, [7], 3) is None


def test_sides_in_a_name_count_when_they_fit(tmp_path: Path) -> None:
    folder = write(tmp_path / "made_4x8x2" / "2x2x9" / "data_train", {"0.bin": 64})
    assert cubes.guess_side(folder, [], 3) == 4
    assert cubes.guess_side(folder, [4], 3) == 8
    assert cubes.guess_side(folder, [4, 8], 3) == 2
    assert cubes.guess_side(folder, [16], 3) == 2


def test_sides_that_cannot_be_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, {"0.bin": 24})
    cubes.check_sides(folder, [4], 3)
    cubes.check_sides(folder, [4, 3, 2], 3)
    with pytest.raises(InputError, match=r"holds 24 values: 5 = 5 does not divide that number"):
        cubes.check_sides(folder, [5], 3)
    with pytest.raises(InputError, match=r"4 x 3 = 12 is not that number"):
        cubes.check_sides(folder, [4, 3], 2)


def test_a_folder_with_samples_is_found_nearest_first(tmp_path: Path) -> None:
    assert cubes.find_folder(tmp_path, "data_train") is None
    write(tmp_path / "a" / "b" / "c" / "data_train", {"0.bin": 1})
    assert cubes.find_folder(tmp_path, "data_train") == tmp_path / "a" / "b" / "c" / "data_train"
    write(tmp_path / "z" / "data_train", {"0.bin": 1})
    write(tmp_path / "data_train", {"1.bin": 1})
    assert cubes.find_folder(tmp_path, "data_train") == tmp_path / "z" / "data_train"
