"""From raw files to the volumes that everything else reads, streaming."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from segwheel.axes import Region
from segwheel.domain.volume_files import SEGY, OnGrid, Raw, RawReading, open_raw
from segwheel.errors import FormatError
from segwheel.formats import segy_import, volume
from segwheel.formats.files import content_md5
from segwheel.formats.volume import Placed, Volume, create, require_same_grid
from segwheel.progress import Progress, no_progress

LABEL = "fsem"  # the attribute that is a mask: uint8 of 0, 1 and 255; all others are float32
ANGLES = ("fdip", "fstrike")  # as parts of 180 degrees
_VALUES = (0, 1, 255)


@dataclass(frozen=True)
class Converted:
    """A volume made of a raw file, the MD5 of the file, its NaN and infinite samples, and what is odd about it."""

    volume: Volume
    md5: str
    bad_samples: int = 0
    note: str = ""

    def oddities(self, source: Path) -> list[str]:
        """A line for each thing that a person should know about the raw file `source`."""
        said = [f"{self.bad_samples} NaN or infinite samples, which count as dead"] if self.bad_samples else []
        return [f"{source}: {text}" for text in (*said, *filter(None, [self.note]))]


def convert_image(source: Path, target: Path, reading: RawReading, progress: Progress = no_progress) -> Converted:
    """Convert a raw file into a float32 volume; bad samples and traces of zeros throughout are dead in it.

    Raises MissingError; FormatError for a file that is damaged, of another size, or without one live sample.
    """
    if source.suffix.lower() in SEGY:
        found = segy_import.convert(source, target, reading.segy, progress=progress)
        made = volume.open(target)
        assert made.geometry.source is not None, "a converted file is a source"
        return Converted(made, made.geometry.source.md5, found.bad_samples, found.note)
    raw = open_raw(source, reading)
    bad, living = _copy(raw, target, label=False, silent_is_dead=True, progress=progress)
    if not living:
        raise FormatError(source, expected="at least one live sample", found=f"{bad} NaN or infinite, the rest zeros")
    # What is not a number in a volume says that there is nothing.
    return Converted(volume.open(target), content_md5(source), 0 if isinstance(raw, Volume) else bad)


def convert_label(
    attribute: str,
    source: Path,
    target: Path,
    reading: RawReading,
    image: Placed,
    progress: Progress = no_progress,
) -> Converted:
    """Convert the raw file of an attribute into a volume on the grid of its `image`, whose path is the raw one.

    Raises MissingError; FormatError for a file that is damaged, of another size or geometry, for labels other than
    0, 1 and 255, and for a file that labels nothing.
    """
    label = attribute == LABEL
    if source.suffix.lower() in SEGY:
        segy_import.convert(source, target, reading.segy, labels=label, silent_is_dead=False, progress=progress)
        made = volume.open(target)
        require_same_grid(image, OnGrid(source, made.shape, made.geometry))
        return Converted(made, made.geometry.source.md5 if made.geometry.source else "")
    raw = open_raw(source, reading, like=image)
    require_same_grid(image, raw)
    _, living = _copy(raw, target, label=label, silent_is_dead=False, progress=progress)
    if not living:
        raise FormatError(source, expected="labelled voxels", found="labels that are unlabelled everywhere")
    return Converted(volume.open(target), content_md5(source))


def _copy(raw: Raw, target: Path, *, label: bool, silent_is_dead: bool, progress: Progress) -> tuple[int, int]:
    """Write a volume with the samples of `raw`; gives how many were not numbers, and how many are live."""
    bad = living = done = 0
    dtype = np.uint8 if label else np.float32
    with create(target, raw.shape, dtype, geometry=raw.geometry, slab_axis=1) as writer:
        for region in writer.shards():
            values, live = raw.read(region), raw.live(region)
            bad += int(np.count_nonzero(~live))
            if label:
                values = checked_labels(raw.path, values, live)
                live = live & (values != volume.FILL[values.dtype])
            elif silent_is_dead:
                whole = values.shape[0] == raw.shape[0]  # a trace may be longer than a shard
                live = live & ((values != 0).any(axis=0) if whole else sounding([raw], region))
            living += int(np.count_nonzero(live))
            writer.write(region, values, live)
            done += region.size
            progress(done, prod(raw.shape))
    return bad, living


def checked_labels(path: Path, values: npt.NDArray[Any], live: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """Values of a mask as labels, 255 where not `live`. Raises FormatError for values other than 0, 1 and 255."""
    strange = values[live & ~np.isin(values, _VALUES)]
    if strange.size:
        raise FormatError(path, expected="labels 0, 1 and 255 (unlabelled)", found=f"the value {strange[0]:g}")
    return np.where(live, values, 255).astype(np.uint8)


def sounding(raws: Sequence[Raw], region: Region) -> npt.NDArray[np.bool_]:
    """Which traces of a region are not zero throughout, from top to bottom, in all of some files of one shape."""
    traces = Region((0, *region.start[1:]), (raws[0].shape[0], *region.stop[1:]))
    found: npt.NDArray[np.bool_] = np.logical_or.reduce([(raw.read(traces) != 0).any(axis=0) for raw in raws])
    return found
