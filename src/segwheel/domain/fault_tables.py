"""The faults of predicted volumes, for people and for other programs: a table of bodies, and fault sticks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from segwheel.domain.fault_bodies import fault_bodies
from segwheel.domain.manifest import Sample, write_manifest
from segwheel.domain.orientation import ANGLE_NAMES
from segwheel.formats import volume
from segwheel.formats.fault_sticks import find_sticks, write_sticks
from segwheel.formats.volume import Volume
from segwheel.params.volumes import VolumeQuantifyParams

TABLE = "faults.csv"
OF_SAMPLE = ("basename", "group")
OF_FAULT = ("fault", "voxels", "probability", "dip", "strike")
Row = dict[str, Any]


def quantify_faults(
    predictions: Path, samples: Sequence[Sample], output_dir: Path, threshold: float, params: VolumeQuantifyParams
) -> int:
    """Write `faults.csv` of all samples and `<sample>_sticks.txt` of each; returns the number of faults.

    `predictions` holds `<sample>/<attribute>.zarr`. Without a prediction of faults there is only an empty table.
    """
    rows: list[Row] = []
    for sample in samples:
        predicted = _open(predictions / sample.basename)
        if "fsem" in predicted:
            _write_sticks(output_dir / f"{sample.basename}_sticks.txt", predicted["fsem"], threshold, params)
            bodies = fault_bodies(predicted, threshold, params.min_fault_voxels)
            rows += [{"basename": sample.basename, "group": sample.group} | body for body in bodies]
    _write_table(output_dir / TABLE, rows, (*OF_SAMPLE, *OF_FAULT))
    return len(rows)


def write_faults(
    predicted: Mapping[str, Volume], table: Path, sticks: Path, threshold: float, params: VolumeQuantifyParams
) -> list[Row]:
    """Write the table and the sticks of one volume; returns the rows of the table."""
    rows = fault_bodies(predicted, threshold, params.min_fault_voxels)
    _write_table(table, rows, OF_FAULT)
    _write_sticks(sticks, predicted["fsem"], threshold, params)
    return rows


def _write_sticks(path: Path, fsem: Volume, threshold: float, params: VolumeQuantifyParams) -> None:
    """Write the sticks of a volume of fault probabilities."""
    write_sticks(path, find_sticks(fsem, threshold=threshold, every=params.stick_spacing), fsem.geometry)


def _open(folder: Path) -> dict[str, Volume]:
    paths = {name: folder / f"{name}.zarr" for name in ("fsem", *ANGLE_NAMES[3])}
    return {name: volume.open(path) for name, path in paths.items() if path.exists()}


def _write_table(path: Path, rows: Sequence[Row], first: Sequence[str]) -> None:
    columns = dict.fromkeys((*first, *(name for row in rows for name in row)))
    write_manifest(path, rows, tuple(columns))
