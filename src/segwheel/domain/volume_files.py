"""The raw files of a flywheel of volumes: how they are called, and how they are read.

A folder as people bring it holds `volumes/<name>.<ext>` and perhaps `labels/<name>_<attribute>.<ext>`, where <ext>
is sgy, segy, npy, bin or zarr. The attributes are those of `formats.raw_cube`, in the units of the published cubes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from segwheel.axes import Region
from segwheel.domain import quality
from segwheel.domain.folders import Pair
from segwheel.domain.manifest import check_basename
from segwheel.domain.quality import Finding
from segwheel.errors import FormatError, ManifestError, MissingError, SegwheelError
from segwheel.formats import volume
from segwheel.formats.geometry import AXIS_NAMES, Geometry
from segwheel.formats.numpy_file import NumpyFile
from segwheel.formats.raw_cube import ATTRIBUTES, RawCube
from segwheel.formats.segy_scan import STANDARD, Reading, scan
from segwheel.formats.volume import Placed, Readable

SEGY = (".sgy", ".segy")
WITH_SHAPE = (*SEGY, ".npy", ".zarr")  # files that tell their dimensions
SUFFIXES = (*WITH_SHAPE, ".bin")
_KNOWN = ", ".join(SUFFIXES)


@dataclass(frozen=True)
class RawReading:
    """How the raw files of a sample are read: what SEG-Y files don't say well, and the dimensions of raw cubes."""

    segy: Reading = STANDARD
    shape: tuple[int, ...] | None = None

    def details(self) -> dict[str, str]:
        """As cells of the index; empty ones say nothing."""
        inline, crossline = self.segy.lines or ("", "")
        return {
            "shape": " ".join(map(str, self.shape or ())),
            "iline_byte": str(inline),
            "xline_byte": str(crossline),
            "line": "yes" if self.segy.line else "",
            "unit": self.segy.unit,
            "sample_format": str(self.segy.sample_format or ""),
        }

    @classmethod
    def parse(cls, where: str, details: Mapping[str, str]) -> RawReading:
        """The inverse of `details`. Raises ManifestError (at `where`) for what is no number."""
        cells = {name: details.get(name, "") for name in cls().details()}
        try:
            lines = [int(cells[name]) for name in ("iline_byte", "xline_byte") if cells[name]]
            shape = tuple(int(n) for n in cells["shape"].split())
            code = int(cells["sample_format"]) if cells["sample_format"] else None
        except ValueError as error:
            raise ManifestError(where, expected="whole numbers about a raw file", found=str(error)) from error
        pair = (lines[0], lines[1]) if len(lines) == 2 else None
        segy = Reading(pair, bool(cells["line"]), cells["unit"] or STANDARD.unit, code)
        return cls(segy, shape or None)


class Raw(Readable, Placed, Protocol):
    """An open raw file that tells which of its samples are numbers."""

    def live(self, region: Region) -> npt.NDArray[np.bool_]: ...


def open_raw(path: Path, reading: RawReading, like: Placed | None = None) -> Raw:
    """A raw cube, NumPy file or volume. What says nothing about its place lies where `like` does.

    Raises MissingError and FormatError.
    """
    if path.suffix.lower() == ".zarr":
        return volume.open(path)
    if path.suffix.lower() == ".npy":
        found = NumpyFile(path)
        return NumpyFile(path, like.geometry) if like and len(like.shape) == len(found.shape) else found
    shape = like.shape if like else reading.shape
    if shape is None:
        raise FormatError(path, expected="dimensions of the raw cube", found="none", hint="give --n1, --n2 and --n3")
    if len(shape) not in AXIS_NAMES:
        raise FormatError(path, expected="two or three dimensions", found=" x ".join(map(str, shape)))
    return RawCube(path, shape, like.geometry if like else None)


@dataclass(frozen=True)
class OnGrid:
    """Where a raw file lies, for comparing it with another."""

    path: Path
    shape: tuple[int, ...]
    geometry: Geometry


def grid_of(path: Path, reading: RawReading, like: Placed | None = None) -> OnGrid:
    """The grid of a raw file; a SEG-Y file is read through for it. Raises MissingError and FormatError."""
    if path.suffix.lower() in SEGY:
        survey = scan(path, reading.segy)
        return OnGrid(path, survey.shape, survey.geometry)
    raw = open_raw(path, reading, like)
    return OnGrid(path, raw.shape, raw.geometry)


def holds_volumes(folder: Path) -> bool:
    """Whether something that people bring is volumes, and not images."""
    return folder.suffix.lower() in SUFFIXES or (folder / "volumes").is_dir()


def find_volumes(folder: Path) -> tuple[list[Pair], list[Finding]]:
    """The volumes of a folder with their labels by name, sorted by name, and what has no place.

    `folder` may be a single file, which is then one volume without labels. Raises MissingError without `volumes`,
    FormatError when no volume is there.
    """
    if folder.suffix.lower() in SUFFIXES:
        if not folder.exists():
            raise MissingError(folder, what="volume")
        check_basename(str(folder), folder.stem)
        return [Pair(folder.stem, folder)], []
    if not (folder / "volumes").is_dir():
        raise MissingError(folder / "volumes", what="folder", hint=f"expected volumes/<name> with one of {_KNOWN}")
    images, findings = _by_name((folder / "volumes").iterdir())
    if not images and not findings:
        raise FormatError(folder / "volumes", expected=f"volumes named <name> with one of {_KNOWN}", found="none")
    files = (folder / "labels").iterdir() if (folder / "labels").is_dir() else ()
    labels, label_findings = _by_name(files)
    of: dict[str, dict[str, Path]] = {name: {} for name in images}
    for stem, path in labels.items():
        name, _, attribute = stem.rpartition("_")
        if attribute in ATTRIBUTES and name in of:
            of[name][attribute] = path
        else:
            label_findings.append(quality.error(name or stem, _misplaced(path, images), path))
    pairs = [Pair(name, path, _ordered(of[name])) for name, path in images.items()]
    return pairs, [*findings, *label_findings]


def _ordered(labels: Mapping[str, Path]) -> dict[str, Path]:
    return {name: labels[name] for name in ATTRIBUTES if name in labels}


def _misplaced(path: Path, images: Iterable[str]) -> SegwheelError:
    return FormatError(
        path,
        expected=f"<name>_<attribute> with a volume of that name ({', '.join(images)}) and one of "
        f"{', '.join(ATTRIBUTES)}",
        found=path.stem,
    )


def _by_name(paths: Iterable[Path]) -> tuple[dict[str, Path], list[Finding]]:
    """Files by what precedes the suffix; hidden ones are passed over."""
    by_name: dict[str, Path] = {}
    findings = []
    for path in sorted(path for path in paths if not path.name.startswith(".")):
        if path.suffix.lower() not in SUFFIXES:
            problem = FormatError(path, expected=f"one of {_KNOWN}", found=path.suffix or "no suffix")
            findings.append(quality.error(path.stem, problem, path))
        elif path.stem in by_name:
            found = f"{by_name[path.stem].name} and {path.name}"
            twice = FormatError(path.parent, expected=f"one file for {path.stem!r}", found=found)
            findings.append(quality.error(path.stem, twice, path))
        else:
            by_name[path.stem] = path
    return by_name, findings
