from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from segwheel.cli.compare import compare
from segwheel.errors import MissingError
from segwheel.integrations import comparison
from segwheel.integrations.comparison import Iteration

app = typer.Typer()
app.command()(compare)

ROWS = [
    Iteration(
        number,
        f"run{number}",
        {"train_images": 5 + number, "corrections": number - 1},
        {("", "dice"): 0.7 + number / 20, ("[small] cells", "object_f1"): 0.25},
        {("Zelle ü [1]", "dice"): 0.5 + number / 10, ("b", "dice"): 0.5},
        {"train": 60.04},
    )
    for number in (1, 2)
]

VOLUMES = [
    Iteration(
        number,
        f"run{number}",
        means={("", "fault_dice"): 0.5, ("", "rgt_mae"): 0.1 / number},
        images={("a", "fault_dice"): 0.5, ("a", "rgt_mae"): 0.1 / number},
    )
    for number in (1, 2)
]


@pytest.fixture(autouse=True)
def two_iterations(monkeypatch: pytest.MonkeyPatch) -> None:
    def iterations(flywheel: str, tracking_uri: str, root: Path) -> list[Iteration]:
        if flywheel == "seismic":
            return VOLUMES
        if flywheel != "cells":
            raise MissingError(flywheel, what=f"flywheel in {tracking_uri} of {root}")
        return ROWS

    monkeypatch.setattr(comparison, "iterations", iterations)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "100"}, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_table_shows_iterations_side_by_side() -> None:
    lines = [[cell.strip() for cell in line.strip("│┃").split("│")] for line in run("cells").splitlines()]
    assert ["labelled images", "6", "7"] in lines
    assert ["of them corrections", "0", "1"] in lines
    assert ["Dice", "0.750", "0.800"] in lines
    assert ["object F1 [small] cells", "0.250", "0.250"] in lines
    assert ["Dice Zelle ü [1]", "0.600", "0.700"] in lines
    assert ["train", "60.0", "60.0"] in lines
    assert ["1 to 2", "Dice", "+0.050", "-0.585 to +0.685", "2"] in lines


def test_scores_of_volumes_say_which_way_is_better() -> None:
    text = run("seismic")
    lines = [[cell.strip() for cell in line.strip("│┃").split("│")] for line in text.splitlines()]
    assert ["fault Dice", "0.500", "0.500"] in lines
    assert ["RGT error ↓", "0.100", "0.050"] in lines
    assert ["1 to 2", "RGT error ↓", "-0.050", "-", "1"] in lines
    assert "↓ less is better" in text
    assert "less is better" not in run("cells")


def test_csv_is_one_row_a_number() -> None:
    rows = list(csv.DictReader(io.StringIO(run("cells", "--csv"))))
    assert rows[0] == {"kind": "count", "name": "train_images", "score": "", "iteration_1": "6", "iteration_2": "7"}
    assert [row["name"] for row in rows if row["kind"] == "image"] == ["Zelle ü [1]", "b"]


def test_json_has_numbers_and_differences() -> None:
    content = json.loads(run("cells", "--json"))
    assert content["iterations"] == [{"iteration": 1, "run_id": "run1"}, {"iteration": 2, "run_id": "run2"}]
    assert len(content["numbers"]) == len(comparison.table(ROWS))
    assert content["differences"][0]["mean"] == pytest.approx(0.05)


def test_what_cannot_be_shown_is_refused() -> None:
    with pytest.raises(MissingError, match="others"):
        run("others")
    assert CliRunner().invoke(app, ["cells", "--csv", "--json"]).exit_code == 2
