"""The manifest: the CSV of samples.

Columns are `basename,image_path,<target>_path...,group,split,pixel_size_um` and any others, which are ignored
here. An empty `<target>_path` means that the sample is not labelled for that target. Paths are relative to the
data root.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from math import isfinite
from pathlib import Path

from segwheel.errors import ManifestError, MissingError
from segwheel.formats.files import write_text

COLUMNS = ("basename", "image_path", "mask_path", "group", "split", "pixel_size_um")
REQUIRED = ("basename", "image_path")
_PATH = "_path"


@dataclass(frozen=True)
class Sample:
    """One image or volume, with the targets that it is labelled for."""

    basename: str  # the stable id; a plain file name without its extension
    image_path: Path  # absolute
    targets: Mapping[str, Path]  # labelled targets only, by name ("mask"); absolute
    group: str  # specimen, plate, survey; the basename when nothing is known
    split: str = ""
    pixel_size_um: float | None = None


def read_manifest(path: Path, data_root: Path | None = None, targets: Iterable[str] = ()) -> list[Sample]:
    """Read the samples, in file order; that the files they name exist is not checked.

    `data_root` (default: the working directory) is where relative paths start and what no path may leave.
    `targets` are the targets whose columns must be there (a cell may still be empty).

    Raises MissingError without a file; ManifestError for missing columns, a repeated or unusable basename,
    a path that leaves the data root, and a pixel size that is not a positive number.
    """
    root = _absolute(data_root or Path())
    samples: dict[str, Sample] = {}
    for line, row in read_table(path, (*REQUIRED, *(name + _PATH for name in targets))):
        sample = _parse(f"{path}:{line}", row, root)
        if sample.basename in samples:
            raise ManifestError(f"{path}:{line}", expected="each basename once", found=f"{sample.basename!r} again")
        samples[sample.basename] = sample
    return list(samples.values())


def read_table(path: Path, required: Iterable[str]) -> list[tuple[int, dict[str, str]]]:
    """Read a CSV with a header as (line number, row) pairs; cells are stripped, missing cells are "".

    Raises MissingError without a file, ManifestError when it is not such a CSV or lacks a `required` column.
    """
    if not path.is_file():
        raise MissingError(path, what="table")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets write a byte order mark
            reader = csv.DictReader(file, restkey="", restval="")
            columns = reader.fieldnames or ()
            missing = [name for name in required if name not in columns]
            if missing:
                found = f"columns {','.join(columns)}" if columns else "an empty file"
                raise ManifestError(path, expected=f"columns {','.join(missing)}", found=found)
            return [(reader.line_num, {name: row[name].strip() for name in columns}) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ManifestError(path, expected="a CSV table in UTF-8", found=str(error)) from error


def write_manifest(path: Path, rows: Iterable[Mapping[str, object]], columns: Sequence[str] = ()) -> None:
    """Write rows atomically; None becomes an empty cell.

    The header is `columns`, or all keys of the rows in order of appearance, or COLUMNS when there are no rows.
    """
    rows = list(rows)
    header = columns or tuple(dict.fromkeys(key for row in rows for key in row)) or COLUMNS
    text = StringIO()
    writer = csv.DictWriter(text, header, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: "" if value is None else value for key, value in row.items()} for row in rows)
    write_text(path, text.getvalue())


def path_within(where: str, root: Path, value: str) -> Path:
    """The absolute path of a cell; raises ManifestError (at `where`) when it leaves `root`. Follows no links."""
    path = _absolute(root / value)
    if not path.is_relative_to(root):
        raise ManifestError(where, expected=f"a path inside the data root {root}", found=value)
    return path


def _absolute(path: Path) -> Path:
    return Path(os.path.normpath(path.absolute()))  # not resolve(): DVC may link files to its cache


def relative(path: Path) -> str:
    """Relative to the working directory where `path` lies in it, else absolute; the other way round of a cell."""
    path, root = path.absolute(), Path.cwd()
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()


def check_basename(where: str, basename: str) -> None:
    """Raise ManifestError (at `where`) for a basename that could not stand in a file name."""
    if not basename or basename.startswith(".") or set(basename) & set("/\\\0\n\r"):
        raise ManifestError(where, expected="a basename that can be part of a file name", found=repr(basename))


def _parse(where: str, row: Mapping[str, str], root: Path) -> Sample:
    basename = row["basename"]
    check_basename(where, basename)
    if not row["image_path"]:
        raise ManifestError(where, expected="an image_path", found="an empty cell")
    paths = {key: path_within(where, root, value) for key, value in row.items() if key.endswith(_PATH) and value}
    image_path = paths.pop("image_path")
    return Sample(
        basename=basename,
        image_path=image_path,
        targets={key.removesuffix(_PATH): path for key, path in paths.items()},
        group=row.get("group") or basename,
        split=row.get("split", ""),
        pixel_size_um=parse_pixel_size(where, row.get("pixel_size_um", "")),
    )


def parse_pixel_size(where: str, value: str) -> float | None:
    """The pixel size (um) in a cell, None when it is empty; raises ManifestError unless it is positive."""
    if not value:
        return None
    try:
        size = float(value)
    except ValueError:
        size = 0.0
    if not (isfinite(size) and size > 0):
        raise ManifestError(where, expected="a positive pixel_size_um", found=repr(value))
    return size
