"""Faults by the weights that ship against faults by thresholded semblance, on generated volumes that no training saw.

    python benchmarks/semblance.py [--shape 96 96 96] [--count 12] [--recipe published] [--cube rgm_dev_00.npz]

Semblance (Marfurt et al. 1998, Geophysics 63, 1150-1165) is the energy of the sum of neighbouring traces over the sum
of their energies, along the slope on which they agree best, in a window of a few samples of depth; here the lesser of
that along inlines and that along crosslines. It is low at faults, and wherever else neighbours differ. It gets the
threshold that is best for these very volumes; the network keeps its own.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from segwheel.axes import Region
from segwheel.domain.faults import fault_dice, tolerant_iou
from segwheel.domain.synthesis.recipe import RECIPES
from segwheel.domain.synthesis.seismic import generate
from segwheel.formats import volume
from segwheel.learning.multitask_checkpoint import find_model, load_multitask
from segwheel.learning.volume_prediction import predict_image

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

TRACES = 5  # across a fault of three voxels
SAMPLES = 9
SLOPES = np.linspace(-2, 2, 17)  # samples of depth a trace
THRESHOLDS = np.linspace(0.02, 0.98, 49)
TOLERANCE = 2  # voxels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="seismic_light")
    parser.add_argument("--shape", type=int, nargs=3, default=(96, 96, 96))
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--recipe", choices=sorted(RECIPES), default="published")
    parser.add_argument("--seed", type=int, default=9000)
    parser.add_argument("--cube", type=Path, help="one more, of another generator: .npz with seismic and fault_id")
    asked = parser.parse_args()
    drawn = [generate(asked.shape, RECIPES[asked.recipe], asked.seed + i) for i in range(asked.count)]
    compare(f"{asked.count} of recipe {asked.recipe}", asked.model, [(one.image, one.fsem > 0) for one in drawn])
    if asked.cube:
        with np.load(asked.cube, allow_pickle=False) as cube:
            pair = cube["seismic"].astype(np.float32), cube["fault_id"] > 0
        compare(asked.cube.name, asked.model, [pair])


def compare(what: str, model: str, volumes: list[tuple[Floats, Mask]]) -> None:
    truths = [faults for _, faults in volumes]
    coherence = [semblance(image) for image, _ in volumes]
    best = max(THRESHOLDS, key=lambda level: dice(coherence, truths, level))
    report(f"{what}: semblance below {best:.2f}", [each < best for each in coherence], truths)
    report(f"{what}: {model}", list(predicted(model, [image for image, _ in volumes])), truths)


def dice(coherence: list[Floats], truths: list[Mask], level: float) -> float:
    return float(np.mean([fault_dice(each < level, truth) for each, truth in zip(coherence, truths, strict=True)]))


def report(what: str, found: list[Mask], truths: list[Mask]) -> None:
    pairs = list(zip(found, truths, strict=True))
    scores = [(fault_dice(*pair), tolerant_iou(*pair, TOLERANCE)) for pair in pairs]
    print("{}: fault Dice {:.3f}, tolerant IoU {:.3f}".format(what, *np.mean(scores, axis=0)), flush=True)


def semblance(image: Floats) -> Floats:
    """In 0..1, of the shape of `image` (depth, inline, crossline)."""
    return np.minimum(_along(image, 1), _along(image, 2))


def _along(image: Floats, axis: int) -> Floats:
    """The best semblance over slopes of `TRACES` traces along `axis`."""
    half = TRACES // 2
    padded = np.pad(image, [(half, half) if i == axis else (0, 0) for i in range(3)], mode="edge")
    traces = [np.take(padded, range(i, i + image.shape[axis]), axis) for i in range(TRACES)]
    best = np.zeros_like(image)
    for slope in SLOPES:
        total, energy = np.zeros_like(image), np.zeros_like(image)
        for offset, trace in zip(range(-half, half + 1), traces, strict=True):
            moved = ndimage.shift(trace, (-offset * slope, 0, 0), order=1, mode="nearest")
            total += moved
            energy += moved**2
        window = {"size": SAMPLES, "axis": 0, "mode": "nearest"}
        summed, single = (ndimage.uniform_filter1d(each, **window) for each in (total**2, TRACES * energy))
        best = np.maximum(best, summed / np.maximum(single, 1e-12))
    return best


def predicted(name: str, images: list[Floats]) -> Iterator[Mask]:
    """The faults that a model finds in each image, with the defaults of `segwheel predict-volume`."""
    model = load_multitask(find_model(name))
    for image in images:
        with TemporaryDirectory() as folder:
            source = Path(folder) / "image.zarr"
            volume.write_array(source, image)
            found = volume.open(predict_image(model, volume.open(source), Path(folder) / "found")["fsem"])
            yield found.read(Region.whole(found.shape)) > model.threshold


if __name__ == "__main__":
    main()
