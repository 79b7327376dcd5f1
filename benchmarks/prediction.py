"""Speed and agreement of tiled prediction on one large image, against the plain loop and MONAI, in one run.

    python benchmarks/prediction.py [--checkpoint model.pth --image image.tif] [--size 2048]

The plain loop takes one 256-pixel tile at a time, float32, and averages overlaps without weights. MONAI (in the
dependency group `bench`; skipped when it is not installed) gets the same window, overlap, weights, batch and precision.
An image of the kind that the checkpoint learned is repeated, mirrored, to the size; without one it is of generated
cells. Without a checkpoint the network has random weights: the time is the same, the agreement says little.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage

from segwheel.domain.intensity import Normalization
from segwheel.domain.synthesis.cells import cell_images
from segwheel.formats.tiff import read_image
from segwheel.learning.checkpoint import Model, load_model
from segwheel.learning.inference import DEFAULTS, Map, blended, tile_grid
from segwheel.learning.networks import best_device, build_network
from segwheel.learning.precision import autocast
from segwheel.params.images import ModelParams
from segwheel.params.sections import Precision

TILE, OVERLAP = DEFAULTS.tile_size, DEFAULTS.overlap
RANDOM = ModelParams(architecture="unet", encoder="resnet18", encoder_weights=None, in_channels=1, classes=1)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--image", type=Path)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    model = load_model(arguments.checkpoint) if arguments.checkpoint else random_model()
    tile = read_image(arguments.image) if arguments.image else next(iter(cell_images(1, 512, 0))).pixels
    pixels = large_image(tile, arguments.size)
    pixels = (model.normalization if arguments.image else Normalization.measure([pixels])).apply(pixels)
    ways: dict[str, Callable[[], Map]] = {
        "plain loop": lambda: plain(model, pixels),
        "segwheel": lambda: segwheel(model, pixels),
        "segwheel, tiles not merged": lambda: segwheel(model, pixels, merge=1),
        "segwheel, float32": lambda: segwheel(model, pixels, precision="32"),
        "segwheel, float32, not merged": lambda: segwheel(model, pixels, precision="32", merge=1),
    }
    if find_spec("monai"):
        ways["MONAI sliding window"] = lambda: monai(model, pixels, "auto")
        ways["MONAI sliding window, float32"] = lambda: monai(model, pixels, "32")
    seconds = {name: float("inf") for name in ways}
    maps: dict[str, Map] = {}
    for _ in range(arguments.rounds):  # in turn, so that a busy minute hits all of them
        for name, way in ways.items():
            start = time.perf_counter()
            maps[name] = way()
            seconds[name] = min(seconds[name], time.perf_counter() - start)
    reference = maps["plain loop"]
    print(f"{arguments.size} x {arguments.size} pixels, {torch.get_num_threads()} threads, best of {arguments.rounds}")
    for name in ways:
        ratio = seconds["plain loop"] / seconds[name]
        print(
            f"{name:30} {seconds[name]:7.2f} s  {ratio:5.2f} x plain  mask Dice {dice(maps[name], reference):.4f}  "
            f"step at tile borders {seam(maps[name]):.2f} x inside"
        )
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


def large_image(tile: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    """The image repeated, mirrored at its borders, to `size` x `size`."""
    return np.pad(tile, [(0, max(0, size - n)) for n in tile.shape], mode="symmetric")[:size, :size]


def random_model() -> Model:
    torch.manual_seed(0)
    return Model(build_network(RANDOM).eval(), ("mask",), Normalization(0, 1), None, 0.5, "random")


def segwheel(model: Model, pixels: Map, **changes: Any) -> Map:
    return blended(model, pixels, DEFAULTS.model_copy(update=changes))["mask"]


def plain(model: Model, pixels: Map) -> Map:
    """One tile at a time, the last ones shifted inwards; overlaps are plain means."""
    step = TILE - round(OVERLAP * TILE)
    total, count, channel = np.zeros_like(pixels), np.zeros_like(pixels), model.targets.index("mask")
    network = model.network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    with torch.inference_mode():
        for y in range(0, pixels.shape[0] - TILE + step, step):
            for x in range(0, pixels.shape[1] - TILE + step, step):
                y0, x0 = min(y, pixels.shape[0] - TILE), min(x, pixels.shape[1] - TILE)
                tile = torch.from_numpy(np.ascontiguousarray(pixels[y0 : y0 + TILE, x0 : x0 + TILE]))[None, None]
                total[y0 : y0 + TILE, x0 : x0 + TILE] += network(tile).sigmoid()[0, channel].numpy()
                count[y0 : y0 + TILE, x0 : x0 + TILE] += 1
    return total / count


def monai(model: Model, pixels: Map, precision: Precision) -> Map:
    from monai.inferers import sliding_window_inference

    with torch.inference_mode(), autocast(precision, model.network, best_device()):
        logits = sliding_window_inference(
            torch.from_numpy(pixels)[None, None], TILE, DEFAULTS.batch_size, model.network, OVERLAP, mode="gaussian"
        )
    result: Map = logits.float().sigmoid()[0, model.targets.index("mask")].numpy()
    return result


def dice(one: Map, other: Map) -> float:
    a, b = one > 0.5, other > 0.5
    return float(2 * (a & b).sum() / max(1, a.sum() + b.sum()))


def seam(probability: Map) -> float:
    """Mean absolute second difference across the plain loop's tile borders, over that elsewhere: 1 is no seam."""
    bend = np.abs(ndimage.convolve1d(probability, [1, -2, 1], axis=1))[:, 1:-1]
    starts = [axis.starts for axis in tile_grid(probability.shape, DEFAULTS, 1).axes][1]
    borders = np.zeros(bend.shape[1], bool)
    for start in starts[1:]:
        borders[start - 2 : start + 1] = True
    return float(bend[:, borders].mean() / bend[:, ~borders].mean())


if __name__ == "__main__":
    main()
