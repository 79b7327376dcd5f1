"""What annotations mean: painted regions as labels, revisions as the current label of a task.

A submitted annotation labels its whole picture, changed or not: painted is foreground, the rest is background, and
what is painted with `unsure` is unlabelled. A skipped or deleted annotation labels nothing, and a task that nobody
submitted has no label.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from segwheel.axes import Region
from segwheel.errors import FormatError, InputError
from segwheel.formats import brush
from segwheel.formats.tiff import BACKGROUND, FOREGROUND, UNLABELLED
from segwheel.integrations.label_studio.journal import Json, Record, Revision
from segwheel.integrations.label_studio.project import BRUSH, IMAGE, UNSURE

Label = npt.NDArray[np.uint8]
Place = tuple[str, str, int | None]  # sample, axis, index
_BRUSH = "brushlabels"


@dataclass(frozen=True)
class TaskLabel:
    """The current label of one task and the revisions that it comes from."""

    place: Place
    part: Region
    plane: tuple[int, int]
    axes: tuple[str, ...]  # of the volume that is cut, in array order; () for an image
    label: Label
    revisions: Sequence[Revision]
    agreement: float | None  # mean Dice over pairs of annotators, None with fewer than two

    @property
    def time(self) -> datetime:
        return max(revision.time for revision in self.revisions)


def region(mask: npt.NDArray[np.bool_], target: str, name: str) -> list[Json]:
    """A mask as the result of a prediction: one painted region, none when nothing is foreground."""
    if not mask.any():
        return []
    height, width = mask.shape
    return [
        {
            "id": name, "type": _BRUSH, "from_name": BRUSH, "to_name": IMAGE, "image_rotation": 0,
            "original_width": width, "original_height": height,
            "value": {"format": "rle", "rle": list(brush.encode(mask)), _BRUSH: [target]},
        }
    ]  # fmt: skip


def label_of(result: Sequence[Mapping[str, Any]], shape: tuple[int, int], target: str, source: str) -> Label:
    """The label (y, x) that a result paints. `source` names it in a FormatError, raised when it cannot be used."""
    painted = {target: np.zeros(shape, dtype=np.bool_), UNSURE: np.zeros(shape, dtype=np.bool_)}
    for item in result:
        name, rle = _checked(item, painted, shape, source)
        painted[name] |= brush.decode(rle, shape, source)
    label = np.where(painted[target], np.uint8(FOREGROUND), np.uint8(BACKGROUND))
    label[painted[UNSURE]] = UNLABELLED
    return label


def _checked(item: Any, names: Mapping[str, object], shape: tuple[int, int], source: str) -> tuple[str, Any]:
    """Name and run lengths of a painted region, once it fits the page and the picture."""
    expected = f"regions painted with {' or '.join(names)} on {shape[0]} x {shape[1]} pixels"
    try:
        value, size = item["value"], (item["original_height"], item["original_width"])
        (name,) = value[_BRUSH]
        found = f"{name} on {size[0]} x {size[1]} pixels" if value["format"] == "rle" else f"{value['format']}"
        fits = item["from_name"] == BRUSH and name in names and size == shape and value["format"] == "rle"
        rle = value["rle"]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        found = f"a region of another kind ({type(error).__name__} {error})"
        raise FormatError(source, expected=expected, found=found) from error
    if not fits:
        raise FormatError(source, expected=expected, found=found)
    return name, rle


def changes(label: Label, predicted: Label | None) -> dict[str, Any]:
    """What a person changed: outcome, and how many judged pixels differ from the prediction (None without one)."""
    if predicted is None:
        return {"outcome": "edited", "pixels_changed": None}
    count = int(((label != predicted) & (label != UNLABELLED)).sum())
    return {"outcome": "accepted" if np.array_equal(label, predicted) else "edited", "pixels_changed": count}


def place_of(data: Json) -> Place:
    return data["basename"], data["axis"], data["index"]


def part_of(data: Json) -> Region:
    return Region(tuple(data["start"]), tuple(data["stop"]))


def latest(labels: Sequence[Label]) -> Label:
    """The label of the last annotation alone."""
    return labels[-1]


def majority(labels: Sequence[Label]) -> Label:
    """Foreground or background where more than half of the annotators say so, unlabelled elsewhere."""
    out = np.full(labels[0].shape, UNLABELLED, dtype=np.uint8)
    for value in (BACKGROUND, FOREGROUND):
        votes = np.sum([label == value for label in labels], axis=0)
        out[2 * votes > len(labels)] = value
    return out


RULES: dict[str, Callable[[Sequence[Label]], Label]] = {"latest": latest, "majority": majority}


def current(record: Record, target: str, rule: str) -> TaskLabel | None:
    """The label of a task now, None when it has none.

    Of an annotation whose last revision cannot be used, the last one that can counts.
    Raises InputError when `rule` is none of RULES.
    """
    if rule not in RULES:
        raise InputError(f"rule “{rule}”: expected {' or '.join(RULES)}")
    part = part_of(record.data)
    shape = part.shape[0], part.shape[1]
    by_annotator: dict[str, Revision] = {}
    for revision in sorted(filter(None, map(_usable(record), record.latest())), key=lambda usable: usable.time):
        by_annotator.pop(revision.annotator, None)  # so that the order stays that of time
        by_annotator[revision.annotator] = revision
    revisions = list(by_annotator.values())
    if not revisions:
        return None
    labels = [label_of(revision.result, shape, target, record.key) for revision in revisions]
    return TaskLabel(
        place=place_of(record.data),
        part=part,
        plane=(record.data["plane"][0], record.data["plane"][1]),
        axes=tuple(record.data["axes"]),
        label=RULES[rule](labels),
        revisions=revisions[-1:] if rule == "latest" else revisions,
        agreement=_agreement(labels),
    )


def problems(record: Record) -> list[str]:
    """What keeps the last revisions of a task's annotations from being labels."""
    submitted = (revision for revision in record.latest() if not revision.cancelled)
    return [revision.changed["problem"] for revision in submitted if "problem" in revision.changed]


def _usable(record: Record) -> Callable[[Revision], Revision | None]:
    """Of a last revision: itself when it can be used, else the one before that can; None for a skipped one."""

    def usable(last: Revision) -> Revision | None:
        if last.cancelled:
            return None
        same = [revision for revision in record.revisions if revision.identity == last.identity]
        good = [revision for revision in same if not revision.cancelled and "problem" not in revision.changed]
        return max(good, key=lambda revision: revision.time, default=None)

    return usable


def _agreement(labels: Sequence[Label]) -> float | None:
    """Mean Dice over all pairs; two that paint nothing agree."""
    scores = []
    for one, other in combinations(labels, 2):
        both = (one != UNLABELLED) & (other != UNLABELLED)
        total = int((one[both] == FOREGROUND).sum() + (other[both] == FOREGROUND).sum())
        common = int(((one == FOREGROUND) & (other == FOREGROUND)).sum())
        scores.append(2 * common / total if total else 1.0)
    return float(np.mean(scores)) if scores else None
