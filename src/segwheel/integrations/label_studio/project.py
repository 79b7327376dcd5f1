"""The Label Studio project of a flywheel and its labelling page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import quoteattr

from segwheel.errors import InputError, ServiceError
from segwheel.integrations.label_studio.client import SERVICE, Client
from segwheel.integrations.label_studio.settings import FAULT, MASK

BRUSH, IMAGE = "brush", "image"  # names of the control and of what it paints on, in every result
UNSURE = "unsure"  # painted where nobody should learn or score: unlabelled
_COLOURS = ("#ff5d3b", "#2f9dff", "#ffc928", "#8ee04e", "#c86bff")
_WHAT = {
    MASK: "Correct the painted mask so that it covers the objects and nothing else",
    FAULT: "Correct the painted faults so that each is one thin line where the layers are broken",
}
INSTRUCTIONS = (
    "{what}: paint what is missing, erase what is too much, and submit. Submit it unchanged when it is right: that "
    "counts as looked at. Keys 1 and 2 choose the brush, E the eraser; the tools at the right zoom and set the "
    f"contrast. Paint with “{UNSURE}” where nobody can tell; it is left out of training. Skip a picture that cannot be "
    "used."
)


@dataclass(frozen=True)
class Project:
    """A project on a server; `created_at` tells it from a later one that got the same id."""

    id: int
    created_at: str
    model_version: str


def title(flywheel: str) -> str:
    return f"segwheel: {flywheel}"


def labelling_page(targets: Sequence[str], *, context: bool) -> str:
    """The XML of the page: one brush per mask target, one for `unsure`; with `context` the neighbouring slices too."""
    if not targets or UNSURE in targets or len(set(targets)) < len(targets):
        raise InputError(f"targets {', '.join(targets) or '(none)'}: expected different names, none of them {UNSURE}")
    brushes = "".join(
        f"<Label value={quoteattr(name)} background={quoteattr(colour)} hotkey={quoteattr(str(key))}/>"
        for key, (name, colour) in enumerate(
            [*((name, _COLOURS[i % len(_COLOURS)]) for i, name in enumerate(targets)), (UNSURE, "#9aa5b1")], start=1
        )
    )
    neighbours = (
        '<View style="display: flex; gap: 1em; margin-top: 1em">'
        '<View style="flex: 1"><Header value="$before_title" size="6"/><Image name="before" value="$before"/></View>'
        '<View style="flex: 1"><Header value="$after_title" size="6"/><Image name="after" value="$after"/></View>'
        "</View>"
    )
    return (
        '<View><Header value="$title" size="5"/>'
        f'<BrushLabels name="{BRUSH}" toName="{IMAGE}">{brushes}</BrushLabels>'
        f'<Image name="{IMAGE}" value="$image" zoom="true" zoomControl="true" brightnessControl="true" '
        'contrastControl="true" rotateControl="false" smoothing="false"/>' + (neighbours if context else "") + "</View>"
    )


def find(client: Client, flywheel: str) -> Project | None:
    """The flywheel's project, the oldest when there are several."""
    found = [
        Project(entry["id"], entry["created_at"], entry["model_version"] or "")
        for entry in client.get("/api/projects/", title=title(flywheel), include="id,title,model_version,created_at")[
            "results"
        ]
        if entry["title"] == title(flywheel)
    ]
    return min(found, key=lambda project: project.id, default=None)


def require(client: Client, flywheel: str) -> Project:
    """The flywheel's project; raises ServiceError when the server has none."""
    project = find(client, flywheel)
    if project is None:
        problem = f"there is no project “{title(flywheel)}” on the server"
        raise ServiceError(SERVICE, problem, hint=f"`segwheel labels push {flywheel}` makes it")
    return project


def count_annotations(client: Client, project: Project) -> int:
    """How many annotations there are now in a project, skips among them."""
    counts = ("total_annotations_number", "skipped_annotations_number")
    found = client.get("/api/projects/", ids=project.id, include=",".join(("id", *counts)))["results"]
    return sum(entry[name] for entry in found if entry["id"] == project.id for name in counts)


def ensure(client: Client, flywheel: str, target: str, *, context: bool, annotators: int = 1) -> Project:
    """Make the project, or bring its page up to date. Tasks and annotations are not touched.

    `annotators` is how many people the server asks about each task.
    """
    settings: dict[str, Any] = {
        "title": title(flywheel),
        "label_config": labelling_page([target], context=context),
        "expert_instruction": INSTRUCTIONS.format(what=_WHAT[target]),
        "show_instruction": True,
        "show_collab_predictions": True,
        "maximum_annotations": annotators,
    }
    project = find(client, flywheel)
    if project is None:
        made = client.post("/api/projects/", settings)
        return Project(made["id"], made["created_at"], made["model_version"] or "")
    client.patch(f"/api/projects/{project.id}/", settings)
    return project


def serve_pictures(client: Client, project: Project, folder: str) -> None:
    """Let the server hand out the pictures below `folder` to whoever may see the project."""
    storages = client.get("/api/storages/localfiles", project=project.id)
    if not any(storage["path"] == folder for storage in storages):
        body = {"project": project.id, "path": folder, "title": "segwheel pictures", "use_blob_urls": False}
        client.post("/api/storages/localfiles", body)
