"""Writing a volume as one flat run of numbers in a given axis order, a block in memory at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import product
from math import prod
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from segwheel.axes import Region
from segwheel.formats.volume import EDGE, Readable
from segwheel.progress import Progress, no_progress

BLOCK_ELEMENTS = 2**24


def write_flat(
    file: BinaryIO,
    volume: Readable,
    order: Sequence[int],
    *,
    dtype: npt.DTypeLike = "<f4",
    reverse: Collection[int] = (),
    progress: Progress = no_progress,
) -> None:
    """Write all elements at the file's position, the last axis of `order` fastest, axes in `reverse` backwards.

    `order` names every axis of the volume once. `progress` is told (elements written, elements in all).
    """
    begin, shape, done = file.tell(), [volume.shape[axis] for axis in order], 0
    kind = np.dtype(dtype)
    strides = [prod(shape[i + 1 :]) * kind.itemsize for i in range(len(shape))]
    for block in blocks(shape):
        values = _read(volume, block, order, reverse).astype(kind, copy=False)
        # The two fastest axes of a block lie in one piece.
        for lead in np.ndindex(values.shape[:-2]):
            at = [start + i for start, i in zip(block.start, (*lead, 0, 0), strict=True)]
            file.seek(begin + sum(i * stride for i, stride in zip(at, strides, strict=True)))
            file.write(np.ascontiguousarray(values[lead]).data)
        done += block.size
        progress(done, prod(shape))
    file.seek(begin + prod(shape) * kind.itemsize)


def blocks(shape: Sequence[int]) -> Iterator[Region]:
    """Regions that cover an array of `shape`, hold its last axis whole and have about BLOCK_ELEMENTS elements.

    They begin and end at the borders of chunks: smaller ones would decode every chunk again.
    """
    size = [*(min(EDGE, n) for n in shape[:-1]), shape[-1]]
    for axis in reversed(range(len(shape) - 1)):
        size[axis] = min(shape[axis], size[axis] * max(1, BLOCK_ELEMENTS // prod(size)))
    for corner in product(*(range(0, n, step) for n, step in zip(shape, size, strict=True))):
        yield Region.at(corner, size).intersection(Region.whole(shape))


def _read(volume: Readable, block: Region, order: Sequence[int], reverse: Collection[int]) -> npt.NDArray[np.float32]:
    """The elements of a block, which is given in the order of the file."""
    start, stop = [0] * len(order), [0] * len(order)
    for axis, a, b in zip(order, block.start, block.stop, strict=True):
        n = volume.shape[axis]
        start[axis], stop[axis] = (n - b, n - a) if axis in reverse else (a, b)
    values = volume.read(Region(tuple(start), tuple(stop)))
    turned = tuple(slice(None, None, -1) if axis in reverse else slice(None) for axis in range(values.ndim))
    backwards: npt.NDArray[np.float32] = values[turned].transpose(order)
    return backwards
