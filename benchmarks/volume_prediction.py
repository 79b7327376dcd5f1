"""Whole volumes in tiles: seams, one scale of RGT, memory at two lengths, and speed against MONAI, in one run.

    python benchmarks/volume_prediction.py --model models/seismic/model.pth [--shape 128 256 384] [--threads 2]

The volume is generated, so that its attributes are known. Errors at tile borders are those of the voxels within two of
where a neighbour takes over, and inside those that one tile sees in its middle half. The error of RGT, after the best
scale and offset, is set against that of cubes that fit into a single tile, cut from the same volume, in either unit: a
deeper volume has more time in it, so that the same part of its range is more voxels. Memory is that of
processes which predict the volume and one of twice its length; beside it stands MONAI's `sliding_window_inference`
(dependency group `bench`; skipped when it is not installed) with the same network, window, overlap and batch, which
holds the volume and all attributes. Its dip, strike and RGT are plain weighted means.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from segwheel.axes import Region
from segwheel.domain.intensity import measure_volume
from segwheel.domain.rgt import fit_affine
from segwheel.domain.synthesis.recipe import RECIPES
from segwheel.domain.synthesis.seismic import generate
from segwheel.domain.tiling import Grid
from segwheel.domain.volume_scores import score_volume
from segwheel.formats import volume
from segwheel.learning.multitask_checkpoint import MultitaskModel, find_model, load_multitask
from segwheel.learning.volume_prediction import DEFAULTS, predict_image, tiling

Floats = npt.NDArray[np.float32]
NEAR = 2  # voxels on either side of a border


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="seismic_light")
    parser.add_argument("--shape", type=int, nargs=3, default=(128, 256, 384))
    parser.add_argument("--overlap", type=float, default=DEFAULTS.overlap)
    parser.add_argument("--recipe", choices=sorted(RECIPES), default="published")
    parser.add_argument("--seed", type=int, default=99)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--run", nargs=3, metavar=("WAY", "INPUT", "OUTPUT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model = load_multitask(find_model(arguments.model))
    if arguments.run:
        way, source, output = arguments.run
        WAYS[way](model, Path(source), Path(output), arguments.overlap)
        print(getrusage(RUSAGE_SELF).ru_maxrss / 2**10)
        return
    with tempfile.TemporaryDirectory() as folder:
        compare(model, arguments, Path(folder))


def compare(model: MultitaskModel, arguments: argparse.Namespace, folder: Path) -> None:
    shape = tuple(arguments.shape)
    truth = store(folder / "once", shape, arguments)
    repeat(folder / "once" / "image.zarr", folder / "twice" / "image.zarr")
    print(f"{' x '.join(map(str, shape))} voxels, tiles of {model.tile}, {arguments.threads} threads")
    costs = {}
    for way in ("segwheel", "MONAI") if find_spec("monai") else ("segwheel",):
        for length in ("once", "twice"):
            costs[way, length] = cost(way, folder / length, arguments)
            seconds, memory = costs[way, length]
            print(f"{way:9} {length:6} {seconds:8.1f} s  peak memory {memory:8.0f} MiB", flush=True)
    if ("MONAI", "once") in costs:
        ratio = costs["segwheel", "once"][0] / costs["MONAI", "once"][0]
        print(f"segwheel takes {ratio:.2f} of the time of MONAI")
    report(model, truth, folder / "once", arguments.overlap)


def store(folder: Path, shape: tuple[int, ...], arguments: argparse.Namespace) -> dict[str, Floats]:
    """Generate a volume and keep it and its attributes on disk."""
    sample = generate(shape, RECIPES[arguments.recipe], arguments.seed)
    truth = {**sample.targets}
    volume.write_array(folder / "image.zarr", sample.image)
    for name, values in truth.items():
        volume.write_array(folder / f"{name}.zarr", values.astype(np.uint8) if name == "fsem" else values)
    return truth


def repeat(source: Path, target: Path) -> None:
    """A volume of twice the length: mirrored along its longest axis."""
    values = read(source)
    axis = int(np.argmax(values.shape))
    volume.write_array(target, np.concatenate([values, np.flip(values, axis)], axis))


def cost(way: str, folder: Path, arguments: argparse.Namespace) -> tuple[float, float]:
    """Seconds and peak MiB of one prediction in a process of its own."""
    own = ("--model", arguments.model, "--overlap", str(arguments.overlap), "--threads", str(arguments.threads))
    command = [sys.executable, __file__, *own, "--run", way, str(folder / "image.zarr"), str(folder / way)]
    start = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return time.perf_counter() - start, float(done.stdout.split()[-1])


def by_segwheel(model: MultitaskModel, source: Path, output: Path, overlap: float) -> None:
    predict_image(model, volume.open(source), output, DEFAULTS.model_copy(update={"overlap": overlap}))


def by_monai(model: MultitaskModel, source: Path, output: Path, overlap: float) -> None:
    from monai.inferers import sliding_window_inference

    values = read(source)
    scale = measure_volume(volume.open(source))
    normalised = scale.apply(values)
    with torch.inference_mode():
        found = sliding_window_inference(
            torch.from_numpy(normalised)[None, None],
            model.tile,
            DEFAULTS.batch_size,
            model.network,
            overlap,
            mode=DEFAULTS.window,
        )
    for name, attribute in found.items():  # type: ignore[union-attr]  # a mapping, as the network gives one
        unit = scale.std if name == "dhr" else 1.0
        volume.write_array(output / f"{name}.zarr", unit * attribute[0, 0].numpy())


WAYS: dict[str, Any] = {"segwheel": by_segwheel, "MONAI": by_monai}


def read(path: Path) -> Floats:
    opened = volume.open(path)
    values: Floats = opened.read(Region.whole(opened.shape))
    return values


def report(model: MultitaskModel, truth: dict[str, Floats], folder: Path, overlap: float) -> None:
    labels = {name: volume.open(folder / f"{name}.zarr") for name in truth}
    ways = [way for way in WAYS if (folder / way).is_dir()]
    found = {way: {name: volume.open(folder / way / f"{name}.zarr") for name in truth} for way in ways}
    for way in ways:
        scores = score_volume(found[way], labels, model.threshold, 2)
        print(f"{way:9} " + ", ".join(f"{name} {value:.3f}" for name, value in scores.items()))
    border, inside = places(truth["rgt"].shape, model, overlap)
    for way in ways:
        for name in ("rgt", "dhr", "fsem"):
            wrong = np.abs(aligned(read(folder / way / f"{name}.zarr"), truth[name], name) - truth[name])
            ratio = wrong[border].mean() / wrong[inside].mean()
            print(f"{way:9} {name}: error at tile borders {ratio:.3f} of that inside")
        print(f"{way:9} rgt: {rgt_step(read(folder / way / 'rgt.zarr'), border, inside):.3f} bend at borders / inside")
    single = single_tiles(model, truth["rgt"], folder / "image.zarr")
    for way in ways:
        whole = rgt_errors(read(folder / way / "rgt.zarr"), truth["rgt"])
        print(f"{way:9} RGT error {whole[0]:.4f} of its range, {whole[1]:.2f} voxels of depth")
    print(f"single tiles: RGT error {single[0]:.4f} of its range, {single[1]:.2f} voxels of depth")


def aligned(values: Floats, wanted: Floats, name: str) -> Floats:
    """RGT at the best scale and offset; everything else as it is."""
    if name != "rgt":
        return values
    scale, offset = fit_affine(values, wanted)
    return np.float32(scale) * values + np.float32(offset)


def rgt_errors(found: Floats, wanted: Floats) -> tuple[float, float]:
    """Mean error at the best scale and offset, as a part of the range of RGT and as so many voxels of depth."""
    error = float(np.abs(aligned(found, wanted, "rgt") - wanted).mean())
    return error / float(np.ptp(wanted)), error / float(np.abs(np.diff(wanted, axis=0)).mean())


def places(shape: tuple[int, ...], model: MultitaskModel, overlap: float) -> tuple[Any, Any]:
    """Where a neighbouring tile takes over, and where a voxel is in the middle half of a tile along every axis."""
    cut = tiling(model.tile, DEFAULTS.model_copy(update={"overlap": overlap}))
    grid = Grid.over(shape, cut.tile, cut.overlap)
    border, inside = np.zeros(shape, bool), np.ones(shape, bool)
    for axis, tiles in enumerate(grid.axes):
        near, middle = np.zeros(tiles.length, bool), np.zeros(tiles.length, bool)
        for position in tiles.cuts()[1:-1]:
            near[position - NEAR : position + NEAR] = True
        for start in tiles.starts:
            middle[start + tiles.size // 4 : start + tiles.size - tiles.size // 4] = True
        along = [-1 if i == axis else 1 for i in range(len(shape))]
        border |= near.reshape(along)
        inside &= middle.reshape(along)
    return border, inside & ~border


def rgt_step(rgt: Floats, border: Any, inside: Any) -> float:
    """Mean absolute second difference along the lateral axes at borders over that inside: 1 is no seam."""
    bends = [np.abs(np.diff(np.pad(rgt, [(0, 0)] * axis + [(1, 1)] + [(0, 0)] * (2 - axis), mode="edge"), 2, axis))
             for axis in (1, 2)]  # fmt: skip
    bend = sum(bends)
    return float(bend[border].mean() / bend[inside].mean())


def single_tiles(model: MultitaskModel, rgt: Floats, image: Path) -> tuple[float, float]:
    """Mean `rgt_errors` of cubes that are one tile each."""
    opened, errors = volume.open(image), []
    with tempfile.TemporaryDirectory() as folder:
        for number, corner in enumerate(corners(rgt.shape, model.tile)):
            region = Region.at(corner, model.tile)
            cube = Path(folder) / f"{number}.zarr"
            volume.write_array(cube, opened.read(region))
            found = read(predict_image(model, volume.open(cube), Path(folder) / str(number))["rgt"])
            errors.append(rgt_errors(found, rgt[region.slices]))
    return float(np.mean([part for part, _ in errors])), float(np.mean([deep for _, deep in errors]))


def corners(shape: tuple[int, ...], tile: tuple[int, ...]) -> list[tuple[int, ...]]:
    """A few places of single tiles, spread over the volume."""
    last = [n - t for n, t in zip(shape, tile, strict=True)]
    return [tuple(round(share * n) for n in last) for share in (0.0, 0.25, 0.5, 0.75, 1.0)]


if __name__ == "__main__":
    main()
