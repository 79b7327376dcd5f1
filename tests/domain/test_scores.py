"""Means over samples and groups, and which samples are the best and the worst."""

from __future__ import annotations

import pytest

from segwheel.domain.scores import extremes, less_is_better, means, score_names


def rows(**columns: list[float | None]) -> list[dict[str, object]]:
    names = [("a", "x"), ("b", "x"), ("c", "y")]
    return [
        {"basename": name, "group": group} | {score: values[i] for score, values in columns.items()}
        for i, (name, group) in enumerate(names)
    ]


def test_means_are_given_for_groups_only_where_groups_have_several_samples() -> None:
    some = rows(dice=[0.2, 0.4, 0.9], iou=[0.1, 0.2, 0.6])
    assert list(means(some)) == ["dice", "iou", "x_dice", "x_iou", "y_dice", "y_iou"]
    assert means(some)["dice"] == pytest.approx(0.5)
    assert means(some)["x_dice"] == pytest.approx(0.3)
    assert "x_dice" not in means(some[:1])
    assert means([]) == {}


def test_a_sample_counts_where_it_has_a_score() -> None:
    some = rows(fault_dice=[0.5, None, 0.7], rgt_mae=[None, None, None], dhr_snr=[None, 3.0, None])
    assert score_names(some) == ["fault_dice", "dhr_snr"]
    assert means(some) == pytest.approx(
        {"fault_dice": 0.6, "dhr_snr": 3.0, "x_fault_dice": 0.5, "x_dhr_snr": 3.0, "y_fault_dice": 0.7}
    )


def test_the_first_score_says_which_samples_are_the_best_and_no_sample_comes_twice() -> None:
    some = rows(dice=[0.2, 0.4, 0.9], iou=[0.9, 0.4, 0.2])
    assert extremes(some, 1) == [("a", "worst_1"), ("c", "best_1")]
    assert extremes(some, 2) == [("a", "worst_1"), ("b", "worst_2"), ("c", "best_1")]
    assert extremes(some[:1], 2) == [("a", "worst_1")]
    assert extremes([], 2) == []


def test_the_least_error_is_the_best() -> None:
    assert extremes(rows(rgt_mae=[0.2, 0.4, 0.9]), 1) == [("c", "worst_1"), ("a", "best_1")]
    assert extremes(rows(fault_dice=[None, 0.4, 0.9]), 1) == [("b", "worst_1"), ("c", "best_1")]


def test_errors_are_better_when_they_are_less() -> None:
    assert less_is_better("rgt_mae")
    assert less_is_better("survey_a_normal_error")
    assert not any(map(less_is_better, ("dice", "x_fault_dice", "dhr_snr", "something", "")))
