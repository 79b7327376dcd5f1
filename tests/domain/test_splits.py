from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segwheel.domain.splits import Candidate, divide
from segwheel.errors import InputError
from segwheel.params.sections import SplitParams

PARAMS = SplitParams(seed=42, train_ratio=0.6, val_ratio=0.2, test_ratio=0.2)


def singles(count: int) -> list[Candidate]:
    return [Candidate(f"s{i:02}", f"s{i:02}", i / count) for i in range(count)]


@st.composite
def candidates(draw: st.DrawFn) -> list[Candidate]:
    groups = draw(st.lists(st.integers(0, 6), max_size=25))
    return [
        Candidate(
            f"s{i}",
            f"g{group}",
            draw(st.none() | st.floats(0, 1)),
            draw(st.sampled_from(["", "", "", "train", "pool", "unused"])),
        )
        for i, group in enumerate(groups)
    ]


@given(candidates=candidates(), seed=st.integers(0, 5), test_ratio=st.sampled_from([0.0, 0.2]))
def test_every_sample_once_groups_whole_and_order_free(
    candidates: list[Candidate], seed: int, test_ratio: float
) -> None:
    params = SplitParams(seed=seed, train_ratio=0.8 - test_ratio, val_ratio=0.2, test_ratio=test_ratio)
    division = divide(candidates, params)
    assert division.split.keys() == {c.basename for c in candidates}
    assert divide(candidates[::-1], params) == division
    learnt: dict[str, set[str]] = defaultdict(set)
    for candidate in candidates:
        split = division.split[candidate.basename]
        if candidate.split:
            assert split == candidate.split
        elif candidate.coverage is None:
            tested = any(c.group == candidate.group and division.split[c.basename] == "test" for c in candidates)
            assert split == ("unused" if tested else "pool")
        if split in ("train", "val", "test"):
            learnt[candidate.group].add(split)
    assert all(len(splits) == 1 for splits in learnt.values())
    if any(not c.split and c.coverage is not None for c in candidates):
        assert "train" in division.split.values()


@given(candidates=candidates(), new=candidates(), seeds=st.tuples(st.integers(0, 5), st.integers(0, 5)))
def test_who_is_in_the_test_set_never_changes(
    candidates: list[Candidate], new: list[Candidate], seeds: tuple[int, int]
) -> None:
    first = divide(candidates, PARAMS.model_copy(update={"seed": seeds[0]}))
    test = {name for name, split in first.split.items() if split == "test"}
    grown = [*candidates, *(Candidate(f"n{c.basename}", c.group, c.coverage, c.split) for c in new)]
    second = divide(grown, PARAMS.model_copy(update={"seed": seeds[1]}), test)
    if test:
        assert {name for name, split in second.split.items() if split == "test"} == test


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, {"train": 1}),
        (2, {"train": 1, "test": 1}),
        (3, {"train": 1, "val": 1, "test": 1}),
        (6, {"train": 4, "val": 1, "test": 1}),
        (10, {"train": 6, "val": 2, "test": 2}),
        (50, {"train": 30, "val": 10, "test": 10}),
    ],
)
def test_sizes(count: int, expected: dict[str, int]) -> None:
    assert Counter(divide(singles(count), PARAMS).split.values()) == expected


def test_one_group_only_trains_and_says_so() -> None:
    division = divide([Candidate(f"s{i}", "g", 0.1 * i) for i in range(6)], PARAMS)
    assert set(division.split.values()) == {"train"}
    assert division.remarks == ["no test set: too few groups, or its ratio is 0"]


def test_splits_are_alike_in_coverage() -> None:
    division = divide(singles(60), PARAMS)
    coverage = defaultdict(list)
    for candidate in singles(60):
        coverage[division.split[candidate.basename]].append(candidate.coverage)
    for split in ("train", "val", "test"):
        assert np.mean(coverage[split]) == pytest.approx(0.49, abs=0.03)
        assert np.ptp(coverage[split]) > 0.7


def test_groups_of_unlike_size_come_near_the_ratios() -> None:
    sizes = [10, 10, 2, 2, 2, 2, 2]
    members = [Candidate(f"{g}_{i}", f"g{g}", 0.2) for g, size in enumerate(sizes) for i in range(size)]
    assert Counter(divide(members, PARAMS).split.values())["test"] <= 10


def test_the_seed_decides() -> None:
    drawn = [divide(singles(30), PARAMS.model_copy(update={"seed": seed})).split for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


def test_an_earlier_test_set_stays_whatever_comes() -> None:
    marked = [*singles(6), Candidate("corrected", "s05", 0.1, "train"), Candidate("late", "s05", 0.1)]
    division = divide(marked, PARAMS, {"s05", "corrected"})
    assert {name for name, split in division.split.items() if split == "test"} == {"s05", "corrected"}
    assert division.split["late"] == "unused"
    assert sorted(division.remarks) == [
        "corrected: stays in the test set, although it is marked train",
        "late: unused, its group s05 is in the test set",
    ]


def test_unlabelled_samples_wait_unless_their_group_is_tested() -> None:
    """Corrected, they would train on what the test set holds."""
    members = [Candidate(f"{group}{i}", group, 0.1 if i else None) for group in "abcd" for i in range(2)]
    split = divide(members, PARAMS).split
    assert {split[f"{group}0"] for group in "abcd" if split[f"{group}1"] == "test"} == {"unused"}
    assert {split[f"{group}0"] for group in "abcd" if split[f"{group}1"] != "test"} == {"pool"}


def test_corrected_samples_train_and_their_group_follows() -> None:
    division = divide([*singles(6), Candidate("new", "s03", 0.2, "train")], PARAMS)
    assert division.split["new"] == division.split["s03"] == "train"


def test_marks_that_span_a_group_hold_and_are_said() -> None:
    division = divide([Candidate("a", "g", 0.1, "train"), Candidate("b", "g", 0.1, "test")], PARAMS)
    assert division.split == {"a": "train", "b": "test"}
    assert division.remarks == ["group g: in train and in test, as marked"]


@pytest.mark.parametrize("ratios", [(0.6, 0.2, 0.3), (0.0, 0.5, 0.5), (0.5, 0.2, 0.2)])
def test_ratios_that_cannot_be_meant(ratios: tuple[float, float, float]) -> None:
    train, val, test = ratios
    with pytest.raises(InputError, match="a sum of 1, found"):
        divide(singles(6), SplitParams(seed=0, train_ratio=train, val_ratio=val, test_ratio=test))
