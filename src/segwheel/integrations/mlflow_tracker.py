"""Iterations in MLflow: one run for each, that all of its stages record to.

The train stage starts the run and writes its id into a small file, the record. Later stages read the record and go on
with the same run. Where the database does not know that run (a clone that pulled the outputs of an iteration), the
first of them makes another run and the others find it.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from segwheel.errors import FormatError, MissingError
from segwheel.formats.files import content_md5, write_json
from segwheel.integrations import dvc
from segwheel.integrations.metric_keys import metric_key
from segwheel.integrations.mlflow_client import checkout_of, connect, experiment_id, service_errors

# isort: split
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT, MLFLOW_GIT_COMMIT, MLFLOW_PARENT_RUN_ID

_T = TypeVar("_T")
FLYWHEEL, ITERATION = "segwheel.flywheel", "segwheel.iteration"
ASIDE = "segwheel.aside"  # the folder of an experiment that DVC ran outside of the workspace
_DIRTY, _STANDS_FOR = "segwheel.git_dirty", "segwheel.stands_for"
_CHANGED = "segwheel.changed."
_SECRETS = ("token", "password", "secret", "api_key")
_LONGEST_VALUE = 6000  # characters of a parameter in MLflow
_MOST_METRICS, _MOST_PARAMS = 1000, 100  # of one request
_SECONDS_BETWEEN_WRITES = 1.0


@dataclass(frozen=True)
class Record:
    """What the file of the train stage holds."""

    flywheel: str
    iteration: int
    run_id: str


class MlflowRun:
    """A run of MLflow; see `segwheel.tracking.Run`. Made by `start_run` and `open_run`."""

    def __init__(self, client: MlflowClient, run_id: str, root: Path) -> None:
        self.run_id = run_id
        self._client, self._root = client, root
        self._waiting: list[Metric] = []
        self._written = 0.0  # time.monotonic() of the last write

    def params(self, values: Mapping[str, object]) -> None:
        """Record parameters, nested mappings with dotted names.

        MLflow never changes a parameter. A stage that runs again with another value leaves it in the tag
        `segwheel.changed.<name>`. Names that speak of a secret are left out.
        """
        with service_errors():
            known = self._client.get_run(self.run_id).data.params
            given = {metric_key(name): str(value)[:_LONGEST_VALUE] for name, value in _flat(values) if _public(name)}
            new = [Param(key, value) for key, value in given.items() if key not in known]
            for some in _portions(new, _MOST_PARAMS):
                self._client.log_batch(self.run_id, params=some, synchronous=True)
        changed = {key: value for key, value in given.items() if known.get(key, value) != value}
        self.tags({f"{_CHANGED}{key}"[:250]: value for key, value in changed.items()})

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Record numbers; with `step` (an epoch, from 1) they form a curve. NaN is left out.

        Numbers of quick steps are written together, at the latest when the run is left.
        """
        now = int(time.time() * 1000)
        self._waiting += [
            Metric(metric_key(name), float(value), now, step or 0)
            for name, value in values.items()
            if not math.isnan(value)
        ]
        if time.monotonic() - self._written > _SECONDS_BETWEEN_WRITES or len(self._waiting) >= _MOST_METRICS:
            self.flush()

    def flush(self) -> None:
        """Write the numbers that wait."""
        waiting, self._waiting = self._waiting, []
        with service_errors():
            for some in _portions(waiting, _MOST_METRICS):
                self._client.log_batch(self.run_id, metrics=some, synchronous=True)
        self._written = time.monotonic()

    def tags(self, values: Mapping[str, str]) -> None:
        """Record words that runs are searched by."""
        tags = [RunTag(metric_key(name), str(value)) for name, value in values.items() if _public(name)]
        with service_errors():
            for some in _portions(tags, _MOST_PARAMS):
                self._client.log_batch(self.run_id, tags=some, synchronous=True)

    def artifact(self, path: Path, folder: str = "") -> None:
        """Keep a copy of a file, in `folder` of the run's artifacts. Raises MissingError when there is no `path`."""
        if not path.exists():
            raise MissingError(path, what="file to keep with the run")
        with service_errors():
            self._client.log_artifact(self.run_id, str(path), folder or None)

    def dataset(self, name: str, path: Path, context: str) -> None:
        """Pin an input (`path`) to the hash that DVC has for it, else to the MD5 of its content."""
        if not (self._root / path).exists():
            raise MissingError(path, what=f"input `{name}`")
        where = (self._root / path).resolve()
        inside = where.relative_to(self._root.resolve()) if where.is_relative_to(self._root.resolve()) else None
        digest = (dvc.output_hash(self._root, inside) if inside else None) or _content(where)
        # What MLflow makes of a MetaDataset with an HTTPDatasetSource: the source is an address, read by people.
        source = json.dumps({"url": f"dvc://{inside.as_posix() if inside else where.name}"})
        pinned = Dataset(name, digest, source_type="http", source=source)
        with service_errors():
            tags = [InputTag(MLFLOW_DATASET_CONTEXT, context)]
            self._client.log_inputs(self.run_id, datasets=[DatasetInput(pinned, tags)])

    def model(self, checkpoint: Path) -> None:
        """Keep the model as `model`: `mlflow.pyfunc.load_model("runs:/<run id>/model")` predicts on an array."""
        from segwheel.integrations.mlflow_model import log_model

        self.flush()
        with service_errors():
            log_model(self._client, self.run_id, checkpoint)

    @contextmanager
    def child(self, name: str) -> Iterator[MlflowRun]:
        """A nested run, such as one fold of a cross-validation."""
        with service_errors():
            parent = self._client.get_run(self.run_id).info
            tags = {MLFLOW_PARENT_RUN_ID: self.run_id}
            info = self._client.create_run(parent.experiment_id, tags=tags, run_name=name).info
        with _recording(self._client, info.run_id, self._root) as run:
            yield run


@contextmanager
def start_run(tracking_uri: str, flywheel: str, iteration: int, record: Path, *, root: Path) -> Iterator[MlflowRun]:
    """Start the run of an iteration (from 1) and write its id to `record`, for the stages that follow.

    `root` is the repository: a SQLite file of `tracking_uri` and the artifacts are in its checkout. The run is
    FINISHED when the block ends well, FAILED after an error, KILLED after an interrupt, and stays RUNNING when the
    process is killed. Raises ServiceError when MLflow cannot be used.
    """
    client = connect(tracking_uri, root)
    run_id = _create(client, flywheel, iteration, root)
    write_json(record, asdict(Record(flywheel, iteration, run_id)))
    with _recording(client, run_id, root) as run:
        yield run


@contextmanager
def open_run(tracking_uri: str, flywheel: str, iteration: int, record: Path, *, root: Path) -> Iterator[MlflowRun]:
    """Go on with the run that `record` names; without a record, start one as `start_run` does.

    The record says which iteration made the model, so it also decides where it differs from `iteration`; it is
    never rewritten. A run that the database does not know is made again, once. Raises FormatError when the record
    is not one of `flywheel`.
    """
    if not record.exists():
        with start_run(tracking_uri, flywheel, iteration, record, root=root) as run:
            yield run
        return
    known = read_record(record)
    if known.flywheel != flywheel:
        raise FormatError(record, expected=f"a record of flywheel {flywheel}", found=f"one of {known.flywheel}")
    client = connect(tracking_uri, root)
    with service_errors():
        run_id = _find(client, known)
    if run_id is None:
        run_id = _create(client, flywheel, known.iteration, root, lost=known)
    with _recording(client, run_id, root) as run:
        yield run


def read_record(path: Path) -> Record:
    """The record that a train stage wrote. Raises FormatError when it is something else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Record(str(content["flywheel"]), int(content["iteration"]), str(content["run_id"]))
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(path, expected="flywheel, iteration and run_id as JSON", found=repr(error)) from error


@contextmanager
def _recording(client: MlflowClient, run_id: str, root: Path) -> Iterator[MlflowRun]:
    """A run that is RUNNING inside of the block and says afterwards how the block ended."""
    with service_errors():
        client.update_run(run_id, status="RUNNING")
    run, status = MlflowRun(client, run_id, root), "FAILED"
    try:
        yield run
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        run.flush()
        with service_errors():
            client.set_terminated(run_id, status)


def _create(client: MlflowClient, flywheel: str, iteration: int, root: Path, lost: Record | None = None) -> str:
    """Make the run of an iteration, in place of a `lost` one; returns its id."""
    tags = {FLYWHEEL: flywheel, ITERATION: str(iteration)}
    if (state := dvc.git_state(root)) is not None:
        tags |= {MLFLOW_GIT_COMMIT: state[0], _DIRTY: str(state[1]).lower()}
    if lost is not None:
        tags[_STANDS_FOR] = lost.run_id
    if checkout_of(root) != root.resolve():
        tags[ASIDE] = root.resolve().name
    with service_errors():
        experiment = experiment_id(client, flywheel, root)
        return str(client.create_run(experiment, tags=tags, run_name=f"iteration {iteration}").info.run_id)


def _find(client: MlflowClient, record: Record) -> str | None:
    """Id of the run that `record` names, or of the one that stands for it; None when there is neither."""
    try:
        if client.get_run(record.run_id).info.lifecycle_stage == "active":
            return record.run_id
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
    experiment = client.get_experiment_by_name(record.flywheel)
    if experiment is None:
        return None
    stands_for = f"tags.`{_STANDS_FOR}` = '{record.run_id}'"
    found = client.search_runs([experiment.experiment_id], filter_string=stands_for, max_results=1)
    return str(found[0].info.run_id) if found else None


def _flat(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _portions(items: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _public(name: str) -> bool:
    return not any(word in name.lower() for word in _SECRETS)


def _content(path: Path) -> str:
    """MD5 of a file; of a folder, the MD5 over its files' names and MD5s, in DVC's own form."""
    if path.is_file():
        return content_md5(path)
    files = sorted((file.relative_to(path).as_posix(), file) for file in path.rglob("*") if file.is_file())
    listing = json.dumps([{"md5": content_md5(file), "relpath": name} for name, file in files])
    return hashlib.md5(listing.encode(), usedforsecurity=False).hexdigest() + ".dir"
