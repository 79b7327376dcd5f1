from __future__ import annotations

from pathlib import Path

import pytest

from segwheel.errors import InputError
from segwheel.review import answers


@pytest.mark.parametrize(("text", "value"), [("7", "7"), ("1_000", "1000"), ("007", "7")])
def test_whole_numbers(text: str, value: str) -> None:
    assert answers.whole_number(1)(text, {}) == value


@pytest.mark.parametrize("text", ["0", "-3", "2.5", "1e3", "four", "10001", "_"])
def test_what_is_no_whole_number_in_range_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="from 1 to 10000"):
        answers.whole_number(1, lambda _: 10000)(text, {})


@pytest.mark.parametrize("text", ["0", "1", "-1e-4", "nan", "inf", "fast"])
def test_learning_rate_is_between_0_and_1(text: str) -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        answers.rate(text, {})


def test_learning_rate_is_kept_as_written() -> None:
    assert answers.rate("0.5e-4", {}) == "0.5e-4"


def test_one_task_at_least() -> None:
    nothing = {"rgt": "False", "dhr": "False"}
    assert answers.last_of_tasks("y", nothing) == "True"
    assert answers.last_of_tasks("no", {"rgt": "False", "dhr": "True"}) == "False"
    with pytest.raises(InputError, match="at least one"):
        answers.last_of_tasks("n", nothing)
    with pytest.raises(InputError, match="True or False"):
        answers.last_of_tasks("perhaps", nothing)


def test_output_must_not_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="found a file"):
        answers.output_folder(str(tmp_path / "file"), {})
    assert answers.output_folder(str(tmp_path / "new" / "folder"), {}) == str(tmp_path / "new" / "folder")
    assert not (tmp_path / "new").exists()
