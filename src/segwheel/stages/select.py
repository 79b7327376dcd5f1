"""Stage `select`: the queue of predictions that a person should correct first: images, or slices of volumes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from segwheel.domain.acquisition import Ranked, rank
from segwheel.domain.manifest import Sample, read_manifest, relative, write_manifest
from segwheel.domain.slice_selection import rank_slices
from segwheel.domain.volume_slices import read_slice
from segwheel.formats import volume
from segwheel.formats.files import replacing
from segwheel.formats.picture import save_overlay
from segwheel.formats.prediction_files import MAPS, MASK
from segwheel.formats.tiff import read_image, read_mask
from segwheel.params.images import SelectParams
from segwheel.params.volumes import VolumeSelectParams

QUEUE = "review_queue.csv"
COLUMNS = (
    *("rank", "basename", "axis", "index", "score", "reason"),
    *("image_path", "prediction_path", "probability_path", "picture_path"),
)
Picture = tuple[npt.NDArray[Any], npt.NDArray[np.uint8]]  # an image and its predicted mask, (y, x)


@dataclass(frozen=True)
class _Place:
    """One place of the queue. `show` reads what its picture shows."""

    ranked: Ranked
    sample: Sample
    axis: str
    index: int | None
    prediction: Path
    probability: Path
    show: Callable[[], Picture]


def select(
    manifest: Path, predictions_dir: Path, output_dir: Path, threshold: float, params: SelectParams | VolumeSelectParams
) -> int:
    """Write `review_queue.csv` and a picture of each of its `count` first images or slices to `output_dir`.

    The folder is replaced whole. Paths in the queue are relative to the working directory. Returns how many are in
    the queue.
    """
    samples = read_manifest(manifest)
    if isinstance(params, VolumeSelectParams):
        places = _slices(samples, predictions_dir, threshold, params)
    else:
        places = _images(samples, predictions_dir, threshold, params)
    queue = places[: params.count]
    with replacing(output_dir) as beside:
        (beside / "pictures").mkdir(parents=True)
        rows = []
        for number, place in enumerate(queue, start=1):
            name = f"{number:03d}_{place.ranked.basename}.png"
            save_overlay(beside / "pictures" / name, *place.show())
            rows.append(_row(number, place, output_dir / "pictures" / name))
        write_manifest(beside / QUEUE, rows, COLUMNS)
    return len(queue)


def _images(samples: Sequence[Sample], folder: Path, threshold: float, params: SelectParams) -> list[_Place]:
    by_name = {sample.basename: sample for sample in samples}
    ranked = rank(params.method, _probabilities(folder, by_name), threshold, params.seed)
    return [_image(one, by_name[one.basename], folder) for one in ranked]


def _probabilities(folder: Path, names: Iterable[str]) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    return ((name, read_image(folder / f"{name}{MAPS['mask']}")) for name in names)


def _image(one: Ranked, sample: Sample, folder: Path) -> _Place:
    prediction, probability = (folder / f"{one.basename}{ending}" for ending in (MASK, MAPS["mask"]))
    return _Place(
        one, sample, "", None, prediction, probability, lambda: (read_image(sample.image_path), read_mask(prediction))
    )


def _slices(samples: Sequence[Sample], folder: Path, threshold: float, params: VolumeSelectParams) -> list[_Place]:
    """The slices of all volumes, best first."""
    found = []
    for sample in samples:
        path = folder / sample.basename / "fsem.zarr"
        fsem = volume.open(path)
        label = volume.open(sample.targets["fsem"]) if "fsem" in sample.targets else None
        for place, one in rank_slices(sample.basename, fsem, label, threshold, params):
            show = _shown(sample, path, place.axis, place.index, threshold)
            found.append(_Place(one, sample, place.axis, place.index, path, path, show))
    return sorted(found, key=lambda place: (-place.ranked.score, place.ranked.basename))


def _shown(sample: Sample, fsem: Path, axis: str, index: int | None, threshold: float) -> Callable[[], Picture]:
    def show() -> Picture:
        image, probability = (read_slice(volume.open(path), axis, index) for path in (sample.image_path, fsem))
        return image, (probability >= threshold).astype(np.uint8)

    return show


def _row(number: int, place: _Place, picture: Path) -> dict[str, object]:
    return {
        "rank": number,
        "basename": place.sample.basename,
        "axis": place.axis,
        "index": place.index,
        "score": f"{place.ranked.score:.6f}",
        "reason": place.ranked.reason,
        "image_path": relative(place.sample.image_path),
        "prediction_path": place.prediction.as_posix(),
        "probability_path": place.probability.as_posix(),
        "picture_path": picture.as_posix(),
    }
