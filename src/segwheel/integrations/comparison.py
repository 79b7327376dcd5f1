"""Iterations side by side, read from MLflow: scores, what they were trained on, seconds, and what a change is worth."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from segwheel.domain.overlap import paired_interval
from segwheel.domain.scores import IMAGES, KNOWN, VOLUMES
from segwheel.errors import MissingError
from segwheel.integrations.metric_keys import metric_name
from segwheel.integrations.mlflow_client import connect, database_path, service_errors
from segwheel.integrations.mlflow_tracker import ASIDE, FLYWHEEL, ITERATION

COUNTS = ("train_images", "corrections")
LEVEL = 0.95
_IMAGE = re.compile(r"image/(?P<image>.+)/(?P<score>\w+)", re.DOTALL)
_STAGE = re.compile(r"seconds/(?P<stage>.+)")


@dataclass(frozen=True)
class Iteration:
    """What MLflow holds of one iteration."""

    iteration: int
    run_id: str
    counts: Mapping[str, int] = field(default_factory=dict)  # of COUNTS
    means: Mapping[tuple[str, str], float] = field(default_factory=dict)  # (group, "" for all; score)
    images: Mapping[tuple[str, str], float] = field(default_factory=dict)  # (basename, score)
    seconds: Mapping[str, float] = field(default_factory=dict)  # of each stage


@dataclass(frozen=True)
class Difference:
    """Mean of the paired differences of one score, later minus earlier, over the images that both scored."""

    score: str
    earlier: int
    later: int
    mean: float
    low: float | None  # two-sided 95 % t-interval of the mean, None for fewer than two images
    high: float | None
    images: int


def iterations(flywheel: str, tracking_uri: str, root: Path) -> list[Iteration]:
    """The latest finished run of each iteration of `flywheel`, in the order of the iterations.

    Runs that failed or were killed, nested runs and experiments beside the workspace are left out. Raises MissingError
    when there is no database or no finished iteration, ServiceError when MLflow cannot be used.
    """
    database = database_path(tracking_uri, root)
    if database is not None and not database.exists():
        raise MissingError(database, what="MLflow database", hint="`dvc repro` makes it")
    client = connect(tracking_uri, root)
    with service_errors():
        experiment = client.get_experiment_by_name(flywheel)
        runs = _all_runs(client, experiment.experiment_id) if experiment is not None else []
    latest: dict[int, Iteration] = {}
    for run in runs:  # latest first
        tags = run.data.tags
        if tags.get(FLYWHEEL) == flywheel and tags.get(ITERATION, "").isdigit() and ASIDE not in tags:
            number = int(tags[ITERATION])
            latest.setdefault(number, iteration_of(number, run.info.run_id, run.data.metrics))
    if not latest:
        raise MissingError(flywheel, what="flywheel with a finished iteration in MLflow", hint="run `dvc repro`")
    return [latest[number] for number in sorted(latest)]


def iteration_of(number: int, run_id: str, metrics: Mapping[str, float]) -> Iteration:
    """Sort the metrics of a run, by MLflow's keys, into what they are about. Training curves are left out.

    Scores are called what the images' or volumes' own are called, whatever that is.
    """
    counts: dict[str, int] = {}
    means: dict[tuple[str, str], float] = {}
    images: dict[tuple[str, str], float] = {}
    seconds: dict[str, float] = {}
    named = {metric_name(key): value for key, value in metrics.items()}
    scores = _scores(found["score"] for name in named if (found := _IMAGE.fullmatch(name)))
    mean = re.compile(rf"test_(?:(?P<group>.+)_)?(?P<score>{'|'.join(scores)})")
    for name, value in named.items():
        if name in COUNTS:
            counts[name] = round(value)
        elif found := mean.fullmatch(name):
            means[found["group"] or "", found["score"]] = value
        elif found := _IMAGE.fullmatch(name):
            images[found["image"], found["score"]] = value
        elif found := _STAGE.fullmatch(name):
            seconds[found["stage"]] = value
    return Iteration(number, run_id, counts, means, images, seconds)


def _scores(found: Iterable[str]) -> list[str]:
    """The scores of a run that has these for its images, and others of their kind; without any, all that are known.

    Longer names come first: a group may be called like the beginning of another score.
    """
    own = set(found)
    kinds = [set(kind) for kind in (IMAGES, VOLUMES) if not own or own & set(kind)]
    return sorted(own.union(*kinds), key=lambda name: (-len(name), name))


def differences(rows: Sequence[Iteration]) -> list[Difference]:
    """What each iteration changed against the one before, and, from three on, the last against the first."""
    pairs = list(pairwise(rows))
    if len(rows) > 2:
        pairs.append((rows[0], rows[-1]))
    scores = _in_order({score for row in rows for _, score in row.images})
    found = (paired_difference(earlier, later, score) for earlier, later in pairs for score in scores)
    return [difference for difference in found if difference is not None]


def paired_difference(earlier: Iteration, later: Iteration, score: str) -> Difference | None:
    """The difference of one score over the images that both iterations scored; None when there is no such image.

    The interval is mean ± t(n - 1) s / sqrt(n) with the standard deviation s of the n paired differences (Student
    1908). With few images it covers what it says where a percentile bootstrap does not.
    """
    common = [key for key in later.images if key[1] == score and key in earlier.images]
    if not common:
        return None
    before, after = ([row.images[key] for key in common] for row in (earlier, later))
    change = paired_interval(before, after, LEVEL)
    low, high = (change.low, change.high) if change.n > 1 else (None, None)
    return Difference(score, earlier.iteration, later.iteration, change.mean, low, high, change.n)


def table(rows: Sequence[Iteration]) -> list[dict[str, Any]]:
    """One row a number, iterations in columns: `kind` (count, mean, image, seconds), `name`, `score`, `iteration_<n>`.

    A number that an iteration lacks is None.
    """
    kinds: list[tuple[str, list[Mapping[Any, float]]]] = [
        ("count", [row.counts for row in rows]),
        ("mean", [row.means for row in rows]),
        ("image", [row.images for row in rows]),
        ("seconds", [row.seconds for row in rows]),
    ]
    lines = []
    for kind, columns in kinds:
        for key in _ordered(columns):
            name, score = key if isinstance(key, tuple) else (key, "")
            values = {f"iteration_{row.iteration}": column.get(key) for row, column in zip(rows, columns, strict=True)}
            lines.append({"kind": kind, "name": name, "score": score, **values})
    return lines


def _ordered(columns: Sequence[Mapping[Any, float]]) -> list[Any]:
    """The keys of all columns: scores in their order and by name, everything else as recorded."""
    keys = list(dict.fromkeys(key for column in columns for key in column))
    if keys and isinstance(keys[0], tuple):
        scores = _in_order({score for _, score in keys})
        keys.sort(key=lambda key: (scores.index(key[1]), key[0]))
    return keys


def _in_order(scores: Iterable[str]) -> list[str]:
    """The known scores as people are used to see them, then others by name."""
    known = list(KNOWN)
    return sorted(scores, key=lambda name: (known.index(name) if name in known else len(known), name))


def _all_runs(client: Any, experiment_id: str) -> list[Any]:
    runs: list[Any] = []
    token: str | None = None
    while True:
        page = client.search_runs(
            [experiment_id],
            filter_string="attributes.status = 'FINISHED'",
            order_by=["attributes.start_time DESC"],
            page_token=token,
        )
        runs += page
        token = page.token
        if not token:
            return runs
