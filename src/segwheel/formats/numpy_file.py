"""NumPy files (.npy) as volumes: read a region at a time, written a block at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.lib.format as npy
import numpy.typing as npt

from segwheel.axes import Region
from segwheel.errors import FormatError, MissingError
from segwheel.formats.files import replacing
from segwheel.formats.flat import write_flat
from segwheel.formats.geometry import AXIS_NAMES, Geometry
from segwheel.formats.space import writing
from segwheel.formats.volume import Readable
from segwheel.progress import Progress, no_progress


class NumpyFile:
    """An array of two or three axes, depth first, of any real type, of which regions are read as float32."""

    def __init__(self, path: Path, geometry: Geometry | None = None) -> None:
        """Map a file. Raises MissingError and FormatError."""
        if not path.is_file():
            raise MissingError(path, what="NumPy file")
        try:
            self._samples = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise FormatError(path, expected="a NumPy array", found=" ".join(str(error).split())) from error
        if self._samples.ndim not in AXIS_NAMES or self._samples.dtype.kind not in "fiub" or not self._samples.size:
            found = f"{self._samples.dtype} of shape {self._samples.shape}"
            raise FormatError(path, expected="real numbers along two or three axes", found=found)
        self.path = path
        self.shape: tuple[int, ...] = self._samples.shape
        self.geometry = geometry or Geometry.plain(len(self.shape))

    def read(self, region: Region) -> npt.NDArray[np.float32]:
        """A region, zeros where the file holds NaN or infinity."""
        values = self._region(region)
        return np.where(np.isfinite(values), values, np.float32(0))

    def live(self, region: Region) -> npt.NDArray[np.bool_]:
        """Where a region is neither NaN nor infinite."""
        return np.isfinite(self._region(region))

    def _region(self, region: Region) -> npt.NDArray[np.float32]:
        return np.asarray(self._samples[region.slices], dtype=np.float32)


def write_volume(path: Path, volume: Readable, progress: Progress = no_progress) -> None:
    """Write a volume as a float32 array in array order, atomically, a block in memory at a time."""
    header = {"descr": "<f4", "fortran_order": False, "shape": volume.shape}
    with writing(path), replacing(path) as beside, beside.open("wb") as file:
        npy.write_array_header_1_0(file, header)
        write_flat(file, volume, tuple(range(len(volume.shape))), progress=progress)
