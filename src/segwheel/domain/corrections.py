"""Corrections: labels that came back from a person, with their provenance.

The table `corrections.csv` lives in git; the masks that it names are data. A sample, or one slice of it, has
at most one current correction: a newer one replaces it in the table (older ones stay in git's history).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, fields
from io import StringIO
from pathlib import Path

from segwheel.errors import ManifestError, MissingError
from segwheel.formats.files import write_text

Key = tuple[str, str, int | None]  # what is corrected: sample, axis, index
ENDING = "_mask.tif"
_SLICE = re.compile(r"(.+)_(depth|inline|crossline)_(\d+)")


def mask_name(key: Key) -> str:
    """File name of a corrected mask: `<name>_mask.tif`, or `<name>_<axis>_<index>_mask.tif` of a slice."""
    basename, axis, index = key
    return f"{basename}_{axis}_{index}{ENDING}" if axis else f"{basename}{ENDING}"


def parse_mask_name(name: str, basenames: Collection[str]) -> Key | None:
    """The inverse of `mask_name` for samples called `basenames`; None for the name of no such sample."""
    stem = name.removesuffix(ENDING)
    if stem in basenames:
        return stem, "", None
    cut = _SLICE.fullmatch(stem)
    return (cut[1], cut[2], int(cut[3])) if cut and cut[1] in basenames else None


@dataclass(frozen=True)
class Correction:
    """One corrected mask and where it came from."""

    basename: str
    axis: str  # the axis that the slice cuts, "" for a whole image
    index: int | None  # the slice's index along `axis`, None for a whole image
    mask_path: str  # relative to the folder of the table
    mask_md5: str
    annotator: str
    corrected_at: str  # ISO 8601, UTC
    lead_time_s: float | None  # seconds that the person spent, None when nobody measured
    outcome: str  # "accepted" (looked at and left as predicted) or "edited"
    model_version: str  # of the prediction that was corrected, "" when there was none
    pixels_changed: int | None
    iteration: int  # the iteration whose predictions were corrected, from 1

    @property
    def key(self) -> Key:
        """What is corrected: sample, axis, index."""
        return self.basename, self.axis, self.index

    @property
    def mask_name(self) -> str:
        """File name of the mask in the corrections folder."""
        return mask_name(self.key)


COLUMNS = tuple(field.name for field in fields(Correction))


def read_corrections(path: Path) -> list[Correction]:
    """The rows of `corrections.csv`, in file order.

    Raises MissingError when there is no file and ManifestError when a row does not fit.
    """
    if not path.is_file():
        raise MissingError(path, what="table of corrections", hint="`segwheel import` makes an empty one")
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise ManifestError(path, expected=f"columns {','.join(COLUMNS)}", found=",".join(reader.fieldnames or ()))
        return [_parse(path, reader.line_num, row) for row in reader]


def _parse(path: Path, line: int, row: dict[str, str]) -> Correction:
    try:
        return Correction(
            basename=row["basename"],
            axis=row["axis"],
            index=int(row["index"]) if row["index"] else None,
            mask_path=row["mask_path"],
            mask_md5=row["mask_md5"],
            annotator=row["annotator"],
            corrected_at=row["corrected_at"],
            lead_time_s=float(row["lead_time_s"]) if row["lead_time_s"] else None,
            outcome=row["outcome"],
            model_version=row["model_version"],
            pixels_changed=int(row["pixels_changed"]) if row["pixels_changed"] else None,
            iteration=int(row["iteration"]),
        )
    except ValueError as error:
        raise ManifestError(f"{path}:{line}", expected="numbers in the numeric columns", found=str(error)) from error


def write_corrections(path: Path, corrections: Iterable[Correction]) -> None:
    """Write the table atomically, sorted by what is corrected."""
    text = StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in sorted(corrections, key=lambda c: (c.basename, c.axis, -1 if c.index is None else c.index)):
        writer.writerow({name: "" if value is None else value for name, value in asdict(row).items()})
    write_text(path, text.getvalue())


def merge(current: Iterable[Correction], new: Iterable[Correction]) -> list[Correction]:
    """`current` with `new` in place of what they correct again."""
    by_key = {correction.key: correction for correction in current}
    by_key.update({correction.key: correction for correction in new})
    return list(by_key.values())


def iteration(corrections: Iterable[Correction]) -> int:
    """Number of the iteration that trains on these corrections: 1 without any."""
    return max((correction.iteration for correction in corrections), default=0) + 1
