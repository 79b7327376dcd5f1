"""Where the corrections of a flywheel stand."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from segwheel.errors import MissingError
from segwheel.integrations.label_studio import project
from segwheel.integrations.label_studio.client import Client
from segwheel.integrations.label_studio.journal import Journal, project_tag
from segwheel.integrations.label_studio.paths import Places
from segwheel.integrations.label_studio.plan import read_plan
from segwheel.integrations.label_studio.tasks import read_queue

_LISTED = "id,data,annotations,completed_by,was_cancelled,updated_at,draft_exists"


@dataclass(frozen=True)
class Status:
    """Numbers of tasks. A task is counted once on the server: untouched, in progress, returned, or skipped."""

    queued: int  # rows of the review queue, images and slices
    unconfirmed: int  # tasks that the last push did not get to the server
    untouched: int
    in_progress: int  # someone has an unfinished draft
    returned: int  # submitted
    skipped: int
    pulled: int  # annotations as they were pulled
    unpulled: int  # annotations that are new or changed since they were pulled, or never were
    annotators: Counter[str] = field(default_factory=Counter)  # submitted tasks by person


def status(places: Places, client: Client) -> Status:
    """Ask the server. Raises ServiceError when it cannot be reached or has no project for this flywheel."""
    found = project.require(client, places.flywheel)
    tag, journal = project_tag(found.id, found.created_at), Journal(places.journal)
    emails = {user["id"]: user["email"] for user in client.get("/api/users/")}
    states: Counter[str] = Counter()
    annotators: Counter[str] = Counter()
    pulled: Counter[bool] = Counter()
    for task in client.tasks(found.id, _LISTED, page_size=1000):
        annotations = task["annotations"]
        submitted = [one for one in annotations if not one["was_cancelled"]]
        states[_state(bool(submitted), bool(task["draft_exists"]), bool(annotations))] += 1
        annotators.update({emails.get(one["completed_by"], f"user {one['completed_by']}") for one in submitted})
        key = task["data"].get("uid")
        pulled.update(bool(key) and journal.has_revision(key, tag, one["id"], one["updated_at"]) for one in annotations)
    plan = read_plan(places.plan)
    return Status(
        queued=_queued(places),
        unconfirmed=len(plan.tasks) - plan.count("confirmed") if plan else 0,
        untouched=states["untouched"],
        in_progress=states["in progress"],
        returned=states["returned"],
        skipped=states["skipped"],
        pulled=pulled[True],
        unpulled=pulled[False],
        annotators=annotators,
    )


def _state(submitted: bool, draft: bool, annotated: bool) -> str:
    if draft:
        return "in progress"
    if submitted:
        return "returned"
    return "skipped" if annotated else "untouched"


def _queued(places: Places) -> int:
    try:
        return len(read_queue(places.queue, places.root))
    except MissingError:
        return 0
