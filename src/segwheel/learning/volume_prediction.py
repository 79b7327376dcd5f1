"""Predicting volumes with a trained multi-task network: one volume, and the samples of a manifest."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt

from segwheel.axes import Region
from segwheel.domain.intensity import measure_volume
from segwheel.domain.manifest import Sample
from segwheel.errors import FormatError, InputError
from segwheel.formats import volume
from segwheel.formats.files import remove, replacing
from segwheel.formats.volume import Volume
from segwheel.learning.multitask_checkpoint import MultitaskModel, multitask_predictor
from segwheel.learning.volume_inference import VolumeTiling, predict_volume
from segwheel.params.volumes import VolumePredictParams
from segwheel.progress import NamedProgress, no_progress

# Of a volume that is predicted without parameters.
DEFAULTS = VolumePredictParams(overlap=0.25, window="gaussian", batch_size=1, threshold=0.5)


def predict_image(
    model: MultitaskModel,
    image: Volume,
    output_dir: Path,
    params: VolumePredictParams = DEFAULTS,
    progress: NamedProgress = no_progress,
) -> dict[str, Path]:
    """Write every attribute of a seismic volume to `output_dir/<attribute>.zarr`; gives their paths.

    A stopped run goes on where it stopped. Raises what `predict_volume` does, InputError for a model that takes
    attributes, and FormatError for an image of another number of axes or without a live sample.
    """
    require_fitting(model, image)
    predictor = multitask_predictor(model, measure_volume(image))
    return predict_volume(predictor, [image], output_dir, tiling(model.tile, params), progress)


def require_fitting(model: MultitaskModel, image: Volume) -> None:
    """Raise InputError for a model that takes attributes, and FormatError for an image of another number of axes."""
    if model.refine:
        raise InputError(f"model {model.version}: expected a network that takes an image, found one that refines")
    if len(image.shape) != model.ndim:
        expected = f"{model.ndim} axes, as the model was trained on"
        raise FormatError(image.path, expected=expected, found=" x ".join(map(str, image.shape)))


def tiling(tile: Sequence[int], params: VolumePredictParams) -> VolumeTiling:
    """Tiles of the shape that the network was trained on."""
    overlap = tuple(min(round(params.overlap * n), n - 1) for n in tile)
    return VolumeTiling(tuple(tile), overlap, params.window, params.batch_size)


def predict_arrays(model: MultitaskModel, volumes: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
    """Every attribute (batch, *axes) of volumes (batch, *axes) that fit into memory; 0 where they are NaN.

    Raises as `predict_image` does.
    """
    found: dict[str, list[npt.NDArray[np.float32]]] = {name: [] for name in model.attributes}
    for values in volumes:
        with TemporaryDirectory() as folder:
            image = Path(folder) / "image.zarr"
            volume.write_array(image, np.ascontiguousarray(values, np.float32))
            for name, path in predict_image(model, volume.open(image), Path(folder)).items():
                made = volume.open(path)
                found[name].append(made.read(Region.whole(made.shape)))
    return {name: np.stack(arrays) for name, arrays in found.items()}


def write_volume_predictions(
    model: MultitaskModel,
    samples: Sequence[Sample],
    output_dir: Path,
    work_dir: Path,
    params: VolumePredictParams,
    progress: NamedProgress = no_progress,
) -> None:
    """Write `<sample>/<attribute>.zarr` for every sample to `output_dir`, which is replaced whole.

    Volumes are made in `work_dir`, where a stopped run finds those that it finished and the parts of the one that it
    didn't, and are moved when all are there.
    """
    for sample in samples:
        image = volume.open(sample.image_path)
        predict_image(model, image, work_dir / sample.basename, params, _named(progress, sample.basename))
    with replacing(output_dir) as beside:
        beside.mkdir()
        for sample in samples:
            shutil.move(work_dir / sample.basename, beside / sample.basename)  # perhaps to another disk
    remove(work_dir)


def _named(progress: NamedProgress, name: str) -> NamedProgress:
    return lambda what, done, total: progress(f"{name}: {what}", done, total)
