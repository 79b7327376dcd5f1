"""What a microscopy model costs beside its network: waiting for patches in training, and memory in predicting folders.

    python benchmarks/microscopy_cost.py [--threads 2]

Generated images of 1024 x 1024 pixels and the parameters of a new flywheel. A step is one batch with its update; the
share is the time in the loader over all time, in the first pass over the patches, which reads them, and in the second.
Memory is the peak of `predict_full` on a folder and on one with four times as many images.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from time import perf_counter

import lightning
import torch

from segwheel.domain.manifest import write_manifest
from segwheel.domain.patch_cutting import cut_patches
from segwheel.domain.synthesis.cells import cell_images, write_cells
from segwheel.formats.patch_store import open_patches
from segwheel.learning.checkpoint import save
from segwheel.learning.dataset import PatchDataset
from segwheel.learning.fitting import TrainingData
from segwheel.learning.precision import autocast
from segwheel.learning.segmenter import Segmenter
from segwheel.learning.training import build_segmenter
from segwheel.params.images import ImageFlywheelParams, TrainParams
from segwheel.params.yaml_file import parse, read_yaml

PARAMS = Path(__file__).parents[1] / "params.yaml"
LABELLED, SIZE = 6, 1024
Rows = list[dict[str, str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--images", type=int, default=6, help="in the smaller folder")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    params = parse(ImageFlywheelParams, read_yaml(PARAMS)["new_flywheel"], PARAMS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = labelled_images(folder)
        write_manifest(folder / "train.csv", rows)
        cut_patches(folder / "train.csv", None, folder, folder / "patches", params.targets, params.patches)
        store = open_patches(folder / "patches" / "train.zarr")
        segmenter = build_segmenter(store, params.train)
        dataset = PatchDataset(store, params.train.augmentation, params.train.training.seed)
        for turn, (loading, total, steps) in enumerate(passes(segmenter, dataset, params.train), 1):
            print(f"pass {turn}: {steps} steps of {total / steps * 1000:.0f} ms, {loading / total:.1%} in the loader")
        save({"model_state_dict": segmenter.network.state_dict(), **segmenter.description}, folder / "model.pth")
        small, large = (peak_memory(folder, rows, arguments.images * factor) for factor in (1, 4))
        print(f"peak memory at four times the images: {large:.0f} / {small:.0f} MiB = {large / small:.2f}")


def labelled_images(folder: Path) -> Rows:
    """Rows of a manifest of a few generated images."""
    images = list(cell_images(LABELLED, SIZE, seed=1))
    write_cells(folder / "cells", images)
    return [
        {
            "basename": image.name,
            "image_path": f"cells/images/{image.name}.tif",
            "mask_path": f"cells/masks/{image.name}_mask.tif",
        }
        for image in images
    ]


def passes(segmenter: Segmenter, dataset: PatchDataset, params: TrainParams) -> Iterator[tuple[float, float, int]]:
    """Seconds in the loader, seconds in all and steps of two passes over the patches."""
    lightning.seed_everything(params.training.seed, verbose=False)
    loader = TrainingData(dataset, dataset, params.training, params.training.batch_size).train_dataloader()
    optimizer = torch.optim.AdamW(segmenter.parameters(), lr=params.training.learning_rate, fused=True)
    for _ in range(2):
        loading, began, batches = 0.0, perf_counter(), iter(loader)
        while True:
            asked = perf_counter()
            batch = next(batches, None)
            loading += perf_counter() - asked
            if batch is None:
                break
            with autocast(params.training.precision, segmenter.network, torch.device("cpu")):
                loss = segmenter.training_step(batch, 0)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        yield loading, perf_counter() - began, len(loader)


def peak_memory(folder: Path, rows: Rows, count: int) -> float:
    """Peak resident MiB of predicting a folder of `count` images."""
    listed = folder / f"{count}.csv"
    several = zip(range(count), cycle(rows), strict=False)
    write_manifest(listed, [row | {"basename": f"{number}_{row['basename']}"} for number, row in several])
    command = [Path(sys.executable).parent / "predict_full", "--checkpoint", folder / "model.pth", "--manifest", listed]
    command += ["--data-root", folder, "--output-dir", folder / str(count)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""})
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"predict_full ended with {os.waitstatus_to_exitcode(status)}")
    return usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()
