"""Dividing samples into training, validation and test, and what never joins them.

Whole groups stay together, the splits resemble each other in mask coverage, the seed decides the rest, and who is
in the test set once stays there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from segwheel.errors import InputError
from segwheel.params.sections import SplitParams

TRAIN, VAL, TEST, POOL, UNUSED = "train", "val", "test", "pool", "unused"
SPLITS = (TRAIN, VAL, TEST, POOL, UNUSED)

_DRAWS = 50  # divisions to choose the most even one from


@dataclass(frozen=True)
class Candidate:
    """What decides a sample's split."""

    basename: str
    group: str
    coverage: float | None  # foreground fraction of its mask; None = unlabelled
    split: str = ""  # one of SPLITS when it is decided


@dataclass
class Division:
    """The split of each sample, and remarks worth a line each."""

    split: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Group:
    name: str
    samples: tuple[str, ...]
    coverage: float  # mean


def divide(candidates: Sequence[Candidate], params: SplitParams, earlier_test: Collection[str] = ()) -> Division:
    """Assign each candidate one of SPLITS; the order of the candidates does not matter.

    In this order: a member of `earlier_test` is test; a decided split holds (corrected samples come as train); a
    labelled sample whose group has a decided member follows it (into train or val; not into test, which only its
    listed members are: it is unused); the other labelled ones are drawn, group by group; an unlabelled sample is pool,
    or unused where its group is in the test set. Where there is a test set already, nobody is drawn into it. With one
    group everything is train, with two groups one is test (val where test_ratio is 0 or there is a test set).

    Raises InputError when the ratios make no sense.
    """
    _check_ratios(params)
    division = Division()
    ordered = sorted(candidates, key=lambda c: c.basename)
    _decided(ordered, earlier_test, division)
    open_groups = _following(ordered, division)
    has_test = TEST in division.split.values()
    wanted = {VAL: params.val_ratio, TEST: 0.0 if has_test else params.test_ratio}
    shares = {name: ratio / (params.train_ratio + sum(wanted.values())) for name, ratio in wanted.items()}
    for group, name in _draw(open_groups, shares, params.seed):
        division.split.update(dict.fromkeys(group.samples, name))
    _wait(ordered, division)
    _remark(ordered, division)
    return division


def _wait(candidates: Sequence[Candidate], division: Division) -> None:
    """Put undecided unlabelled samples into the pool, unless their group is in the test set."""
    tested = {one.group for one in candidates if division.split.get(one.basename) == TEST}
    for candidate in candidates:
        if candidate.basename not in division.split:
            division.split[candidate.basename] = UNUSED if candidate.group in tested else POOL
            if candidate.group in tested:
                division.remarks.append(_unused(candidate.basename, candidate.group))


def _unused(name: str, group: str) -> str:
    return f"{name}: unused, its group {group} is in the test set"


def _check_ratios(params: SplitParams) -> None:
    ratios = (params.train_ratio, params.val_ratio, params.test_ratio)
    if params.train_ratio <= 0 or min(ratios) < 0 or abs(sum(ratios) - 1) > 1e-6:
        found = ", ".join(f"{ratio:g}" for ratio in ratios)
        raise InputError(f"split ratios: expected train > 0, none negative and a sum of 1, found {found}")


def _decided(candidates: Iterable[Candidate], earlier_test: Collection[str], division: Division) -> None:
    for candidate in candidates:
        name = candidate.basename
        if name in earlier_test:
            if candidate.split not in ("", TEST):
                division.remarks.append(f"{name}: stays in the test set, although it is marked {candidate.split}")
            division.split[name] = TEST
        elif candidate.split:
            division.split[name] = candidate.split


def _following(candidates: Iterable[Candidate], division: Division) -> list[_Group]:
    """Let undecided samples follow decided members of their group; returns the groups that are still open."""
    leaders: dict[str, set[str]] = defaultdict(set)
    undecided: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        split = division.split.get(candidate.basename)
        if split is None and candidate.coverage is None:
            continue
        if split is None:
            undecided[candidate.group].append(candidate)
        else:
            leaders[candidate.group].add(split)
    open_groups = []
    for group, members in sorted(undecided.items()):
        names = tuple(member.basename for member in members)
        leader = next((split for split in (TEST, TRAIN, VAL) if split in leaders[group]), None)
        if leader is None:
            coverage = float(np.mean([member.coverage or 0.0 for member in members]))
            open_groups.append(_Group(group, names, coverage))
        else:
            division.split.update(dict.fromkeys(names, UNUSED if leader == TEST else leader))
        if leader == TEST:
            division.remarks += [_unused(name, group) for name in names]
    return open_groups


def _draw(groups: Sequence[_Group], shares: dict[str, float], seed: int) -> list[tuple[_Group, str]]:
    """Divide whole groups: of many stratified draws, the one nearest to the shares and most even in coverage."""
    if not groups:
        return []
    counts = _counts(len(groups), shares)
    by_coverage = sorted(groups, key=lambda group: (group.coverage, group.name))
    rng = np.random.default_rng(seed)
    draws = [_one_draw(by_coverage, counts, rng) for _ in range(_DRAWS if any(counts.values()) else 1)]
    best = min(draws, key=lambda draw: _unevenness(by_coverage, draw, shares))
    return list(zip(by_coverage, best, strict=True))


def _counts(groups: int, shares: dict[str, float]) -> dict[str, int]:
    """How many groups each split but train gets: its share, at least one where train keeps one too; test first."""
    counts = dict.fromkeys(shares, 0)
    for name in sorted(shares):  # test before val
        if shares[name] > 0:
            left = groups - 1 - sum(counts.values())
            counts[name] = min(left, max(1, round(groups * shares[name]))) if left > 0 else 0
    return counts


def _one_draw(groups: Sequence[_Group], counts: dict[str, int], rng: np.random.Generator) -> list[str]:
    """One split name for each group (sorted by coverage): a random member of each of `count` equal strata."""
    names = [TRAIN] * len(groups)
    for split, count in counts.items():
        free = [i for i, name in enumerate(names) if name == TRAIN]
        for stratum in range(count):
            start, stop = (len(free) * (stratum + k) // count for k in (0, 1))
            names[free[int(rng.integers(start, stop))]] = split
    return names


def _unevenness(groups: Sequence[_Group], names: Sequence[str], shares: dict[str, float]) -> float:
    """How far sizes are from the shares, plus how far mean coverages are from the overall mean (in its spread)."""
    sizes = np.array([len(group.samples) for group in groups], dtype=float)
    coverages = np.array([group.coverage for group in groups])
    total, spread = sizes.sum(), float(coverages.std()) or 1.0
    cost = 0.0
    for split, share in shares.items():
        chosen = np.array([name == split for name in names])
        if chosen.any():
            cost += abs(sizes[chosen].sum() / total - share)
            cost += abs(float(np.average(coverages[chosen], weights=sizes[chosen])) - float(coverages.mean())) / spread
    return cost


def _remark(candidates: Sequence[Candidate], division: Division) -> None:
    spans: dict[str, set[str]] = defaultdict(set)
    for candidate in candidates:
        spans[candidate.group].add(division.split[candidate.basename])
    for group, splits in sorted(spans.items()):
        held_out = splits & {VAL, TEST}
        if TRAIN in splits and held_out:
            division.remarks.append(f"group {group}: in train and in {' and '.join(sorted(held_out))}, as marked")
    if candidates and TEST not in division.split.values():
        division.remarks.append("no test set: too few groups, or its ratio is 0")
