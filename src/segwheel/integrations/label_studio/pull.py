"""Server -> journal -> corrections.

Everything that a person did is in the journal before anything else is written. The corrections are made from the
journal alone, so a pull that was killed is finished by the next one, and every pull that finds nothing new leaves them
as they are.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from segwheel.errors import FormatError
from segwheel.formats.files import content_md5, write_json
from segwheel.integrations.dvc import require_complete
from segwheel.integrations.label_studio import labels, project
from segwheel.integrations.label_studio.client import Client
from segwheel.integrations.label_studio.journal import Journal, Json, Revision, moment, project_tag
from segwheel.integrations.label_studio.locks import exclusive
from segwheel.integrations.label_studio.materialise import Materialised, materialise
from segwheel.integrations.label_studio.paths import Places
from segwheel.integrations.label_studio.settings import Settings

_OVERLAP = timedelta(minutes=1)  # read again before the watermark: what was being written while it was set
_PAGE = 100  # tasks in a request
_CHANGED = (
    "id,data,created_at,updated_at,annotations,result,completed_by,was_cancelled,lead_time,parent_prediction,"
    "predictions_model_versions"
)
_LIGHT = "id,updated_at"
_PRESENT = "id,data,created_at,annotations_ids"


@dataclass(frozen=True)
class Pulled:
    """What a pull found and made."""

    tasks: int  # that someone annotated, in the journal
    revisions: int  # new in the journal
    deleted: int  # annotations found deleted
    made: Materialised


def pull(
    places: Places,
    client: Client,
    settings: Settings,
    *,
    track: Callable[[Sequence[Path]], None] = lambda _: None,
) -> Pulled:
    """Bring the annotations of a flywheel into its journal and make its corrections from them.

    `track` puts folders under DVC; it is called when the corrections were made. Annotations that cannot be used are
    kept in the journal and reported in `made.problems`. Raises ServiceError, with nothing changed, when there is no
    project or the server cannot be reached; when that happens midway, what came is kept and a later pull continues.
    Raises MissingError when files that DVC keeps are not here.
    """
    with exclusive(places.lock):
        require_complete(places.root, places.journal)
        state = _State(places.state)
        journal = Journal(places.journal)
        found = project.require(client, places.flywheel)
        reader = _Reader(client, found, journal, settings.target)
        read = reader.read(state.read(reader.tag, journal.fingerprint()))
        made, fingerprint = Materialised(problems=state.problems), journal.fingerprint()
        if state.made != (fingerprint, settings.rule, _table(places)):
            made = materialise(places, journal.records(), settings.target, settings.rule, track)
        state.write(reader.tag, read, (fingerprint, settings.rule, _table(places)), made.problems)
        return Pulled(len(journal.keys()), reader.revisions, reader.deleted, made)


def _table(places: Places) -> str:
    return content_md5(places.table) if places.table.is_file() else ""


Made = tuple[str, str, str]  # of which journal, by which rule, into which table of corrections


@dataclass(frozen=True)
class _Read:
    """How far a project was read: all that changed before `watermark`, and what changed about then or later."""

    watermark: str | None = None
    tasks: dict[str, str] = field(default_factory=dict)  # `updated_at` by id
    annotations: int = -1  # how many there were when it was begun

    @property
    def since(self) -> datetime | None:
        """From when on to read again."""
        return moment(self.watermark) - _OVERLAP if self.watermark else None


class _State:
    """How far the last pull read of which project into which journal, and what it made of it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._content: Json = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self._content = {}

    @property
    def made(self) -> Made:
        journal, rule, table = self._content.get("made", ("", "", ""))
        return journal, rule, table

    @property
    def problems(self) -> dict[str, str]:
        return dict(self._content.get("problems", {}))

    def read(self, tag: str, journal: str) -> _Read:
        """Nothing, so that all is read, of another project, or when the journal is not the one that was read into.

        An earlier commit may have been checked out since, or a pull was killed.
        """
        same = self._content.get("project") == tag and self.made[0] == journal
        names = {one.name for one in fields(_Read)} & self._content.keys() if same else set()
        return _Read(**{name: self._content[name] for name in names})

    def write(self, tag: str, read: _Read, made: Made, problems: dict[str, str]) -> None:
        content = {"project": tag, **asdict(read), "made": list(made), "problems": problems}
        if content != self._content:
            write_json(self._path, content)


class _Reader:
    """Reads annotations of one project into the journal."""

    def __init__(self, client: Client, found: project.Project, journal: Journal, target: str) -> None:
        self._client, self._project, self._journal, self._target = client, found, journal, target
        self.tag = project_tag(found.id, found.created_at)
        self._emails: dict[int, str] = {}
        self._changed_tasks = False
        self.revisions = self.deleted = 0

    def read(self, last: _Read) -> _Read:
        """Read what changed, and what was deleted, since the last time; returns how far that was.

        To list what is there takes the server a second for a hundred tasks. When no task changed, nothing was added,
        so that as many annotations as the last time are the same ones. They are counted first: what happens
        from then on is seen now or makes a difference the next time.
        """
        count = project.count_annotations(self._client, self._project)
        read = self._read_changed(last)
        if self._changed_tasks or count != last.annotations:
            self._read_deletions()
        return replace(read, annotations=count)

    def _read_changed(self, last: _Read) -> _Read:
        """Read the tasks that changed since the last time, a minute over; returns how far that was, in server's time.

        Not further than the beginning of the reading: a task of the first page may change while the last one is read.
        As far as the last time when tasks were removed meanwhile, since others moved to pages that had been read, and
        when the server does not tell its time.
        """
        where = None
        if last.since:
            stamp = last.since.strftime("%Y-%m-%dT%H:%M:%S.%fZ")  # any other form is a server error
            where = ("updated_at", "greater_or_equal", stamp)
        began, page, totals = self._client.clock, 0, [1]
        seen: dict[str, str] = {}
        while page * _PAGE < totals[-1]:
            page += 1
            # First without data and results, which are large: most of what was read a minute over is known.
            tasks, total = self._client.page(self._project.id, _LIGHT, page, where=where, page_size=_PAGE)
            totals.append(total)
            if any(last.tasks.get(str(task["id"])) != task["updated_at"] for task in tasks):
                self._changed_tasks = True
                tasks, _ = self._client.page(self._project.id, _CHANGED, page, where=where, page_size=_PAGE)
                for task in filter(self._is_new, tasks):
                    self._read_task(task)
            seen |= {str(task["id"]): task["updated_at"] for task in tasks}
        newest = max([*seen.values(), *filter(None, [last.watermark])], key=moment, default=None)
        if newest is None or began is None or totals[1:] != sorted(totals[1:]):
            return last
        watermark = min(newest, began.isoformat(), key=moment)
        again = moment(watermark) - _OVERLAP
        return _Read(watermark, {task: stamp for task, stamp in seen.items() if moment(stamp) >= again})

    def _is_new(self, task: Json) -> bool:
        """Whether the journal lacks the present state of some annotation of a task of ours."""
        key = task["data"].get("uid")
        return key is not None and not all(
            self._journal.has_revision(key, self.tag, one["id"], one["updated_at"]) for one in task["annotations"]
        )

    def _read_task(self, task: Json) -> None:
        data, key = task["data"], task["data"]["uid"]
        for annotation in task["annotations"]:
            if self._journal.has_revision(key, self.tag, annotation["id"], annotation["updated_at"]):
                continue
            version = self._model_version(task, annotation["parent_prediction"])
            self._journal.add_task(data)
            changed = self._changed(data, annotation, version)
            revision = Revision(
                project=self.tag,
                annotation=annotation["id"],
                task_created_at=task["created_at"],
                updated_at=annotation["updated_at"],
                annotator=self._email(annotation["completed_by"]),
                cancelled=annotation["was_cancelled"],
                lead_time=annotation["lead_time"],
                model_version=version,
                result=annotation["result"],
                changed=changed,
            )
            raw = {name: value for name, value in annotation.items() if name != "result"} | {"task": task["id"]}
            self.revisions += self._journal.add_revision(key, revision, raw)

    def _changed(self, data: Json, annotation: Json, version: str) -> dict[str, Any]:
        """What the person changed, or what is wrong with the annotation."""
        if annotation["was_cancelled"]:
            return {"outcome": "skipped", "pixels_changed": None}
        shape = tuple(labels.part_of(data).shape)
        source = f"annotation {annotation['id']} of {data['title']}"
        try:
            label = labels.label_of(annotation["result"], (shape[0], shape[1]), self._target, source)
            predicted = self._journal.prediction(data["uid"], version) if version else None
            if predicted is None:
                return labels.changes(label, None)
            return labels.changes(label, labels.label_of(predicted, (shape[0], shape[1]), self._target, source))
        except FormatError as error:
            return {"problem": str(error)}

    def _model_version(self, task: Json, prediction: int | None) -> str:
        """Version of the prediction that an annotation started from; predictions are fetched when it is not known."""
        if prediction is None:
            return ""
        key, versions = task["data"]["uid"], (task["predictions_model_versions"] or "").split(",")
        if len(versions) == 1 and versions[0] and self._journal.prediction(key, versions[0]) is not None:
            return versions[0]
        for one in self._client.get("/api/predictions/", task=task["id"]):
            self._journal.add_prediction(key, one["model_version"], one["result"])
            if one["id"] == prediction:
                return str(one["model_version"])
        return ""

    def _email(self, user: int) -> str:
        if user not in self._emails:
            self._emails = {one["id"]: one["email"] for one in self._client.get("/api/users/")}
        return self._emails.get(user, f"user {user}")

    def _read_deletions(self) -> None:
        """Find annotations that are gone while their task is still there.

        A task that is gone, or that was made anew, says nothing about what people did with it before.
        """
        gone: dict[str, dict[str, set[int]]] = defaultdict(dict)
        known = set(self._journal.keys())
        for task in self._client.tasks(self._project.id, _PRESENT, page_size=1000):
            key = task["data"].get("uid", "")
            if key in known:
                there = {int(one) for one in (task["annotations_ids"] or "").split(",") if one}
                gone[key][task["created_at"]] = self._journal.present(key, self.tag) - there
        for key, by_task in sorted(gone.items()):
            for revision in self._journal.record(key).latest() if any(by_task.values()) else ():
                if revision.project == self.tag and revision.annotation in by_task.get(revision.task_created_at, ()):
                    self._journal.add_deletion(key, revision)
                    self.deleted += 1
