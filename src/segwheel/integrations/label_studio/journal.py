"""Every revision of every annotation, in files that are only ever added.

Label Studio keeps no history: what a person submitted is gone when they submit again or delete. The journal keeps it:

    data/<flywheel>/annotations/<task key>/
        task.json                                        what the task showed, and where that lies in its sample
        prediction-<model version>.json                  a prediction as it was sent
        annotation-<project>-<id>-<time>.json            one revision of one annotation
        annotation-<project>-<id>-<time>-deleted.json    that revision was the last: the annotation was deleted

A file is complete or not there, and no file is changed once it is there (DVC may share it with its cache). Run lengths
are kept as base64, byte for byte as they came.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from segwheel.errors import FormatError
from segwheel.formats.files import write_text

Json = dict[str, Any]


@dataclass(frozen=True)
class Revision:
    """One state of one annotation, as the server had it."""

    project: str  # tag of the project: ids are reused by later ones
    annotation: int
    task_created_at: str  # with the project, identity of the task on the server
    updated_at: str
    annotator: str
    cancelled: bool
    lead_time: float | None
    model_version: str  # of the prediction that the person started from, "" for none
    result: Sequence[Mapping[str, Any]]
    changed: Mapping[str, Any]  # outcome and pixels_changed, or the problem that keeps it from being a label

    @property
    def time(self) -> datetime:
        return moment(self.updated_at)

    @property
    def identity(self) -> tuple[str, int]:
        """The annotation that this is a revision of."""
        return self.project, self.annotation


@dataclass(frozen=True)
class Record:
    """All that is known of one task."""

    key: str
    data: Json
    revisions: Sequence[Revision]
    deleted: frozenset[tuple[str, int, str]]  # project, annotation, updated_at of the last revision

    def latest(self) -> list[Revision]:
        """The last revision of each annotation that was not deleted, oldest first; skipped ones included."""
        last: dict[tuple[str, int], Revision] = {}
        for revision in sorted(self.revisions, key=lambda revision: revision.time):
            last[revision.identity] = revision
        return [
            revision
            for revision in sorted(last.values(), key=lambda revision: revision.time)
            if (*revision.identity, revision.updated_at) not in self.deleted
        ]


def moment(stamp: str) -> datetime:
    """A time as the server writes it (ISO 8601, UTC)."""
    return datetime.fromisoformat(stamp).astimezone(UTC)


def model_version(iteration: str, predictions_hash: str) -> str:
    """Name of the model that made the predictions of an iteration (three digits); the hash tells apart what differs."""
    return f"iteration-{iteration}-{predictions_hash[:8]}"


def project_tag(project_id: int, created_at: str) -> str:
    """A short name for one project: the id alone may belong to a later one."""
    return hashlib.sha256(f"{project_id}\0{created_at}".encode()).hexdigest()[:8]


class Journal:
    """The journal of one flywheel, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add_task(self, data: Json) -> None:
        self._add(data["uid"], "task.json", data)

    def add_prediction(self, key: str, model_version: str, result: Sequence[Mapping[str, Any]]) -> None:
        content = {"model_version": model_version, "result": _packed(result)}
        self._add(key, f"prediction-{model_version}.json", content)

    def add_revision(self, key: str, revision: Revision, raw: Json) -> bool:
        """Keep a revision and the server's own record of it (without the result); False when it is there already."""
        content = {
            "project": revision.project, "annotation": revision.annotation,
            "task_created_at": revision.task_created_at, "updated_at": revision.updated_at,
            "annotator": revision.annotator, "cancelled": revision.cancelled, "lead_time": revision.lead_time,
            "model_version": revision.model_version, "changed": dict(revision.changed), "server": raw,
            "result": _packed(revision.result),
        }  # fmt: skip
        return self._add(key, _name(revision) + ".json", content)

    def has_revision(self, key: str, project: str, annotation: int, updated_at: str) -> bool:
        return (self.folder / key / f"annotation-{project}-{annotation}-{_stamp(updated_at)}.json").exists()

    def add_deletion(self, key: str, revision: Revision) -> None:
        content = {"project": revision.project, "annotation": revision.annotation, "updated_at": revision.updated_at}
        self._add(key, _name(revision) + "-deleted.json", content | {"seen_at": datetime.now(UTC).isoformat()})

    def prediction(self, key: str, model_version: str) -> Sequence[Mapping[str, Any]] | None:
        """The result of a prediction as it was sent, None when it is not known here."""
        path = self.folder / key / f"prediction-{model_version}.json"
        return _unpacked(_read(path)["result"]) if path.exists() else None

    def record(self, key: str) -> Record:
        folder = self.folder / key
        annotations = sorted(folder.glob("annotation-*.json"))
        deletions = [_read(path) for path in annotations if path.stem.endswith("-deleted")]
        return Record(
            key=key,
            data=_read(folder / "task.json"),
            revisions=[_revision(path) for path in annotations if not path.stem.endswith("-deleted")],
            deleted=frozenset((entry["project"], entry["annotation"], entry["updated_at"]) for entry in deletions),
        )

    def present(self, key: str, project: str) -> set[int]:
        """Ids of the annotations in a project that were not deleted, from the names of the files alone."""
        last: dict[int, str] = {}
        deleted = set()
        for path in (self.folder / key).glob(f"annotation-{project}-*.json"):
            annotation, stamp, *mark = path.stem.split("-")[2:]
            if mark:
                deleted.add((int(annotation), stamp))
            else:
                last[int(annotation)] = max(stamp, last.get(int(annotation), ""))
        return {annotation for annotation, stamp in last.items() if (annotation, stamp) not in deleted}

    def keys(self) -> list[str]:
        """Keys of the tasks that someone annotated."""
        return sorted({path.parent.name for path in self.folder.glob("*/annotation-*.json")})

    def records(self) -> Iterator[Record]:
        return (self.record(key) for key in self.keys())

    def fingerprint(self) -> str:
        """Changes whenever an annotation was added."""
        names = sorted(f"{path.parent.name}/{path.name}" for path in self.folder.glob("*/annotation-*.json"))
        return hashlib.sha256("\n".join(names).encode()).hexdigest()

    def _add(self, key: str, name: str, content: Json) -> bool:
        path = self.folder / key / name
        if path.exists():
            return False
        write_text(path, json.dumps(content, allow_nan=False) + "\n")
        return True


def _name(revision: Revision) -> str:
    return f"annotation-{revision.project}-{revision.annotation}-{_stamp(revision.updated_at)}"


def _stamp(updated_at: str) -> str:
    return moment(updated_at).strftime("%Y%m%dT%H%M%S%f")


def _revision(path: Path) -> Revision:
    content = _read(path)
    try:
        return Revision(
            project=content["project"],
            annotation=content["annotation"],
            task_created_at=content["task_created_at"],
            updated_at=content["updated_at"],
            annotator=content["annotator"],
            cancelled=content["cancelled"],
            lead_time=content["lead_time"],
            model_version=content["model_version"],
            result=_unpacked(content["result"]),
            changed=content["changed"],
        )
    except KeyError as error:
        raise FormatError(path, expected="an annotation as `labels pull` keeps it", found=f"no {error}") from error


def _read(path: Path) -> Json:
    try:
        content: Json = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FormatError(
            path, expected="JSON as `labels pull` keeps it", found=str(error), hint="`dvc checkout` restores it"
        ) from error
    return content


def _packed(result: Sequence[Mapping[str, Any]]) -> list[Any]:
    """The regions with run lengths as base64, where they are bytes; anything else is kept as it came."""
    return [_with_rle(region, list, _pack) for region in result]


def _unpacked(result: Sequence[Mapping[str, Any]]) -> list[Any]:
    """The regions with run lengths as bytes."""
    return [_with_rle(region, dict, lambda packed: base64.b64decode(packed["base64"])) for region in result]


def _pack(rle: list[Any]) -> Any:
    try:
        return {"base64": base64.b64encode(bytes(rle)).decode()}
    except (TypeError, ValueError):
        return rle


def _with_rle(region: Any, kind: type, change: Callable[[Any], Any]) -> Any:
    """A copy of a region with its run lengths changed, if they are of a kind; anything else as it is."""
    value = region.get("value") if isinstance(region, Mapping) else None
    rle = value.get("rle") if isinstance(value, Mapping) else None
    return {**region, "value": {**value, "rle": change(rle)}} if isinstance(rle, kind) and value is not None else region
