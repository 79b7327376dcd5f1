from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from segwheel.errors import MissingError
from segwheel.integrations.comparison import (
    Iteration,
    differences,
    iteration_of,
    iterations,
    paired_difference,
    table,
)
from segwheel.integrations.mlflow_tracker import start_run

URI = "sqlite:///mlflow.db"


def scored(number: int, **dice: float) -> Iteration:
    return Iteration(number, f"run{number}", images={(name, "dice"): value for name, value in dice.items()})


def test_the_latest_finished_run_of_each_iteration_counts(mlflow_root: Path) -> None:
    def train(number: int, dice: float, flywheel: str = "cells") -> str:
        with start_run(URI, flywheel, number, mlflow_root / "run.json", root=mlflow_root) as run:
            with run.child("fold 0") as child:
                child.metrics({"test_dice": 0.1})
            run.metrics({"train_dice": 0.99}, step=1)
            run.metrics({"test_dice": dice, "test_small_cells_iou": 0.4, "image/Zelle #1/dice": dice})
            run.metrics({"train_images": 6, "corrections": number - 1, "seconds/train": 2.5})
            if dice == 0.0:
                raise OSError("disk")
        return run.run_id

    train(2, 0.8)
    latest = [train(1, 0.7), train(2, 0.9)]
    train(1, 0.2, flywheel="other")
    with pytest.raises(OSError, match="disk"):
        train(2, 0.0)
    rows = iterations("cells", URI, mlflow_root)
    assert [(row.iteration, row.run_id) for row in rows] == [(1, latest[0]), (2, latest[1])]
    assert rows[1].counts == {"train_images": 6, "corrections": 1}
    assert rows[1].means == {("", "dice"): 0.9, ("small_cells", "iou"): 0.4}
    assert rows[1].images == {("Zelle #1", "dice"): 0.9}
    assert rows[1].seconds == {"train": 2.5}


def test_an_experiment_beside_the_workspace_does_not_stand_for_its_iteration(mlflow_root: Path) -> None:
    beside = mlflow_root / ".dvc" / "tmp" / "exps" / "tmp2x4b"
    beside.mkdir(parents=True)
    runs = []
    for root in (mlflow_root, beside):
        with start_run(URI, "cells", 1, root / "run.json", root=root) as run:
            run.metrics({"test_dice": 0.8})
        runs.append(run.run_id)
    assert [row.run_id for row in iterations("cells", URI, mlflow_root)] == runs[:1]


def test_without_iterations_there_is_one_line(mlflow_root: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"mlflow\.db: no such MLflow database"):
        iterations("cells", URI, tmp_path)
    assert not (tmp_path / "mlflow.db").exists()
    with pytest.raises(MissingError, match=r"^cells: no such flywheel with a finished iteration"):
        iterations("cells", URI, mlflow_root)


def test_differences_are_paired_over_the_common_images_with_a_t_interval() -> None:
    earlier = scored(1, a=0.50, b=0.70, c=0.90, gone=0.0)
    later = scored(2, a=0.60, b=0.75, c=0.90, new=1.0)
    found = paired_difference(earlier, later, "dice")
    assert found is not None
    expected = stats.ttest_rel([0.60, 0.75, 0.90], [0.50, 0.70, 0.90]).confidence_interval(0.95)
    assert (found.earlier, found.later, found.images) == (1, 2, 3)
    assert found.mean == pytest.approx(0.05)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_one_image_has_no_interval_and_none_no_difference() -> None:
    found = paired_difference(scored(1, a=0.5), scored(2, a=0.6, b=0.1), "dice")
    assert found is not None
    assert (found.low, found.high, found.images) == (None, None, 1)
    assert paired_difference(scored(1, a=0.5), scored(2, b=0.6), "dice") is None
    assert paired_difference(scored(1, a=0.5), scored(2, a=0.6), "iou") is None


def test_the_interval_covers_what_it_says_with_six_images() -> None:
    random = np.random.default_rng(0)
    covered = 0
    for change in random.normal(0.02, 0.05, (2000, 6)):
        earlier = scored(1, **dict.fromkeys("abcdef", 0.5))
        later = scored(2, **{name: 0.5 + step for name, step in zip("abcdef", change, strict=True)})
        found = paired_difference(earlier, later, "dice")
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0.02 <= found.high
    assert covered / 2000 == pytest.approx(0.95, abs=0.015)


def test_each_iteration_is_set_against_the_one_before_and_the_last_against_the_first() -> None:
    rows = [scored(number, a=0.1 * number) for number in (1, 2, 4)]
    assert [(found.earlier, found.later) for found in differences(rows)] == [(1, 2), (2, 4), (1, 4)]
    assert differences(rows[:1]) == []


def test_the_table_has_a_row_for_every_number_of_any_iteration() -> None:
    rows = [
        Iteration(
            1, "x", {"train_images": 6}, {("", "iou"): 0.5, ("", "dice"): 0.6}, {("b", "dice"): 0.1}, {"train": 1.0}
        ),
        Iteration(2, "y", {"train_images": 8}, {("", "dice"): 0.7}, {("a", "dice"): 0.2}, {}),
    ]
    assert [tuple(line.values()) for line in table(rows)] == [
        ("count", "train_images", "", 6, 8),
        ("mean", "", "dice", 0.6, 0.7),
        ("mean", "", "iou", 0.5, None),
        ("image", "a", "dice", None, 0.2),
        ("image", "b", "dice", 0.1, None),
        ("seconds", "train", "", 1.0, None),
    ]


def test_scores_are_what_the_samples_have() -> None:
    """A group may be called like the beginning of another kind's score."""
    images = iteration_of(1, "x", {"test_dice": 0.5, "test_fault_dice": 0.4, "image/a/dice": 0.5, "image/a/own": 2})
    assert images.means == {("", "dice"): 0.5, ("fault", "dice"): 0.4}
    assert images.images == {("a", "dice"): 0.5, ("a", "own"): 2}
    metrics = {"test_fault_dice": 0.5, "test_north_rgt_mae": 0.1, "image/a/fault_dice": 0.5, "image/a/rgt_mae": 0.1}
    volumes = iteration_of(1, "x", metrics)
    assert volumes.means == {("", "fault_dice"): 0.5, ("north", "rgt_mae"): 0.1}
    later = Iteration(2, "y", images={("a", "rgt_mae"): 0.3, ("a", "fault_dice"): 0.6, ("a", "other"): 1.0})
    assert [(found.score, round(found.mean, 3)) for found in differences([volumes, later])] == [
        ("fault_dice", 0.1),
        ("rgt_mae", 0.2),
    ]
    assert [line["score"] for line in table([volumes, later])] == [
        *("fault_dice", "rgt_mae"),
        *("fault_dice", "rgt_mae", "other"),
    ]
