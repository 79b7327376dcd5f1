"""Choosing training patches: where to cut, and cutting beyond the border of an array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from segwheel.axes import Region

UNLABELLED = 255  # in label arrays: nobody judged the element
_TRIES = 20  # random places looked at before the emptiest of them is taken as a negative


def unlabelled(array: npt.NDArray[Any]) -> float:
    """What stands for unlabelled in label arrays of this type."""
    return UNLABELLED if array.dtype == np.uint8 else np.nan


def patch_centres(
    label: npt.NDArray[np.uint8],
    size: int,
    count: int,
    positive_ratio: float,
    negative_threshold: float,
    rng: np.random.Generator,
) -> list[tuple[int, ...]]:
    """`count` patch centres in a label array of 0, 1 and 255 (unlabelled), any number of axes.

    A share of `positive_ratio` is centred on foreground elements, the rest on labelled elements around which a
    patch of `size` holds less than `negative_threshold` of foreground, or the least that a few tries find.
    Without foreground all centres are of the second kind. Nothing is centred on an unlabelled element.
    """
    labelled = np.flatnonzero(label != UNLABELLED)
    foreground = np.flatnonzero(label == 1)
    assert labelled.size, "nothing is labelled"
    positives = round(count * positive_ratio) if foreground.size else 0
    chosen = [rng.choice(foreground) for _ in range(positives)]
    chosen += [_negative(label, labelled, size, negative_threshold, rng) for _ in range(count - positives)]
    return [tuple(int(i) for i in np.unravel_index(index, label.shape)) for index in chosen]


def _negative(
    label: npt.NDArray[np.uint8],
    labelled: npt.NDArray[np.intp],
    size: int,
    threshold: float,
    rng: np.random.Generator,
) -> Any:
    tried = []
    for _ in range(_TRIES):
        index = rng.choice(labelled)
        region = centred(np.unravel_index(index, label.shape), size)
        coverage = float(np.mean(label[region.intersection(Region.whole(label.shape)).slices] == 1))
        if coverage < threshold:
            return index
        tried.append((coverage, index))
    return min(tried)[1]


def centred(centre: Sequence[Any], size: int) -> Region:
    """The cube of `size` whose middle is `centre`; it may reach beyond the array."""
    return Region.at([int(c) - size // 2 for c in centre], [size] * len(centre))


def cut(array: npt.NDArray[Any], region: Region, fill: float | None = None) -> npt.NDArray[Any]:
    """The elements of `region`, which may reach beyond `array`: there `fill` stands, or the mirrored array."""
    inside = region.intersection(Region.whole(array.shape))
    before = [a - b for a, b in zip(inside.start, region.start, strict=True)]
    after = [b - a for a, b in zip(inside.stop, region.stop, strict=True)]
    widths = list(zip(before, after, strict=True))
    part = array[inside.slices]
    if not any(before) and not any(after):
        return part
    if fill is None:
        return np.pad(part, widths, mode="symmetric")
    return np.pad(part, widths, constant_values=fill)
