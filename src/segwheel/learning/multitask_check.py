"""Scoring a multi-task network on numbered cubes, beside a predictor that learned nothing.

That predictor says of an image: RGT is depth, the image is its own DHR, and there are no faults; of attributes that are
to be refined it says that they are right as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from segwheel.domain.manifest import write_manifest
from segwheel.domain.scores import VOLUMES, means
from segwheel.domain.volume_conversion import convert_label
from segwheel.domain.volume_files import RawReading
from segwheel.domain.volume_scores import score_volume
from segwheel.formats import raw_cube, volume
from segwheel.formats.volume import Volume
from segwheel.learning.cubes import CubeFolder
from segwheel.learning.multitask_application import Volumes, predicted, taken_over
from segwheel.learning.multitask_checkpoint import MultitaskModel
from segwheel.learning.multitask_objective import TOLERANCE
from segwheel.learning.volume_inference import VolumeTiling
from segwheel.progress import NamedProgress

TABLE = "check.csv"
TRIVIAL = "trivial_"
Row = dict[str, object]


def check(
    model: MultitaskModel,
    samples: CubeFolder,
    output_dir: Path,
    names: Sequence[str],
    tiling: VolumeTiling,
    progress: NamedProgress,
) -> list[Row]:
    """Write `predict_<i>_<attribute>.bin` for every sample and attribute of `names`, and the scores to `check.csv`.

    A row has the sample's number as `basename`, each score, and as `trivial_<score>` that of the trivial predictor.
    """
    output_dir.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    for number in range(len(samples)):
        with TemporaryDirectory(prefix=".check.", dir=output_dir) as folder:
            rows.append({"basename": str(number), "group": "", **_scored(model, samples, number, Path(folder), tiling)})
            for name in names:
                made = volume.open(Path(folder) / "found" / f"{name}.zarr")
                raw_cube.write_volume(output_dir / f"predict_{number}_{name}.bin", made)
        progress("check", number + 1, len(samples))
    columns = [column for name in VOLUMES for column in (name, TRIVIAL + name)]
    known = ["basename", *(column for column in columns if any(column in row for row in rows))]
    table = [*rows, {"basename": "mean", **means(rows)}]
    write_manifest(output_dir / TABLE, [{name: row.get(name) for name in known} for row in table], known)
    return rows


def _scored(
    model: MultitaskModel, samples: CubeFolder, number: int, folder: Path, tiling: VolumeTiling
) -> dict[str, float]:
    inputs = taken_over(samples.inputs[number], samples.shape, folder / "inputs")
    reference = next(iter(inputs.values()))
    reading = RawReading(shape=samples.shape)
    labels = {
        name: convert_label(name, path, folder / "labels" / f"{name}.zarr", reading, reference).volume
        for name, path in samples.targets[number].items()
    }
    found = predicted(model, inputs, folder / "found", tiling, lambda _what, _done, _total: None)
    trivial = inputs if model.refine else _trivial(inputs["image"], folder / "trivial")
    scores = score_volume(found, labels, model.threshold, TOLERANCE)
    plain = score_volume(trivial, labels, model.threshold, TOLERANCE)
    return {**scores, **{TRIVIAL + name: value for name, value in plain.items()}}


def _trivial(image: Volume, folder: Path) -> Volumes:
    ramp = np.linspace(0, 1, image.shape[0], dtype=np.float32).reshape(-1, *(1,) * (len(image.shape) - 1))
    volume.write_array(folder / "rgt.zarr", np.broadcast_to(ramp, image.shape), image.geometry)
    volume.write_array(folder / "fsem.zarr", np.zeros(image.shape, np.float32), image.geometry)
    return {"dhr": image, **{name: volume.open(folder / f"{name}.zarr") for name in ("rgt", "fsem")}}


def summary(rows: Sequence[Mapping[str, object]]) -> list[tuple[str, float, float | None]]:
    """Words for each score, its mean over the samples, and that of the trivial predictor where it has one."""
    found = means(rows)
    return [(score.words, found[name], found.get(TRIVIAL + name)) for name, score in VOLUMES.items() if name in found]
