"""Predicting one slice of a volume: the tiles that reach into it, and nothing else."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from segwheel.domain.intensity import Normalization, measure_volume
from segwheel.domain.slabs import tiles_reaching
from segwheel.domain.tiling import Grid
from segwheel.domain.volume_slices import find_slice
from segwheel.formats import volume
from segwheel.formats.volume import Volume
from segwheel.learning.multitask_checkpoint import MultitaskModel, multitask_predictor
from segwheel.learning.volume_prediction import require_fitting, tiling
from segwheel.params.volumes import VolumePredictParams

FAULT = "fsem"


def predict_slice(
    model: MultitaskModel, image: Volume, axis: str, index: int | None, params: VolumePredictParams
) -> npt.NDArray[np.float32]:
    """Fault probability (y, x) of a slice, or of a whole section: what predicting the whole volume gives there.

    Not-a-number where the volume is dead. Raises what `require_fitting` and `find_slice` do.
    """
    require_fitting(model, image)
    place = find_slice(image, axis, index)
    predictor = multitask_predictor(model, _scale(image.path, (image.path / "zarr.json").stat().st_mtime_ns))
    (normalization,) = predictor.normalizations
    cut = tiling(model.tile, params)
    grid = Grid.over(image.shape, cut.tile, cut.overlap)
    weights, reaching = grid.weights(cut.window), set(tiles_reaching(grid, place.region))
    probability = np.zeros(place.region.shape, np.float32)
    for tile in grid:
        if tile.index in reaching:
            values, live = image.read_with_live(tile.read)
            pixels = np.where(live, normalization.apply(values), np.float32(0))
            common = tile.read.intersection(place.region)
            inside = common.relative_to(tile.read).slices
            found = predictor.apply(pixels[None, None])[FAULT][0]
            probability[common.relative_to(place.region).slices] += (weights.of(tile) * found)[inside]
    probability[~image.live(place.region)] = np.nan
    return probability.reshape(place.shape)


@lru_cache(maxsize=64)
def _scale(path: Path, _written: int) -> Normalization:
    """Measured once for many slices of a volume, and again when it was written anew."""
    return measure_volume(volume.open(path))
