"""From the manifest to one manifest for each split."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from segwheel.domain.manifest import check_basename, read_table, write_manifest
from segwheel.domain.splits import POOL, SPLITS, TEST, TRAIN, VAL, Candidate, divide
from segwheel.errors import ManifestError
from segwheel.params.sections import SplitParams

WRITTEN = (TRAIN, VAL, TEST, POOL)

COVERAGES = ("mask_coverage", "fsem_coverage")  # foreground of the labelled part: of images, of volumes


@dataclass(frozen=True)
class SplitResult:
    """How many samples each split has (unused ones are in no file), and remarks worth a line each."""

    counts: dict[str, int]
    remarks: list[str]


def split(manifest: Path, output_dir: Path, params: SplitParams) -> SplitResult:
    """Write `train.csv`, `val.csv`, `test.csv` and `pool.csv` to `output_dir`: the rows of `manifest`, split filled in.

    A `test.csv` that is already there says who is in the test set, and stays so. See `domain.splits.divide`. A volume
    that is labelled in part trains or validates on that part and waits in the pool as well.

    Raises MissingError without a manifest; ManifestError when columns are missing, a basename comes twice, a split
    is unknown, a member of the test set is gone (were it to come back, nobody would know that it was one), or a sample
    that should train or validate has no labels; InputError for impossible ratios.
    """
    rows = _read(manifest)
    earlier = output_dir / f"{TEST}.csv"
    earlier_test = {row["basename"] for _, row in read_table(earlier, ("basename",))} if earlier.is_file() else set()
    if gone := sorted(earlier_test - {row["basename"] for row in rows}):
        raise ManifestError(
            manifest,
            expected=f"every member of the test set in {earlier}",
            found=f"no {', '.join(gone)}",
            hint="bring it back; or take its row out of that file, and never train on it",
        )
    division = divide([_candidate(manifest, row) for row in rows], params, earlier_test)
    chosen = {name: [row for row in rows if division.split[row["basename"]] == name] for name in WRITTEN}
    _need_labels(manifest, [*chosen[TRAIN], *chosen[VAL]])
    chosen[POOL] += [row for row in (*chosen[TRAIN], *chosen[VAL]) if _labelled_in_part(manifest, row)]
    for name, members in chosen.items():
        columns = tuple(dict.fromkeys((*rows[0], "split")))
        write_manifest(output_dir / f"{name}.csv", [row | {"split": name} for row in members], columns)
    counts = Counter(division.split.values()) | Counter({POOL: len(chosen[POOL])})
    return SplitResult(dict(counts), division.remarks)


def _read(manifest: Path) -> list[dict[str, str]]:
    rows: dict[str, dict[str, str]] = {}
    for line, row in read_table(manifest, ("basename", "image_path")):
        name, where = row["basename"], f"{manifest}:{line}"
        check_basename(where, name)
        if name in rows:
            raise ManifestError(where, expected="each basename once", found=f"{name!r} again")
        if row.get("split", "") not in (*SPLITS, ""):
            raise ManifestError(where, expected=f"a split ({', '.join(SPLITS)}, or empty)", found=repr(row["split"]))
        if not row.keys() & set(COVERAGES):
            raise ManifestError(
                manifest, expected=f"columns {' or '.join(COVERAGES)}", found=f"columns {','.join(row)}"
            )
        rows[name] = row
    if not rows:
        raise ManifestError(manifest, expected="samples", found="no row")
    return list(rows.values())


def _labels(row: dict[str, str]) -> list[str]:
    """The files that label a sample."""
    return [cell for column, cell in row.items() if cell and column.endswith("_path") and column != "image_path"]


def _candidate(manifest: Path, row: dict[str, str]) -> Candidate:
    """An empty coverage beside labels counts as 0: such a sample is stratified as if it were empty."""
    name = row["basename"]
    column = next(column for column in COVERAGES if column in row)
    coverage = _number(manifest, row, column, 0.0) if _labels(row) else None
    return Candidate(name, row.get("group") or name, coverage, row.get("split", ""))


def _labelled_in_part(manifest: Path, row: dict[str, str]) -> bool:
    """Whether somebody should still look at a labelled volume. Images have no such column: they are labelled whole."""
    return "labelled_share" in row and _number(manifest, row, "labelled_share", 0.0) < 1


def _number(manifest: Path, row: dict[str, str], column: str, empty: float) -> float:
    try:
        return float(row[column] or empty)
    except ValueError as error:
        found = str(error)
        raise ManifestError(manifest, expected=f"a number as {column} of {row['basename']}", found=found) from error


def _need_labels(manifest: Path, rows: list[dict[str, str]]) -> None:
    missing = [row["basename"] for row in rows if not _labels(row)]
    if missing:
        raise ManifestError(
            manifest, expected="labels of each sample in training", found=f"none for {', '.join(missing)}"
        )
