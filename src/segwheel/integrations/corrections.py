"""Taking corrected masks into a flywheel: checked first, written whole, put under DVC."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from segwheel.domain.corrections import (
    ENDING,
    Correction,
    Key,
    iteration,
    mask_name,
    merge,
    parse_mask_name,
    read_corrections,
    write_corrections,
)
from segwheel.domain.index import read_index
from segwheel.domain.manifest import read_manifest, read_table
from segwheel.domain.volume_files import OnGrid
from segwheel.domain.volume_slices import find_slice, read_slice
from segwheel.errors import FormatError, InputError, MissingError
from segwheel.formats import volume
from segwheel.formats.files import content_md5
from segwheel.formats.prediction_files import MASK
from segwheel.formats.tiff import label_from_file_values, read_image, read_mask, read_mask_values, remark, write_mask
from segwheel.integrations.dvc import output_hash, require_complete

Label = npt.NDArray[np.uint8]
Masks = Mapping[Key, Label]
FAULT = 0.5  # a predicted fault is more probable than this, also on the page where people correct


def from_folder(root: Path, flywheel: str, folder: Path) -> Masks:
    """The corrected masks of a folder: `<name>_mask.tif`, or `<name>_<axis>_<index>_mask.tif` of a volume's slices.

    Raises MissingError when there are none, InputError for names that the flywheel does not have, and FormatError
    for a mask that is damaged or does not fit its image.
    """
    paths = sorted(folder.glob(f"*{ENDING}"))
    if not paths:
        raise MissingError(folder / f"*{ENDING}", what="corrected mask")
    images = _images(root, flywheel)
    keys = {path: parse_mask_name(path.name, images.keys()) for path in paths}
    unknown = [path.name.removesuffix(ENDING) for path, key in keys.items() if key is None]
    if unknown:
        raise InputError(f"{folder}: flywheel {flywheel} has no image {', '.join(unknown)}; nothing was taken in")
    return {key: _fitting(path, _told(path), images[key[0]], key) for path, key in keys.items() if key}


def _told(path: Path) -> Label:
    """A mask, with a word about one that is not as usual."""
    values = read_mask_values(path)
    if text := remark(path, values):
        logging.getLogger(__name__).warning(text)
    return label_from_file_values(path, values)


def simulated(root: Path, flywheel: str, count: int) -> Masks:
    """The hidden truth of the first `count` images or slices of the review queue, as a tireless annotator gives it.

    Raises MissingError when there is no queue, and InputError when the queue holds an image of unknown truth.
    """
    folder = root / "data" / flywheel
    rows = [row for _, row in read_table(folder / "queue" / "review_queue.csv", ("basename",))][:count]
    queue = [(row["basename"], row.get("axis", ""), int(row["index"]) if row.get("index") else None) for row in rows]
    truths = dict(_truths(folder))
    unknown = sorted({name for name, _, _ in queue} - truths.keys())
    if unknown:
        raise InputError(f"{flywheel}: no hidden truth of {', '.join(unknown)}; a person has to correct these")
    images = _images(root, flywheel)
    return {key: _fitting(truths[key[0]], _label(truths[key[0]], key), images[key[0]], key) for key in queue}


def take_in(
    root: Path, flywheel: str, masks: Masks, annotator: str, dvc_add: Callable[[Path, Path], Any]
) -> list[Correction]:
    """Write masks to `data/<flywheel>/corrections`, put the folder under DVC, then write the table.

    The table comes last: when anything before it fails, the flywheel's labels are as they were. Raises MissingError
    in a clone that lacks earlier corrections: DVC would forget them.
    """
    folder = root / "data" / flywheel
    require_complete(root, Path("data") / flywheel / "corrections")
    table = folder / "corrections.csv"
    current = read_corrections(table)
    predictions, now = folder / "predictions", datetime.now(UTC).isoformat(timespec="seconds")
    turn, version = _model(root, flywheel)
    taken = []
    for key, label in masks.items():
        path = folder / "corrections" / mask_name(key)
        write_mask(path, label)
        changed = _pixels_changed(predictions, key, label)
        taken.append(
            Correction(
                *key,
                mask_path=path.relative_to(folder).as_posix(),
                mask_md5=content_md5(path),
                annotator=annotator,
                corrected_at=now,
                lead_time_s=None,
                outcome="accepted" if changed == 0 else "edited",
                model_version=version,
                pixels_changed=changed,
                iteration=turn or iteration(current),
            )
        )
    if taken:
        dvc_add(root, Path("data") / flywheel / "corrections")
        write_corrections(table, merge(current, taken))
    return taken


def _images(root: Path, flywheel: str) -> dict[str, Path]:
    manifest = root / "data" / flywheel / "manifest" / "all.csv"
    return {sample.basename: sample.image_path for sample in read_manifest(manifest, root.absolute())}


def _truths(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every mask that the flywheel's files hold, hidden ones too: imported beside the index, generated or converted."""
    for base in (folder, folder / "samples"):
        if (base / "index.csv").is_file():
            for entry in read_index(base / "index.csv"):
                mask = entry.labels.get("mask") or entry.labels.get("fsem")
                if mask and (base / mask.path).exists():
                    yield entry.basename, base / mask.path


def _is_volume(path: Path) -> bool:
    return path.suffix == ".zarr"


def _label(path: Path, key: Key) -> Label:
    """What a mask file, or the slice `key` of a label volume, says."""
    return read_slice(volume.open(path), *key[1:]) if _is_volume(path) else read_mask(path)


def _fitting(path: Path, label: Label, image_path: Path, key: Key) -> Label:
    """`label`, which came from `path`, if it has the shape of what it corrects."""
    _, axis, index = key
    if _is_volume(image_path):
        opened = volume.open(image_path)
        shape = find_slice(OnGrid(path, opened.shape, opened.geometry), axis, index).shape
    elif axis:
        raise FormatError(path, expected=f"a mask of {image_path.name}, which is no volume", found=f"{axis} {index}")
    else:
        shape = read_image(image_path).shape
    if label.shape != shape:
        where = f"{axis} {index} of {image_path.parent.name}" if axis else image_path.name
        raise FormatError(path, expected=f"a mask of {shape}, as {where}", found=f"{label.shape}")
    return label


def _pixels_changed(predictions: Path, key: Key, label: Label) -> int | None:
    """How many judged pixels differ from the prediction, None when there was none."""
    image, faults = predictions / f"{key[0]}{MASK}", predictions / key[0] / "fsem.zarr"
    if image.is_file():
        predicted = read_mask(image)
    elif faults.is_dir():
        predicted = (read_slice(volume.open(faults), *key[1:]) > FAULT).astype(np.uint8)
    else:
        return None
    return int(np.count_nonzero((predicted != label) & (label != 255)))


def _model(root: Path, flywheel: str) -> tuple[int | None, str]:
    """The iteration that predicted and the version of its model; nothing before the first."""
    from segwheel.integrations.mlflow_tracker import read_record

    record, model = Path("models") / flywheel / "run.json", Path("models") / flywheel / "model.pth"
    if not (root / record).is_file():
        return None, ""
    return read_record(root / record).iteration, (output_hash(root, model) or "")[:12]
