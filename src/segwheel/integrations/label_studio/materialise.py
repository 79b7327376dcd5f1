"""Journal -> corrections: the current labels as mask files and the table that says where they come from."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from segwheel.domain.corrections import Correction, merge, read_corrections, write_corrections
from segwheel.errors import MissingError
from segwheel.formats.files import content_md5
from segwheel.formats.tiff import UNLABELLED, read_mask, write_mask
from segwheel.integrations.label_studio import labels
from segwheel.integrations.label_studio.journal import Record, moment
from segwheel.integrations.label_studio.labels import Label, Place, TaskLabel
from segwheel.integrations.label_studio.paths import Places

_ITERATION = re.compile(r"iteration-(\d+)")


@dataclass(frozen=True)
class Materialised:
    """What changed in the corrections."""

    written: Sequence[Correction] = ()
    removed: Sequence[Correction] = ()
    agreement: dict[str, float] = field(default_factory=dict)  # mean Dice of several annotators, by task
    crossings: dict[str, int] = field(default_factory=dict)  # voxels that crossing slices disagreed about
    problems: dict[str, str] = field(default_factory=dict)  # why the last word on a task cannot be used, by task


def materialise(
    places: Places, records: Iterable[Record], target: str, rule: str, track: Callable[[Sequence[Path]], None]
) -> Materialised:
    """Make the corrections say what the journal says, and put them under DVC with `track`.

    The table comes last: when anything before it fails, the flywheel's labels are as they were. Raises MissingError
    when masks that came another way are not on disk: DVC would forget them.

    A correction that came another way stays unless the journal has a later one. Masks whose content does not change
    are not written. Several parts of one image become one mask, unlabelled where a part has no label.
    """
    known = list(records)
    by_place: dict[Place, list[TaskLabel]] = defaultdict(list)
    agreement: dict[str, float] = {}
    problems: dict[str, str] = {}
    for record in known:
        if found := labels.problems(record):
            problems[record.data["title"]] = "; ".join(found)
        label = labels.current(record, target, rule)
        if label:
            by_place[label.place].append(label)
            if label.agreement is not None:
                agreement[record.data["title"]] = label.agreement
    table = read_corrections(places.table) if places.table.is_file() else []
    current, ours = {row.key: row for row in table}, _stamps(known)
    _require_masks_of_others(places, [row for row in table if not _is_ours(row, ours)])
    planes = [_joined(parts) for place, parts in by_place.items() if not _is_later(current.get(place), parts, ours)]
    crossings = _resolve_crossings(sorted(planes, key=lambda plane: plane.time))
    written = [row for row in (_write(places, plane) for plane in planes) if row != current.get(row.key)]
    removed = [row for row in table if row.key not in by_place and _is_ours(row, ours)]
    for row in removed:
        (places.corrections / Path(row.mask_path).name).unlink(missing_ok=True)
    track([path for path in (places.journal, places.corrections) if path.exists()])
    if written or removed:
        write_corrections(places.table, merge([row for row in table if row not in removed], written))
    return Materialised(written, removed, agreement, crossings, problems)


@dataclass
class _Plane:
    """The current label of one image or slice, joined from its parts."""

    place: Place
    mask: Label
    axes: tuple[str, ...]
    parts: Sequence[TaskLabel]

    @property
    def time(self) -> datetime:
        return max(part.time for part in self.parts)

    def along(self, axis: str, index: int) -> Label:
        """The line of this slice that lies at `index` of another axis, as a view."""
        kept = [name for name in self.axes if name != self.place[1]]
        line: Label = np.moveaxis(self.mask, kept.index(axis), 0)[index]
        return line


def _joined(parts: Iterable[TaskLabel]) -> _Plane:
    """One mask from the labels of its parts, the latest over the others, unlabelled where none has a label."""
    ordered = sorted(parts, key=lambda part: part.time)
    newest = ordered[-1]
    same = [part for part in ordered if part.plane == newest.plane]  # an image may have been replaced by another size
    mask: Label = np.full(newest.plane, UNLABELLED, dtype=np.uint8)
    for part in same:
        mask[part.part.slices] = part.label
    return _Plane(newest.place, mask, newest.axes, same)


def _resolve_crossings(planes: Sequence[_Plane]) -> dict[str, int]:
    """Where slices of one volume cross, let the later one (they come oldest first) have its say in both.

    Returns how many voxels two slices disagreed about, by their names.
    """
    disagreed = {}
    for newer_index, newer in enumerate(planes):
        for older in planes[:newer_index]:
            (sample, axis, index), (other_sample, other_axis, other_index) = newer.place, older.place
            if sample != other_sample or axis == other_axis or not axis or not other_axis or newer.axes != older.axes:
                continue
            assert index is not None, "a slice has an index"
            assert other_index is not None, "a slice has an index"
            says, said = newer.along(other_axis, other_index), older.along(axis, index)
            judged = says != UNLABELLED
            count = int((judged & (said != UNLABELLED) & (says != said)).sum())
            if count:
                disagreed[f"{sample}: {other_axis} {other_index} and {axis} {index}"] = count
            said[judged] = says[judged]
    return disagreed


def _stamps(records: Iterable[Record]) -> set[tuple[Place, str]]:
    """The moments at which the journal's revisions were made: how its own rows of the table are told from others."""
    return {
        (labels.place_of(record.data), revision.time.isoformat()) for record in records for revision in record.revisions
    }


def _require_masks_of_others(places: Places, rows: Iterable[Correction]) -> None:
    for row in rows:
        path = places.data / row.mask_path
        if not path.is_file():
            folder = places.corrections.relative_to(places.root)
            raise MissingError(path, what="corrected mask", hint=f"`dvc pull {folder}.dvc` brings it")


def _is_ours(row: Correction, ours: set[tuple[Place, str]]) -> bool:
    return (row.key, row.corrected_at) in ours


def _is_later(row: Correction | None, parts: Sequence[TaskLabel], ours: set[tuple[Place, str]]) -> bool:
    """Whether a correction that came another way is later than all that the journal has."""
    if row is None or _is_ours(row, ours):
        return False
    return moment(row.corrected_at) > max(part.time for part in parts)


def _write(places: Places, plane: _Plane) -> Correction:
    """Write the mask unless it is there, and return its row of the table."""
    row = _row(plane.place, plane.parts)
    path = places.corrections / row.mask_name
    if not path.is_file() or not np.array_equal(read_mask(path), plane.mask):
        write_mask(path, plane.mask)
    return replace(row, mask_path=f"{places.corrections.name}/{path.name}", mask_md5=content_md5(path))


def _row(place: Place, parts: Sequence[TaskLabel]) -> Correction:
    revisions = [revision for part in parts for revision in part.revisions]
    newest = max(revisions, key=lambda revision: revision.time)
    times = [revision.lead_time for revision in revisions if revision.lead_time is not None]
    changed = [revision.changed["pixels_changed"] for revision in revisions]
    accepted = all(revision.changed["outcome"] == "accepted" for revision in revisions)
    iteration = _ITERATION.search(newest.model_version)
    return Correction(
        basename=place[0],
        axis=place[1],
        index=place[2],
        mask_path="",
        mask_md5="",
        annotator=" ".join(sorted({revision.annotator for revision in revisions})),
        corrected_at=newest.time.isoformat(),
        lead_time_s=round(sum(times), 3) if times else None,
        outcome="accepted" if accepted else "edited",
        model_version=newest.model_version,
        pixels_changed=None if None in changed else sum(changed),
        iteration=int(iteration[1]) if iteration else 1,
    )
