"""A folder as people bring it: `images/<name>.tif`, `masks/<name>_mask.tif`, perhaps a `splits.csv`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from segwheel.domain import quality
from segwheel.domain.manifest import check_basename, parse_pixel_size, read_table
from segwheel.domain.quality import Finding
from segwheel.domain.splits import POOL, TEST, TRAIN, UNUSED, VAL
from segwheel.errors import FormatError, ManifestError, MissingError, SegwheelError

SUFFIXES = (".tif", ".tiff")
MASK = "mask"
MASK_ENDING = f"_{MASK}"
SPLIT_WORDS = {"labelled": TRAIN, "train": TRAIN, "val": VAL, "pool": POOL, "test": TEST, "": ""}


@dataclass(frozen=True)
class Pair:
    """An image or a volume and its labels, with what `splits.csv` says of it."""

    basename: str
    image_path: Path
    labels: Mapping[str, Path] = field(default_factory=dict)  # by target: the mask of an image
    group: str = ""
    split: str = ""  # "" = not decided
    pixel_size_um: float | None = None

    @property
    def mask_path(self) -> Path | None:
        """The mask, None when there is none."""
        return self.labels.get(MASK)


def find_pairs(folder: Path) -> tuple[list[Pair], list[Finding]]:
    """Pair the images of `folder` with their masks by name, sorted by name, and say what has no place.

    Raises MissingError without `images`, FormatError when no image is there.
    """
    images, findings = _by_name(folder / "images", ending="")
    if not images and not findings:
        raise FormatError(folder / "images", expected="images named <name>.tif", found="an empty folder")
    masks, mask_findings = _by_name(folder / "masks", ending=MASK_ENDING) if (folder / "masks").is_dir() else ({}, [])
    named = {finding.basename for finding in (*findings, *mask_findings)}
    for name in sorted(masks.keys() - images.keys() - named):
        problem = MissingError(folder / "images" / f"{name}.tif", what="image", hint=f"{masks[name]} is its mask")
        mask_findings.append(quality.error(name, problem, masks[name]))
    sound = [(name, path) for name, path in sorted(images.items()) if name not in named]
    pairs = [Pair(name, path, {MASK: masks[name]} if name in masks else {}) for name, path in sound]
    return pairs, [*findings, *mask_findings]


def without_mask(folder: Path, pair: Pair) -> Finding:
    """The finding about an image that needs a mask and has none."""
    mask = folder / "masks" / f"{pair.basename}{MASK_ENDING}.tif"
    return quality.error(pair.basename, MissingError(mask, what="mask", hint=f"{pair.image_path} needs it"), mask)


def apply_splits(pairs: Iterable[Pair], splits: Path) -> list[Pair]:
    """Give each pair the split, group and pixel size of its row in `splits`.

    Columns: `name` (or `basename`), `split`, and optionally `group` and `pixel_size_um`. `labelled` and `train`
    mean train; `val`, `pool` and `test` mean themselves; an empty cell is decided later; any other word means unused.

    Raises ManifestError when an image has no row, or a row no image, or two rows name one image.
    """
    rows = _split_rows(splits)
    pairs = list(pairs)
    names = {pair.basename for pair in pairs}
    for what, missing in (("row", names - rows.keys()), ("image", rows.keys() - names)):
        if missing:
            found = f"no {what} for {', '.join(sorted(missing)[:5])}" + (", ..." if len(missing) > 5 else "")
            raise ManifestError(splits, expected="one row for each image", found=found)
    return [_with_row(pair, *rows[pair.basename]) for pair in pairs]


def _split_rows(splits: Path) -> dict[str, tuple[str, dict[str, str]]]:
    """Rows by name, each with the place it stands at."""
    rows: dict[str, tuple[str, dict[str, str]]] = {}
    for line, row in read_table(splits, ("split",)):
        name = row.get("name") or row.get("basename")
        if not name:
            raise ManifestError(f"{splits}:{line}", expected="a column name or basename", found="no name")
        if name in rows:
            raise ManifestError(f"{splits}:{line}", expected="each name once", found=f"{name!r} again")
        rows[name] = (f"{splits}:{line}", row)
    return rows


def _with_row(pair: Pair, where: str, row: dict[str, str]) -> Pair:
    return replace(
        pair,
        split=SPLIT_WORDS.get(row["split"].lower(), UNUSED),
        group=row.get("group", ""),
        pixel_size_um=parse_pixel_size(where, row.get("pixel_size_um", "")),
    )


def _by_name(folder: Path, ending: str) -> tuple[dict[str, Path], list[Finding]]:
    """The TIFF files of a folder by what precedes `ending` and the suffix; hidden files are passed over."""
    if not folder.is_dir():
        raise MissingError(folder, what="folder", hint="expected images/<name>.tif and masks/<name>_mask.tif")
    by_name: dict[str, list[Path]] = defaultdict(list)
    findings = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        name = path.stem.removesuffix(ending)
        try:
            _check_name(path, ending)
            by_name[name].append(path)
        except SegwheelError as problem:
            findings.append(quality.error(name, problem, path))
    for name, paths in by_name.items():
        if len(paths) > 1:
            found = " and ".join(path.name for path in paths)
            twice = FormatError(folder, expected=f"one file for {name!r}", found=found)
            findings.append(quality.error(name, twice, paths[0]))
    return {name: paths[0] for name, paths in by_name.items() if len(paths) == 1}, findings


def _check_name(path: Path, ending: str) -> None:
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        raise FormatError(path, expected=f"a file <name>{ending}.tif", found=path.suffix or "no suffix")
    if not path.stem.endswith(ending):
        raise FormatError(path, expected=f"a name <name>{ending}.tif", found=path.name)
    check_basename(str(path), path.stem.removesuffix(ending))
