"""Rows of the review queue as labelling tasks: their identity, their pictures, and the predictions to correct.

A task is one image, one part of an image that is too large for the page, or one slice of a volume. Its key is a hash of
the flywheel, the sample, the slice or part, and the image content: the same picture is the same task however often it
is sent, and a picture that changed is another task. Label Studio's own ids are reused and identify nothing.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from segwheel.axes import Region
from segwheel.domain.volume_slices import find_slice
from segwheel.errors import FormatError, ManifestError, MissingError
from segwheel.formats import volume
from segwheel.formats.picture import Window, save_png
from segwheel.formats.tiff import FOREGROUND, read_image, read_mask

MAX_PIXELS = 2**26  # the page shows less than this many
_PART = 4096  # greatest side of a part of an image that is cut
_COLUMNS = ("basename", "axis", "index", "image_path", "prediction_path")
CONTEXT = 2  # the slices so far before and after are shown beside a slice
_VOLUME = ".zarr"

Plane = npt.NDArray[Any]


@dataclass(frozen=True)
class Neighbour:
    """A slice that is shown for context."""

    title: str
    plane: Plane


@dataclass(frozen=True)
class Shown:
    """What a queue row shows: an image, a section or a slice, (y, x)."""

    plane: Plane
    axes: tuple[str, ...] = ()  # of the volume that is cut, in array order; () for an image
    before: Neighbour | None = None
    after: Neighbour | None = None


@dataclass(frozen=True)
class QueueRow:
    """One row of `review_queue.csv`. Paths are absolute; `axis` is "" for an image or a section."""

    basename: str
    axis: str
    index: int | None
    image_path: Path
    prediction_path: Path
    rank: int
    score: float
    reason: str


@dataclass(frozen=True)
class Task:
    """One labelling task: what it shows and where in its sample that lies."""

    key: str
    content: str  # hash of the source's pixels
    basename: str
    axis: str
    index: int | None
    axes: tuple[str, ...]  # of the volume that is cut, in array order; () for an image
    part: Region  # of the plane, (y, x)
    plane: tuple[int, int]  # shape of the whole image or slice
    window: Window  # shown as black and white
    picture: Path
    neighbours: Mapping[str, tuple[str, Path]]  # title and picture of those `before` and `after`
    row: QueueRow

    @property
    def name(self) -> str:
        """What messages call it."""
        cut = f" {self.axis} {self.index}" if self.axis else ""
        part = "" if self.part.shape == self.plane else f" part {self.part.start[0]},{self.part.start[1]}"
        return f"{self.basename}{cut}{part}"

    def data(self, flywheel: str, root: Path, url: Callable[[Path], str]) -> dict[str, Any]:
        """The task's data on the server; everything that pull needs to know where the mask belongs."""
        data: dict[str, Any] = {
            "uid": self.key, "source_hash": self.content, "title": self.name, "image": url(self.picture),
            "flywheel": flywheel, "basename": self.basename, "axis": self.axis, "index": self.index,
            "axes": list(self.axes), "start": list(self.part.start), "stop": list(self.part.stop),
            "plane": list(self.plane), "window": [self.window.low, self.window.high],
            "rank": self.row.rank, "score": self.row.score, "reason": self.row.reason,
            "image_path": self.row.image_path.relative_to(root).as_posix(),
            "prediction_path": self.row.prediction_path.relative_to(root).as_posix(),
        }  # fmt: skip
        for side, (title, picture) in self.neighbours.items():
            data |= {side: url(picture), f"{side}_title": title}
        return data


def read_queue(path: Path, root: Path) -> list[QueueRow]:
    """The rows of `review_queue.csv`, best first.

    Raises MissingError without a file and ManifestError when a row cannot be used: a column that is missing, a number
    that is none, a path outside `root`, or two rows with one name.
    """
    if not path.is_file():
        raise MissingError(path, what="review queue", hint="`dvc repro` makes it")
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            found = ",".join(reader.fieldnames or ())
            raise ManifestError(path, expected=f"columns {','.join(_COLUMNS)}", found=found)
        rows = [_row(f"{path}:{reader.line_num}", row, root) for row in reader]
    first: dict[tuple[str, str, int | None], QueueRow] = {}
    for row in rows:
        other = first.setdefault((row.basename, row.axis, row.index), row)
        if other is not row:
            both = f"{row.basename} twice ({other.image_path} and {row.image_path})"
            raise ManifestError(path, expected="one row for each image or slice", found=both)
    return sorted(rows, key=lambda row: row.rank)


def _row(place: str, row: Mapping[str, str], root: Path) -> QueueRow:
    try:
        return QueueRow(
            basename=row["basename"],
            axis=row["axis"],
            index=int(row["index"]) if row["index"] else None,
            image_path=inside(root, row["image_path"]),
            prediction_path=inside(root, row["prediction_path"]),
            rank=int(row.get("rank") or 0),
            score=float(row.get("score") or 0),
            reason=row.get("reason") or "",
        )
    except ValueError as error:
        raise ManifestError(place, expected="paths of this repository and numbers", found=str(error)) from error


def make_tasks(flywheel: str, row: QueueRow, folder: Path) -> Iterator[Task]:
    """The tasks of one queue row, their pictures written below `folder` as 8-bit PNG.

    Several when the image has MAX_PIXELS or more; they cover it without overlap.
    """
    shown = _shown(row)
    plane, shape = shown.plane, (shown.plane.shape[0], shown.plane.shape[1])
    window = _window(plane)
    for part in parts(shape, MAX_PIXELS):
        cut = plane[part.slices]
        content = hashlib.sha256(np.ascontiguousarray(cut).tobytes()).hexdigest()[:32]
        sides = {side: one for side, one in (("before", shown.before), ("after", shown.after)) if one}
        yield Task(
            key=_key(flywheel, row.basename, row.axis, row.index, part.start, part.stop, cut.dtype.str, content),
            content=content,
            basename=row.basename,
            axis=row.axis,
            index=row.index,
            axes=shown.axes,
            part=part,
            plane=shape,
            window=window,
            picture=_picture(folder, cut, window),
            neighbours={
                side: (one.title, _picture(folder, one.plane[part.slices], window)) for side, one in sides.items()
            },
            row=row,
        )


def read_prediction(path: Path, axis: str, index: int | None, threshold: float) -> npt.NDArray[np.bool_]:
    """The predicted foreground of an image or slice, (y, x): a mask TIFF, or a volume of probabilities or of 0/1.

    Probabilities count from `threshold` on. Nothing is predicted where a volume is dead.
    """
    if path.suffix != _VOLUME:
        label = read_mask(path)
        return np.asarray(label == FOREGROUND)
    plane = _slice(volume.open(path), axis, index)
    mask: npt.NDArray[np.bool_] = plane >= threshold if plane.dtype.kind == "f" else plane == FOREGROUND
    return mask


def inside(root: Path, path: str) -> Path:
    """A path of the repository at `root`, absolute. Raises ValueError for one that leads out of it."""
    found = (root / path).resolve()
    if not found.is_relative_to(root.resolve()) or not path:
        raise ValueError(f"path “{path}”")
    return root / found.relative_to(root.resolve())


def parts(shape: tuple[int, int], max_pixels: int) -> list[Region]:
    """The whole plane, or, when that has `max_pixels` or more, about equal boxes that cover it without overlap."""
    if shape[0] * shape[1] < max_pixels:
        return [Region.whole(shape)]
    side = min(_PART, int(max_pixels**0.5) - 1)
    rows, columns = (_cuts(length, side) for length in shape)
    return [Region((y0, x0), (y1, x1)) for y0, y1 in rows for x0, x1 in columns]


def _cuts(length: int, side: int) -> list[tuple[int, int]]:
    count = ceil(length / side)
    edges = [length * i // count for i in range(count + 1)]
    return list(pairwise(edges))


def _shown(row: QueueRow) -> Shown:
    """What the row shows; for a slice also its neighbours, at the border the outermost slice there is."""
    if row.image_path.suffix != _VOLUME:
        return Shown(read_image(row.image_path))
    opened = volume.open(row.image_path)
    plane = _slice(opened, row.axis, row.index)
    if row.index is None:
        return Shown(plane, opened.axes)
    last = opened.shape[opened.axes.index(row.axis)] - 1
    sides = max(row.index - CONTEXT, 0), min(row.index + CONTEXT, last)
    before, after = (Neighbour(f"{row.axis} {index}", _slice(opened, row.axis, index)) for index in sides)
    return Shown(plane, opened.axes, before, after)


def _slice(opened: volume.Volume, axis: str, index: int | None) -> Plane:
    """A slice of a volume, or a whole section, (y, x); samples that are dead are not-a-number."""
    place = find_slice(opened, axis, index)
    values, live = opened.read_with_live(place.region)
    if values.dtype.kind == "f":
        values[~live] = np.nan
    return values.reshape(place.shape)


def _key(*identity: object) -> str:
    return hashlib.sha256("\0".join(map(str, identity)).encode()).hexdigest()[:32]


def _window(plane: Plane) -> Window:
    """Values shown as black and as white. 8-bit images are shown as they are."""
    return Window(0.0, 255.0) if plane.dtype == np.uint8 else Window.measure(plane)


def _picture(folder: Path, plane: Plane, window: Window) -> Path:
    """Write a windowed 8-bit PNG, named by what it shows."""
    shown = window.apply(plane)
    path = folder / f"{_key(shown.shape, hashlib.sha256(shown.tobytes()).hexdigest())}.png"
    if not path.exists():
        save_png(path, shown)
    return path


def all_tasks(
    flywheel: str, rows: Sequence[QueueRow], folder: Path, threshold: float
) -> Iterator[tuple[Task, npt.NDArray[np.bool_]]]:
    """Every task of the queue with the prediction that it shows.

    Raises FormatError when a prediction has another size than its image.
    """
    for row in rows:
        prediction = read_prediction(row.prediction_path, row.axis, row.index, threshold)
        for task in make_tasks(flywheel, row, folder):
            if prediction.shape != task.plane:
                expected, found = (f"{y} x {x} pixels" for y, x in (task.plane, prediction.shape))
                raise FormatError(row.prediction_path, expected=f"{expected} as {row.image_path}", found=found)
            yield task, prediction[task.part.slices]
