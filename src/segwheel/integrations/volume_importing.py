"""What an import of volumes would do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from segwheel.domain import folders, quality
from segwheel.domain.folders import Pair
from segwheel.domain.quality import Finding
from segwheel.domain.splits import POOL, TEST, TRAIN, VAL
from segwheel.domain.volume_files import RawReading, find_volumes, grid_of
from segwheel.errors import FormatError, ManifestError, MissingError
from segwheel.formats.volume import require_same_grid
from segwheel.integrations.importing import Kind, Plan, check_name
from segwheel.params.yaml_file import read_yaml

VOLUMES = Kind("new_volume_flywheel", "volumes", "labels")


def plan_volume_import(root: Path, name: str, folder: Path, reading: RawReading, splits: Path | None = None) -> Plan:
    """Check the name and every file of `folder` (or the one file that it is); changes nothing.

    SEG-Y files are scanned, sizes and grids compared; samples are read when the volumes are taken in. Volumes without
    labels become the pool. Raises InputError for a name that is no identifier, ParamsError for one that params.yaml
    has, and what `find_volumes` and `apply_splits` raise.
    """
    check_name(root, name, VOLUMES)
    pairs, findings = find_volumes(folder)
    if splits is not None and not findings:
        pairs = folders.apply_splits(pairs, splits)
    pairs = [pair if pair.split or pair.labels else replace(pair, split=POOL) for pair in pairs]
    findings += [_without_labels(pair) for pair in pairs if not pair.labels and pair.split in (TRAIN, VAL, TEST)]
    axes = 0
    for pair in pairs:
        try:
            axes = _checked(pair, reading, axes)
        except (FormatError, ManifestError, MissingError) as problem:
            findings.append(quality.error(pair.basename, problem, problem.path))
    changes = _for_axes(axes, read_yaml(root / "params.yaml")[VOLUMES.template])
    return Plan(name, pairs, findings, VOLUMES, reading.details(), changes)


def _without_labels(pair: Pair) -> Finding:
    hint = f"expected labels/{pair.basename}_fsem.npy, say, since its split is {pair.split}"
    return quality.error(pair.basename, MissingError(pair.image_path, what="labels", hint=hint), pair.image_path)


def _checked(pair: Pair, reading: RawReading, axes: int) -> int:
    """The number of axes of a volume whose labels lie on its grid; it must be `axes`, the others', unless that is 0."""
    grid = grid_of(pair.image_path, reading)
    if axes and len(grid.shape) != axes:
        found = grid.geometry.text(grid.shape)
        raise FormatError(grid.path, expected=f"{axes} axes, as the other volumes have", found=found)
    for path in pair.labels.values():
        require_same_grid(grid, grid_of(path, reading, like=grid))
    return len(grid.shape)


def _for_axes(axes: int, template: Mapping[str, Any]) -> dict[str, object]:
    """What sections, which have fewer axes than the template's patches, need instead of the template's values."""
    changes = {name: shape[:axes] for name, shape in _shapes(template) if 0 < axes < len(shape)}
    # Weights that ship are those of a network for volumes.
    return {**changes, "train.model.initial_weights": None} if changes else {}


def _shapes(template: Mapping[str, Any]) -> Iterator[tuple[str, list[int]]]:
    yield "patches.shape", template["patches"]["shape"]
    if template["patches"]["generated"]:
        yield "patches.generated.shape", template["patches"]["generated"]["shape"]
