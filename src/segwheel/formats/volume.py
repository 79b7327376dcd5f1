"""A volume: one chunked, sharded Zarr array with the geometry of its axes. A 2D image is a volume of two axes.

Samples are float32 and labels uint8. The fill value says that there is nothing: NaN in samples (a dead or
missing trace, a sample that was NaN or infinite), 255 in labels (unlabelled). `live` is False there, and `read`
gives zeros for dead samples. Chunks that hold nothing take no space.

Reading is cheap for any region near the size of a chunk. Writing is cheap for whole shards, one file each; a
shard is one chunk thick along the axis that the writer advances along, so that slabs can be written one by one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import product
from math import ceil, prod
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import zarr
from zarr.codecs import BloscCodec

from segwheel.axes import Region
from segwheel.errors import FormatError, MissingError
from segwheel.formats.files import remove, replacing
from segwheel.formats.geometry import Geometry
from segwheel.formats.space import writing

FILL = {np.dtype(np.float32): np.nan, np.dtype(np.uint8): 255}  # nothing is known here
EDGE = 64  # of the chunks of a 3D volume
CHUNK_ELEMENTS = EDGE**3  # an image has chunks of 512 x 512
SHARD_ELEMENTS = 2**24  # 64 MiB of float32
_FINISHED = ".finished"


class Readable(Protocol):
    """An array of which regions can be read as float32, or uint8 for labels. Axis order is depth first."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def geometry(self) -> Geometry: ...
    def read(self, region: Region) -> npt.NDArray[Any]: ...


class Placed(Protocol):
    """Something that lies on a grid."""

    @property
    def path(self) -> Path: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def geometry(self) -> Geometry: ...


class Volume:
    """An open volume. Region coordinates are array indices."""

    def __init__(self, path: Path, array: zarr.Array[Any]) -> None:
        self.path, self._array = path, array
        self.shape: tuple[int, ...] = array.shape
        self.chunk: tuple[int, ...] = array.chunks
        self.dtype = np.dtype(array.dtype)
        self.attributes: dict[str, Any] = dict(array.attrs)
        self.geometry = Geometry.from_json(self.attributes["geometry"])

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the axes in array order: depth, inline, crossline; depth, trace."""
        return self.geometry.names

    def read(self, region: Region) -> npt.NDArray[Any]:
        """Samples (float32, zeros where dead) or labels (0, 1, 255) of a region inside the volume."""
        return self.read_with_live(region)[0]

    def live(self, region: Region) -> npt.NDArray[np.bool_]:
        """Where a region holds samples, or labels that somebody gave."""
        return self.read_with_live(region)[1]

    def read_with_live(self, region: Region) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
        """Both, decoding the region once."""
        assert region.intersection(Region.whole(self.shape)) == region, f"{region} leaves a volume of {self.shape}"
        values = np.asarray(self._array[region.slices])
        if self.dtype.kind == "f":
            live = np.isfinite(values)
            return np.where(live, values, self.dtype.type(0)), live
        return values, values != FILL[self.dtype]


def open(path: Path) -> Volume:
    """Open a volume. Raises MissingError without one and FormatError for a folder that is something else."""
    if not path.is_dir():
        raise MissingError(path, what="volume", hint="segwheel convert makes one of a SEG-Y file")
    try:
        return Volume(path, zarr.open_array(path, mode="r"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        found = " ".join(str(error).split()) or type(error).__name__
        raise FormatError(path, expected="a segwheel volume (Zarr v3)", found=found) from error


def sections(volume: Readable, axis: int, indices: Iterable[int]) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    """Slices across one axis in the order of their indices, with them; no chunk is read twice."""
    wanted = sorted(set(indices))
    for begin in range(0, volume.shape[axis], EDGE):  # what one row of chunks holds
        inside = [index for index in wanted if begin <= index < begin + EDGE]
        if inside:
            start, stop = [0] * len(volume.shape), list(volume.shape)
            start[axis], stop[axis] = inside[0], inside[-1] + 1
            slab = volume.read(Region(tuple(start), tuple(stop)))
            for index in inside:
                yield index, slab.take(index - inside[0], axis=axis)


class Writer:
    """A volume being written; nobody sees it before it is complete."""

    def __init__(self, folder: Path, array: zarr.Array[Any]) -> None:
        self._folder, self._array = folder, array
        self.shape: tuple[int, ...] = array.shape
        self.shard: tuple[int, ...] = array.shards or array.chunks

    def shards(self) -> Iterator[Region]:
        """Regions that can be written without reading anything back, in array order."""
        for corner in product(*(range(0, n, size) for n, size in zip(self.shape, self.shard, strict=True))):
            yield Region.at(corner, self.shard).intersection(Region.whole(self.shape))

    def write(self, region: Region, values: npt.NDArray[Any], live: npt.NDArray[np.bool_] | None = None) -> None:
        """Write a region; where `live` (broadcast to it) is False there will be nothing.

        Every element should be written once. What is never written stays empty: dead or unlabelled.
        """
        assert values.shape == region.shape, f"values of shape {values.shape} for {region}"
        if live is not None:
            values = np.where(live, values, self._array.fill_value)
        self._array[region.slices] = values.astype(self._array.dtype, copy=False)
        self._mark(region).touch()

    def finished(self, region: Region) -> bool:
        """Whether exactly this region was written, by this run or by a killed one that this run continues."""
        return self._mark(region).exists()

    def annotate(self, attributes: Mapping[str, Any]) -> None:
        """Add attributes, JSON values, that are known only after reading everything."""
        self._array.attrs.update(dict(attributes))

    def _mark(self, region: Region) -> Path:
        ends = ("-".join(map(str, end)) for end in (region.start, region.stop))
        return self._folder / _FINISHED / "_".join(ends)


@contextmanager
def create(
    path: Path,
    shape: Sequence[int],
    dtype: npt.DTypeLike = np.float32,
    *,
    geometry: Geometry | None = None,
    attributes: Mapping[str, Any] | None = None,
    slab_axis: int = 0,
    resume_key: str | None = None,
) -> Iterator[Writer]:
    """Yield a writer of a new volume at `path`; the volume appears, or replaces another, when the block ends well.

    `slab_axis` is the axis that the writer advances along. With `resume_key` (letters and digits that change with
    everything that made the volume) an interrupted volume is kept beside `path` and the next writer with the same
    key goes on with it: `finished` tells which regions are there. Without, nothing is left of an interrupted one.
    """
    with writing(path), _folder(path, resume_key) as folder:
        if not (folder / _FINISHED).is_dir():
            remove(folder)
            _new_array(folder, shape, np.dtype(dtype), geometry or Geometry.plain(len(shape)), attributes, slab_axis)
            (folder / _FINISHED).mkdir()
        yield Writer(folder, zarr.open_array(folder, mode="r+"))
        remove(folder / _FINISHED)


@contextmanager
def _folder(path: Path, resume_key: str | None) -> Iterator[Path]:
    if resume_key is None:
        with replacing(path) as beside:
            yield beside
        return
    assert re.fullmatch(r"\w+", resume_key), f"letters and digits, not {resume_key!r}"
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = path.with_name(f".{path.name}.{resume_key}.unfinished")
    for other in path.parent.glob(f".{path.name}.*.unfinished"):
        if other != kept:
            remove(other)
    yield kept
    with replacing(path) as beside:
        kept.rename(beside)


def _new_array(
    folder: Path,
    shape: Sequence[int],
    dtype: np.dtype[Any],
    geometry: Geometry,
    attributes: Mapping[str, Any] | None,
    slab_axis: int,
) -> None:
    assert len(geometry.axes) == len(shape), f"{len(geometry.axes)} axes for shape {shape}"
    chunk, shard = _layout(shape, slab_axis)
    zarr.create_array(
        folder,
        shape=tuple(shape),
        dtype=dtype,
        chunks=chunk,
        shards=shard,
        fill_value=FILL[dtype],
        # Real sections take 0.5 to 0.9 of their size; slower codecs gain a few percent more.
        compressors=BloscCodec(cname="lz4", clevel=1, shuffle="bitshuffle", typesize=dtype.itemsize),
        dimension_names=geometry.names,
        attributes={**(attributes or {}), "geometry": geometry.to_json(), "corners": geometry.corners(shape)},
    )


def _layout(shape: Sequence[int], slab_axis: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shapes of chunk and shard: nearly cubic chunks, and as many in a shard as fit, one thick along `slab_axis`."""
    edge = round(CHUNK_ELEMENTS ** (1 / len(shape)))
    chunk = [min(edge, n) for n in shape]
    count = [1] * len(shape)
    # Whole traces first: they are what files are made of.
    for axis in (axis for axis in (0, *reversed(range(1, len(shape)))) if axis != slab_axis):
        room = SHARD_ELEMENTS // (prod(chunk) * prod(count))
        count[axis] = max(1, min(ceil(shape[axis] / chunk[axis]), room))
    return tuple(chunk), tuple(c * n for c, n in zip(chunk, count, strict=True))


def write_array(path: Path, values: npt.NDArray[Any], geometry: Geometry | None = None) -> None:
    """Write an array that fits into memory (float32 samples, or uint8 labels of 0, 1 and 255) as a volume."""
    with create(path, values.shape, values.dtype, geometry=geometry) as writer:
        for region in writer.shards():
            writer.write(region, values[region.slices])


def require_same_grid(reference: Placed, other: Placed) -> None:
    """Raise FormatError unless two volumes have the same shape and, where they carry line numbers, the same ones."""
    same = [
        (a.name, a.first, a.step) == (b.name, b.first, b.step)
        for a, b in zip(reference.geometry.axes, other.geometry.axes, strict=False)
    ]
    if reference.shape != other.shape or not all(same):
        raise FormatError(
            other.path,
            expected=f"the grid of {reference.path} ({reference.geometry.text(reference.shape)})",
            found=other.geometry.text(other.shape),
        )
