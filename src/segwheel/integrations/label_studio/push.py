"""Queue -> server: each task and each prediction once, whatever happens on the way.

What is on the server is found by listing, never remembered. So a push that is run twice, or again after it was killed
or the server died, sends just what is missing; and what was sent twice (a request that was still on its way when its
sender was killed) is found and taken back, unless someone worked on it.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from segwheel.domain.corrections import iteration, read_corrections
from segwheel.errors import MissingError, SegwheelError, ServiceError
from segwheel.formats.files import content_md5
from segwheel.integrations.dvc import require_complete
from segwheel.integrations.label_studio import labels, project, server
from segwheel.integrations.label_studio.client import SERVICE, Client
from segwheel.integrations.label_studio.journal import Journal, Json, model_version
from segwheel.integrations.label_studio.locks import exclusive
from segwheel.integrations.label_studio.paths import Places
from segwheel.integrations.label_studio.plan import Plan, read_plan
from segwheel.integrations.label_studio.settings import Settings
from segwheel.integrations.label_studio.tasks import QueueRow, Task, all_tasks, inside, read_prediction, read_queue

BATCH = 25  # tasks in a request: small enough to lose little, large enough that requests cost nothing
_ROUNDS = 3  # of sending what is missing
_SETTLE = 1.0  # seconds between listings that have to agree before anything is sent again
_LISTED = "id,data,annotations,predictions_model_versions,total_predictions,draft_exists"
_CUT_AT = 480  # the server cuts its list of model versions at 500 characters


class Pictures(Protocol):
    """How the server gets at the pictures."""

    def url(self, path: Path) -> str: ...


@dataclass(frozen=True)
class ServedHere:
    """The server runs here and reads the repository's own folder."""

    root: Path

    def url(self, path: Path) -> str:
        return "/data/local-files/?d=" + quote(path.relative_to(server.pictures(self.root)).as_posix())


@dataclass(frozen=True)
class Outgoing:
    """A task as it is sent."""

    data: Json
    result: Sequence[Json]
    score: float

    @property
    def key(self) -> str:
        return str(self.data["uid"])

    def prediction(self, version: str) -> Json:
        return {"model_version": version, "score": self.score, "result": list(self.result)}


@dataclass(frozen=True)
class Listed:
    """A task as the server lists it."""

    id: int
    data: Json
    versions: frozenset[str]
    predictions: int
    touched: bool  # annotated, skipped, or being worked on

    @property
    def key(self) -> str:
        return str(self.data.get("uid", ""))


@dataclass(frozen=True)
class Pushed:
    """What a push did."""

    queued: int
    tasks_sent: int
    predictions_sent: int
    removed: int  # duplicates taken back


def push(
    places: Places,
    client: Client,
    pictures: Callable[[project.Project], Pictures],
    settings: Settings,
    version: str,
    *,
    tell: Callable[[str], None] = lambda _: None,
) -> Pushed:
    """Bring the review queue of a flywheel to the server, and this model's predictions to all tasks that nobody has
    touched; make them the ones that are shown.

    Raises what reading the queue raises before anything is sent, and ServiceError when the server cannot be reached,
    refuses, or does not have everything at the end. In each case a later push continues.
    """
    with exclusive(places.lock):
        require_complete(places.root, places.journal)
        rows = read_queue(places.queue, places.root)
        made = list(_encoded(places, rows, settings))
        found = project.ensure(
            client, places.flywheel, settings.target, context=context(settings, rows), annotators=settings.annotators
        )
        served = pictures(found)
        outgoing = [
            Outgoing(task.data(places.flywheel, places.root, served.url), result, task.row.score)
            for task, result in made
        ]
        sender = _Sender(places, client, found, version)
        done = sender.run(outgoing, lambda open_: _refreshed(places, open_, settings), tell)
        if found.model_version != version:
            client.patch(f"/api/projects/{found.id}/", {"model_version": version})
        return done


def context(settings: Settings, rows: Sequence[QueueRow]) -> bool:
    """Whether the page shows neighbouring slices: for volumes, unless there are sections, which have none."""
    return settings.slices and all(row.axis for row in rows)


def predictions_version(places: Places) -> str:
    """Name of the model whose predictions are in the queue: its iteration, and what tells its predictions from others.

    Predictions that were sent before keep their name, also when corrections were pulled since. Raises what `read_queue`
    does and MissingError without a prediction.
    """
    digest = hashlib.sha256()
    for path in sorted({row.prediction_path for row in read_queue(places.queue, places.root)}):
        if not path.exists():
            raise MissingError(path, what="prediction", hint="`dvc repro` makes it")
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                digest.update(content_md5(file).encode())
    name = digest.hexdigest()
    sent = next(places.journal.glob(f"*/prediction-{model_version('*', name)}.json"), None)
    if sent:
        return sent.stem.removeprefix("prediction-")
    return model_version(f"{_iteration(places):03d}", name)


def _iteration(places: Places) -> int:
    """The iteration that predicted: from the record of its run, else counted from the corrections."""
    if places.record.is_file():
        return int(json.loads(places.record.read_text(encoding="utf-8"))["iteration"])
    return iteration(read_corrections(places.table)) if places.table.is_file() else 1


def pictures_for(
    credentials: server.Credentials, client: Client, places: Places
) -> Callable[[project.Project], Pictures]:
    """How pictures get to this server: from the repository's folder when it runs here, else uploaded."""

    def served(found: project.Project) -> Pictures:
        if credentials.is_local:
            places.pictures.mkdir(parents=True, exist_ok=True)
            project.serve_pictures(client, found, str(places.pictures.resolve()))
            return ServedHere(places.root)
        return Uploaded(client, found.id)

    return served


class Uploaded:
    """The server runs elsewhere: pictures are uploaded to its project, each once."""

    def __init__(self, client: Client, project_id: int) -> None:
        self._client, self._project = client, project_id
        uploads = client.get(f"/api/projects/{project_id}/file-uploads", all="true")
        # Label Studio puts a prefix and a dash before the name of an upload.
        self._known = {Path(upload["file"]).name.rsplit("-", 1)[-1]: upload["file"] for upload in uploads}

    def url(self, path: Path) -> str:
        if path.name not in self._known:
            answer = self._client.upload(f"/api/projects/{self._project}/import", path)
            (upload_id,) = answer["file_upload_ids"]
            self._known[path.name] = self._client.get(f"/api/import/file-upload/{upload_id}")["file"]
        return "/data/" + quote(self._known[path.name])


def _encoded(places: Places, rows: Sequence[QueueRow], settings: Settings) -> Iterator[tuple[Task, Sequence[Json]]]:
    for task, mask in all_tasks(places.flywheel, rows, places.pictures, settings.threshold):
        yield task, labels.region(mask, settings.target, task.key[:10])


def _refreshed(places: Places, task: Listed, settings: Settings) -> Outgoing | None:
    """A task of an earlier queue with the prediction that is there now; None when there is none that fits."""
    data = task.data
    try:
        path = inside(places.root, data["prediction_path"])
        mask = read_prediction(path, data["axis"], data["index"], settings.threshold)
        if list(mask.shape) != data["plane"]:
            return None
        cut = mask[labels.part_of(data).slices]
    except (SegwheelError, KeyError, TypeError, ValueError):
        return None
    return Outgoing(data, labels.region(cut, settings.target, task.key[:10]), float(data.get("score") or 0))


class _Sender:
    """Sends what is missing until nothing is."""

    def __init__(self, places: Places, client: Client, found: project.Project, version: str) -> None:
        self._places, self._client, self._project, self._version = places, client, found, version
        self._journal = Journal(places.journal)
        self._tasks_sent = self._predictions_sent = self._removed = 0

    def run(
        self,
        outgoing: Sequence[Outgoing],
        refreshed: Callable[[Listed], Outgoing | None],
        tell: Callable[[str], None],
    ) -> Pushed:
        previous = read_plan(self._places.plan)
        plan = Plan(self._places.flywheel, self._version, {item.key: "planned" for item in outgoing})
        plan.in_flight = previous is not None and previous.in_flight
        plan.write(self._places.plan)
        for item in outgoing:
            self._journal.add_task(item.data)
            self._journal.add_prediction(item.key, self._version, item.result)
        listed = self._settled() if plan.in_flight else self._list()
        for _ in range(_ROUNDS):
            listed = self._without_duplicates(listed)
            tasks = [item for item in outgoing if item.key not in listed]
            predictions = self._lacking(listed, outgoing, refreshed)
            if not tasks and not predictions:
                break
            tell(f"sending {len(tasks)} tasks, {len(predictions)} predictions for tasks that are there")
            self._send_tasks(tasks, plan)
            self._send_predictions(predictions, plan)
            listed = self._without_duplicates(self._list())
        self._confirm(outgoing, listed, plan)
        return Pushed(len(outgoing), self._tasks_sent, self._predictions_sent, self._removed)

    def _list(self) -> dict[str, list[Listed]]:
        """The server's tasks by key."""
        by_key: dict[str, list[Listed]] = {}
        for entry in self._client.tasks(self._project.id, _LISTED, page_size=1000):
            versions = self._versions(entry)
            task = Listed(
                id=entry["id"],
                data=entry["data"],
                versions=versions,
                predictions=entry["total_predictions"],
                touched=bool(entry["annotations"]) or bool(entry["draft_exists"]),
            )
            by_key.setdefault(task.key, []).append(task)
        by_key.pop("", None)  # tasks that a person made by hand
        return by_key

    def _versions(self, entry: Json) -> frozenset[str]:
        names = entry["predictions_model_versions"] or ""
        if len(names) < _CUT_AT:
            return frozenset(filter(None, names.split(",")))
        return frozenset(one["model_version"] for one in self._client.get("/api/predictions/", task=entry["id"]))

    def _settled(self) -> dict[str, list[Listed]]:
        """The listing once it stays the same: a request of a killed push may still be at work in the server."""
        before = self._list()
        while True:
            time.sleep(_SETTLE)
            now = self._list()
            if now == before:
                return now
            before = now

    def _without_duplicates(self, listed: dict[str, list[Listed]]) -> dict[str, list[Listed]]:
        """One task for each key, with one prediction of each version. Tasks that someone touched all stay."""
        kept: dict[str, list[Listed]] = {}
        for key, tasks in listed.items():
            touched = [task for task in tasks if task.touched or (len(tasks) > 1 and self._is_touched(task))]
            kept[key] = touched or [min(tasks, key=lambda task: task.id)]
            for task in tasks:
                if task not in kept[key]:
                    self._client.delete(f"/api/tasks/{task.id}/")
                    self._removed += 1
            for task in kept[key]:
                if task.predictions > len(task.versions):
                    self._remove_repeated_predictions(task)
        return kept

    def _is_touched(self, task: Listed) -> bool:
        """Asked again just before a task is taken back: someone may have begun since the listing."""
        now = self._client.get(f"/api/tasks/{task.id}/")
        return bool(now["annotations"]) or bool(now["drafts"])

    def _remove_repeated_predictions(self, task: Listed) -> None:
        seen = set()
        for prediction in sorted(self._client.get("/api/predictions/", task=task.id), key=lambda one: int(one["id"])):
            if prediction["model_version"] in seen:
                self._client.delete(f"/api/predictions/{prediction['id']}/")
                self._removed += 1
            seen.add(prediction["model_version"])

    def _lacking(
        self,
        listed: dict[str, list[Listed]],
        outgoing: Sequence[Outgoing],
        refreshed: Callable[[Listed], Outgoing | None],
    ) -> list[tuple[int, Outgoing]]:
        """Tasks on the server that lack this model's prediction: those queued, and untouched ones of earlier queues."""
        queued = {item.key: item for item in outgoing}
        lacking = []
        for key, tasks in listed.items():
            for task in tasks:
                if self._version in task.versions:
                    continue
                item = queued.get(key) or (None if task.touched else refreshed(task))
                if item is not None:
                    lacking.append((task.id, item))
        return lacking

    def _send_tasks(self, items: Sequence[Outgoing], plan: Plan) -> None:
        for start in range(0, len(items), BATCH):
            batch = items[start : start + BATCH]
            body = [{"data": item.data, "predictions": [item.prediction(self._version)]} for item in batch]
            answer = self._posted(f"/api/projects/{self._project.id}/import", body, plan)
            # The server drops predictions without an error (a busy SQLite, for one): what it lacks, the listing shows.
            self._tasks_sent += answer["task_count"]
            plan.tasks.update({item.key: "sent" for item in batch})
            plan.write(self._places.plan)

    def _send_predictions(self, items: Sequence[tuple[int, Outgoing]], plan: Plan) -> None:
        for start in range(0, len(items), BATCH):
            batch = items[start : start + BATCH]
            for _, item in batch:
                self._journal.add_prediction(item.key, self._version, item.result)
            body = [{"task": task, **item.prediction(self._version)} for task, item in batch]
            answer = self._posted(f"/api/projects/{self._project.id}/import/predictions", body, plan)
            self._predictions_sent += answer["created"]

    def _posted(self, path: str, body: Any, plan: Plan) -> Any:
        plan.in_flight = True
        plan.write(self._places.plan)
        answer = self._client.post(path, body)
        plan.in_flight = False
        return answer

    def _confirm(self, outgoing: Sequence[Outgoing], listed: dict[str, list[Listed]], plan: Plan) -> None:
        there = {key for key, tasks in listed.items() if all(self._version in task.versions for task in tasks)}
        plan.tasks.update({key: "confirmed" for key in plan.tasks if key in there})
        missing = [item for item in outgoing if item.key not in there]
        plan.in_flight = False
        plan.write(self._places.plan)
        if missing:
            names = ", ".join(json.dumps(item.data["title"], ensure_ascii=False) for item in missing[:5])
            problem = f"{len(missing)} of {len(outgoing)} tasks are not there after sending ({names})"
            raise ServiceError(SERVICE, problem, hint="push again")
