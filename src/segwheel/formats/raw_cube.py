"""Raw cubes in the published layout: headerless little-endian float32, the depth axis fastest.

In the file, axis 1 (depth, down) runs fastest, then axis 2, then axis 3; in memory a cube is [depth, axis 2,
axis 3] and a 2D image [depth, axis 2], by the same code. Samples of a folder are numbered 0, 1, 2...: `<i>.bin`
is an image and `<i>_rgt.bin` and so on are its attributes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt

from segwheel.axes import Region
from segwheel.errors import FormatError, MissingError
from segwheel.formats.files import replacing
from segwheel.formats.flat import write_flat
from segwheel.formats.geometry import Geometry
from segwheel.formats.space import writing
from segwheel.formats.volume import Readable
from segwheel.progress import Progress, no_progress

IMAGE = "image"  # `<i>.bin`
ATTRIBUTES = ("rgt", "dhr", "fsem", "fdip", "fstrike")  # `<i>_<attribute>.bin`
DTYPE = np.dtype("<f4")


class RawCube:
    """A raw cube of which regions are read without reading the rest. The file is not changed."""

    def __init__(self, path: Path, shape: Sequence[int], geometry: Geometry | None = None) -> None:
        """Map a file of n1 * n2 * n3 * 4 bytes; `shape` is (n1, n2, n3) or (n1, n2).

        Raises MissingError, and FormatError when the size of the file is another.
        """
        _require_size(path, shape)
        self.path, self.shape = path, tuple(shape)
        self.geometry = geometry or Geometry.plain(len(self.shape))
        self._samples = np.memmap(path, dtype=DTYPE, mode="r", shape=self.shape[::-1]).T

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the axes in array order."""
        return self.geometry.names

    def read(self, region: Region) -> npt.NDArray[np.float32]:
        """A region, depth first, zeros where the file holds NaN or infinity."""
        values = self._region(region)
        return np.where(np.isfinite(values), values, np.float32(0))

    def live(self, region: Region) -> npt.NDArray[np.bool_]:
        """Where a region is neither NaN nor infinite."""
        return np.isfinite(self._region(region))

    def _region(self, region: Region) -> npt.NDArray[np.float32]:
        assert region.intersection(Region.whole(self.shape)) == region, f"{region} leaves a cube of {self.shape}"
        return np.asarray(self._samples[region.slices], dtype=np.float32)


def read(path: Path, shape: Sequence[int]) -> npt.NDArray[np.float32]:
    """Read a whole cube as it is, [depth, axis 2, axis 3]. Raises as `RawCube` does."""
    _require_size(path, shape)
    return np.fromfile(path, dtype=DTYPE).reshape(tuple(shape)[::-1]).T.astype(np.float32, copy=False)


def write(path: Path, values: npt.NDArray[np.float32]) -> None:
    """Write an array [depth, ...] atomically."""
    with writing(path), replacing(path) as beside:
        beside.write_bytes(values.T.astype(DTYPE).tobytes())


def write_volume(path: Path, volume: Readable, progress: Progress = no_progress) -> None:
    """Write a volume of any length atomically, a block in memory at a time."""
    with writing(path), replacing(path) as beside, beside.open("wb") as file:
        write_flat(file, volume, tuple(reversed(range(len(volume.shape)))), progress=progress)


def write_each(path: Path, volumes: Mapping[str, Readable]) -> list[Path]:
    """Write attributes as `<path>.<attribute>`; gives the files. Each is written atomically."""
    written = [path.with_name(f"{path.name}.{name}") for name in volumes]
    for target, volume in zip(written, volumes.values(), strict=True):
        write_volume(target, volume)
    return written


def infer_shape(path: Path, ndim: int) -> tuple[int, ...]:
    """The shape of a file whose cube has equal edges, (n, n) or (n, n, n).

    Raises FormatError when the number of samples is no square or cube: then the dimensions must be given.
    """
    size = _size(path)
    edge = round((size // DTYPE.itemsize) ** (1 / ndim))
    if size == 0 or edge**ndim * DTYPE.itemsize != size:
        axes = " ".join(f"--n{i + 1}" for i in range(ndim))
        raise FormatError(
            path,
            expected=f"float32 samples of a {ndim}D cube with equal edges",
            found=f"{size} bytes",
            hint=f"give its dimensions with {axes}",
        )
    return (edge,) * ndim


def list_samples(folder: Path, names: Sequence[str], count: int | None = None) -> list[Mapping[str, Path]]:
    """Files of the samples 0, 1, 2... of a folder, one mapping from each of `names` to its file per sample.

    `names` are "image" and attributes. All samples from 0 to the highest number that has any of them are
    listed, or the first `count`. Raises MissingError for a folder without any, and for the first file missing.
    """
    files = {path.name for path in folder.glob("*.bin")}
    suffixes = {name: "" if name == IMAGE else f"_{name}" for name in names}
    pattern = re.compile(rf"(\d+)(?:{'|'.join(map(re.escape, suffixes.values()))})\.bin")
    numbers = [int(match[1]) for match in map(pattern.fullmatch, files) if match]
    if not numbers:
        wanted = ", ".join(f"0{suffix}.bin" for suffix in suffixes.values())
        raise MissingError(folder, what="folder of numbered cubes", hint=f"it should hold {wanted} and so on")
    samples: list[Mapping[str, Path]] = []
    for number in range(max(numbers) + 1 if count is None else count):
        sample = {name: folder / f"{number}{suffix}.bin" for name, suffix in suffixes.items()}
        for path in sample.values():
            if path.name not in files:
                raise MissingError(path, what="raw cube", hint=f"samples are numbered 0 to {max(numbers)} here")
        samples.append(sample)
    return samples


def _size(path: Path) -> int:
    if not path.is_file():
        raise MissingError(path, what="raw cube")
    return path.stat().st_size


def _require_size(path: Path, shape: Sequence[int]) -> None:
    size, expected = _size(path), prod(shape) * DTYPE.itemsize
    if size != expected or expected == 0:
        dimensions = " x ".join(map(str, shape))
        raise FormatError(
            path,
            expected=f"{dimensions} float32 samples = {expected} bytes",
            found=f"{size} bytes",
            hint="n1, n2 and n3 are the size of the whole file; what is larger than a tile is tiled",
        )
