"""Tiled prediction: any image through a network in pieces, blended without seams.

Tiles of one size go through the network in batches and are added up with weights that sum to one (see
`domain.tiling`). Where an output does not depend on the size of the tile around it, neighbouring tiles are merged
into larger ones, as large as `merge` tiles along each axis: the same result away from the tiles' borders, with less
computed twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from segwheel.domain.resolution import resampled, training_shape
from segwheel.domain.tiling import Grid, Tile, fitted_size
from segwheel.learning.checkpoint import Model
from segwheel.learning.networks import best_device, depends_on_tile
from segwheel.learning.precision import autocast
from segwheel.params.images import PredictParams

Map = npt.NDArray[np.float32]
Transform = tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]  # there and back

STRIDE = 32  # the networks halve an image five times

# The defaults of `predict_full`, and of a model that is used without parameters.
DEFAULTS = PredictParams(
    tile_size=256,
    overlap=0.25,
    window="gaussian",
    test_time_augmentation="none",
    batch_size=4,
    precision="auto",
    merge=3,
    threshold=0.5,
    min_object_area=100,
    fill_holes=0,
    connectivity=8,
)


def predict_array(
    model: Model, image: npt.NDArray[Any], params: PredictParams = DEFAULTS, pixel_size_um: float | None = None
) -> Map:
    """Foreground probability (y, x) in 0..1 of one image (y, x) of raw intensities."""
    return predict_targets(model, image, params, pixel_size_um)["mask"]


def predict_targets(
    model: Model, image: npt.NDArray[Any], params: PredictParams, pixel_size_um: float | None = None
) -> dict[str, Map]:
    """Every target of the model, each (y, x) in 0..1, for one image (y, x) of raw intensities.

    An image whose pixel size is known and differs from the training resolution is resampled to it, and the results
    are resampled back.
    """
    shape = training_shape(image.shape, pixel_size_um, model.pixel_size_um)
    pixels = model.normalization.apply(resampled(image, shape))
    maps = blended(model, pixels, params)
    return {name: np.clip(resampled(values, image.shape), 0, 1) for name, values in maps.items()}


def blended(model: Model, pixels: Map, params: PredictParams) -> dict[str, Map]:
    """Every target of normalised `pixels`, of the same shape, blended from tiles."""
    padded = _padded(pixels, params.tile_size)
    grid = tile_grid(padded.shape, params, merge=1 if depends_on_tile(model.network) else params.merge)
    weights = grid.weights(params.window)
    sums = {name: np.zeros(padded.shape, np.float32) for name in model.targets}
    for tile, outputs in predicted_tiles(model, padded, grid, params):
        weight = weights.of(tile)
        for name, values in zip(model.targets, outputs, strict=True):
            sums[name][tile.read.slices] += weight * values
    inside = tuple(slice(0, n) for n in pixels.shape)
    return {name: total[inside] for name, total in sums.items()}


def tile_grid(shape: Sequence[int], params: PredictParams, merge: int) -> Grid:
    """Tiles over an array of `shape`, each up to `merge` tiles of `params.tile_size` long, multiples of 32.

    Where the overlap is such a multiple too, so are their starts but the last: a network that halves an image five
    times sees it in the same phase in each.
    """
    size = _multiple(params.tile_size)
    overlap = round(params.overlap * size)
    largest = _multiple(size + (merge - 1) * (size - overlap))
    fitted = [max(size, fitted_size(length, largest, overlap, STRIDE)) for length in shape]
    return Grid.over(shape, fitted, [overlap] * len(fitted))


def predicted_tiles(
    model: Model, pixels: Map, grid: Grid, params: PredictParams
) -> Iterator[tuple[Tile, npt.NDArray[np.float32]]]:
    """Each tile with its outputs (targets, *tile), in grid order."""
    device = best_device()
    network = model.network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    # A batch holds as many elements as `batch_size` tiles do before they are merged.
    area = np.prod([axis.size for axis in grid.axes]) / params.tile_size ** len(grid.axes)
    tiles = iter(grid)
    while batch := list(islice(tiles, max(1, int(params.batch_size / area)))):
        stack = np.stack([pixels[tile.read.slices] for tile in batch])[:, None]
        outputs = _predict(network, torch.from_numpy(stack).to(device), params)
        yield from zip(batch, outputs.cpu().numpy(), strict=True)


def _predict(network: nn.Module, images: Tensor, params: PredictParams) -> Tensor:
    """Mean of the sigmoid outputs over the transforms of test-time augmentation."""
    transforms = TRANSFORMS[params.test_time_augmentation]
    total = torch.zeros((), device=images.device)
    with torch.inference_mode(), autocast(params.precision, network, images.device):
        for there, back in transforms:
            turned = there(images).contiguous(memory_format=torch.channels_last)
            total = total + back(network(turned).float().sigmoid())
    return total / len(transforms)


def _flip(*axes: int) -> Transform:
    def flip(images: Tensor) -> Tensor:
        return images.flip(axes) if axes else images

    return flip, flip


def _transposed(transform: Transform) -> Transform:
    there, back = transform
    return (lambda images: there(images.mT)), (lambda images: back(images).mT)


_FLIPS = [_flip(), _flip(-1), _flip(-2), _flip(-1, -2)]
TRANSFORMS: dict[str, list[Transform]] = {
    "none": [_flip()],
    "flips": _FLIPS,
    "dihedral": _FLIPS + [_transposed(flip) for flip in _FLIPS],
}


def _padded(pixels: Map, tile_size: int) -> Map:
    """Mirrored at the far borders where the image is smaller than a tile."""
    size = _multiple(tile_size)
    widths = [(0, max(0, size - n)) for n in pixels.shape]
    return np.pad(pixels, widths, mode="symmetric") if any(after for _, after in widths) else pixels


def _multiple(size: int) -> int:
    return -(-size // STRIDE) * STRIDE
