"""The index of a flywheel: a small table in git that names the raw files, which are under DVC, and their content.

Columns are `basename,image_path,image_md5`, a pair `<target>_path,<target>_md5` for each target that a sample may be
labelled for, `group,split`, and details: the pixel size of images, or how raw volumes are read. Paths are relative to
the folder of the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from segwheel.domain.folders import Pair
from segwheel.domain.manifest import check_basename, parse_pixel_size, path_within, read_table, write_manifest
from segwheel.domain.splits import SPLITS
from segwheel.errors import ManifestError, MissingError
from segwheel.formats.files import content_md5

_IMAGE = ("basename", "image_path", "image_md5")
_PLACE = ("group", "split")
_PATH, _MD5 = "_path", "_md5"
_PIXEL_SIZE = "pixel_size_um"


@dataclass(frozen=True)
class File:
    """A file, or a folder that is one volume, and the MD5 of its content."""

    path: str
    md5: str


@dataclass(frozen=True)
class Entry:
    """One image or volume and what it is labelled for."""

    basename: str
    image: File
    labels: Mapping[str, File]  # by target
    group: str
    split: str  # one of SPLITS, or "": the split stage decides
    details: Mapping[str, str]  # the other cells, as they stand

    @property
    def pixel_size_um(self) -> float | None:
        """Of an image, None where it isn't known."""
        return parse_pixel_size(self.basename, self.details.get(_PIXEL_SIZE, ""))

    def row(self) -> dict[str, str]:
        """The cells by column."""
        files = {"image": self.image, **self.labels}
        cells = {name + _PATH: file.path for name, file in files.items()}
        cells |= {name + _MD5: file.md5 for name, file in files.items()}
        return {"basename": self.basename, **cells, "group": self.group, "split": self.split, **self.details}


def entry(pair: Pair, folder: Path, details: Mapping[str, str] | None = None) -> Entry:
    """The entry of files that lie under `folder`, the folder of the table; reads them for their hashes.

    Without `details` it is an image, whose only detail is the pixel size.
    """
    if details is None:
        details = {_PIXEL_SIZE: "" if pair.pixel_size_um is None else str(pair.pixel_size_um)}
    labels = {name: _file(path, folder) for name, path in pair.labels.items()}
    return Entry(pair.basename, _file(pair.image_path, folder), labels, pair.group, pair.split, details)


def _file(path: Path, folder: Path) -> File:
    return File(path.relative_to(folder).as_posix(), content_md5(path))


def read_index(path: Path) -> list[Entry]:
    """The entries in file order.

    Raises MissingError without a file; ManifestError for missing columns, a repeated or unusable basename, an
    unknown split, a bad pixel size, a path that leaves the folder.
    """
    entries: dict[str, Entry] = {}
    for line, row in read_table(path, (*_IMAGE, *_PLACE)):
        where = f"{path}:{line}"
        name, split = row["basename"], row["split"]
        check_basename(where, name)
        if name in entries:
            raise ManifestError(where, expected="each basename once", found=f"{name!r} again")
        if split not in (*SPLITS, ""):
            raise ManifestError(where, expected=f"a split ({', '.join(SPLITS)}, or empty)", found=repr(split))
        parse_pixel_size(where, row.get(_PIXEL_SIZE, ""))
        entries[name] = _parse(path, where, row)
    return list(entries.values())


def _parse(path: Path, where: str, row: Mapping[str, str]) -> Entry:
    targets = [column.removesuffix(_PATH) for column in row if column.endswith(_PATH)]
    files = {}
    for target in targets:
        if target + _MD5 not in row:
            raise ManifestError(path, expected=f"a column {target + _MD5}", found=f"only {target + _PATH}")
        if cell := row[target + _PATH]:
            path_within(where, path.parent.absolute(), cell)
            files[target] = File(cell, row[target + _MD5])
    if "image" not in files:
        raise ManifestError(where, expected="an image_path", found="an empty cell")
    known = {*_IMAGE, *_PLACE, *(target + ending for target in targets for ending in (_PATH, _MD5))}
    details = {column: cell for column, cell in row.items() if column not in known}
    image = files.pop("image")
    return Entry(row["basename"], image, files, row["group"], row["split"], details)


def write_index(path: Path, entries: Iterable[Entry]) -> None:
    """Write the table atomically, sorted by basename; columns of targets in the order in which they come."""
    ordered = sorted(entries, key=lambda one: one.basename)
    targets = dict.fromkeys(target for one in ordered for target in one.labels)
    pairs = (target + ending for target in targets for ending in (_PATH, _MD5))
    details = dict.fromkeys(detail for one in ordered for detail in one.details)
    write_manifest(path, [one.row() for one in ordered], (*_IMAGE, *pairs, *_PLACE, *details))


def on_disk(path: Path, pointer: Path) -> Path:
    """`path`, a file or folder under DVC's `pointer`. Raises MissingError when it isn't there."""
    if not path.exists():
        raise MissingError(path, what="file", hint=f"`dvc pull {pointer}` or `dvc checkout {pointer}` brings it")
    return path
