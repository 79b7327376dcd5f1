"""How much of a volume must be labelled: fault Dice on unseen cubes after 2 %, 5 % and all of the slices.

    python benchmarks/sparse_labels.py --folder /tmp/sparse --epochs 12

Generated volumes are labelled slice by slice (evenly spaced inlines of their true faults), exactly as corrections label
them; everything else is unlabelled. The light network is trained on patches of these alone, with the parameters of the
flywheel `seismic` but without initial weights, each time on the same number of patches, and scored on whole cubes of
other seeds.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from segwheel.axes import Region
from segwheel.domain.faults import fault_dice
from segwheel.domain.manifest import write_manifest
from segwheel.domain.synthesis.seismic import SeismicSample
from segwheel.domain.synthesis.volumes import generated_samples
from segwheel.domain.volume_patches import cut_volume_patches
from segwheel.domain.volume_slices import LabelledSlice, find_slice, write_labels
from segwheel.formats import volume
from segwheel.learning.multitask_checkpoint import load_multitask
from segwheel.learning.volume_prediction import predict_image
from segwheel.params.volumes import GenerateVolumesParams, VolumeFlywheelParams
from segwheel.params.yaml_file import parse, read_yaml
from segwheel.stages.train import train
from segwheel.tracking import NullRun

PARAMS = Path(__file__).parents[1] / "params.yaml"
TEST_SEED = 1_000  # of cubes that no training sees


@dataclass(frozen=True)
class Settings:
    """What is the same for every share of labels."""

    volumes: int
    tests: int
    edge: int
    patches: int
    params: VolumeFlywheelParams


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--shares", type=float, nargs="+", default=[0.02, 0.05, 1.0])
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--volumes", type=int, default=2, help="to train on")
    parser.add_argument("--tests", type=int, default=4, help="cubes to score on")
    parser.add_argument("--edge", type=int, default=128, help="of all of them")
    parser.add_argument("--patches", type=int, default=32, help="of each volume")
    given = parser.parse_args()
    params = parse(VolumeFlywheelParams, read_yaml(PARAMS)["seismic"], PARAMS, "seismic")
    training = params.train.training.model_copy(update={"epochs": given.epochs})
    model = params.train.model.model_copy(update={"initial_weights": None})  # those that ship have seen whole cubes
    params = params.model_copy(update={"train": params.train.model_copy(update={"training": training, "model": model})})
    settings = Settings(given.volumes, given.tests, given.edge, given.patches, params)
    folder = (given.folder or Path(tempfile.mkdtemp())).absolute()
    print(f"{given.volumes} volumes of {given.edge}^3, {given.patches} patches each, {given.epochs} epochs")
    print("labelled slices    share    fault Dice on unseen cubes: mean (least to greatest)")
    for share in given.shares:
        count = max(1, round(share * given.edge))
        scores = measure(folder / f"{count}_slices", count, settings)
        spread = f"{min(scores):.3f} to {max(scores):.3f}"
        print(f"{count:4d} of {given.edge:4d}       {share:6.1%}    {np.mean(scores):.3f} ({spread})", flush=True)


def measure(folder: Path, slices: int, settings: Settings) -> list[float]:
    """Fault Dice of each unseen cube after training on so many labelled slices of each volume."""
    model = trained(folder, slices, settings)
    network, scores = load_multitask(model), []
    for number, sample in enumerate(samples(settings, settings.tests, TEST_SEED)):
        path = folder / f"test_{number}.zarr"
        volume.write_array(path, sample.image)
        found = predict_image(network, volume.open(path), folder / f"test_{number}", settings.params.predict)
        probability = volume.open(found["fsem"]).read(Region.whole(sample.image.shape))
        scores.append(fault_dice(probability >= settings.params.predict.threshold, sample.fsem > 0))
    return scores


def trained(folder: Path, slices: int, settings: Settings) -> Path:
    """The model after training on so many labelled slices of each volume."""
    rows = []
    for number, sample in enumerate(samples(settings, settings.volumes, seed=0)):
        image, label = (folder / f"train_{number}_{what}.zarr" for what in ("image", "fsem"))
        volume.write_array(image, sample.image)
        opened = volume.open(image)
        write_labels(label, opened, None, list(labelled(opened, sample.fsem.astype(np.uint8), slices)))
        rows.append({"basename": f"train_{number}", "image_path": image.name, "fsem_path": label.name})
    write_manifest(folder / "train.csv", rows)
    write_manifest(folder / "val.csv", [], ("basename", "image_path", "fsem_path"))
    changes = {"generated": None, "patches_per_volume": settings.patches}
    cut = settings.params.patches.model_copy(update=changes)
    manifests = (folder / f"{split}.csv" for split in ("train", "val"))
    cut_volume_patches(*manifests, folder, folder / "patches", ["fault"], cut)
    train(folder / "patches", folder / "model", folder / "work", settings.params.train, NullRun())
    return folder / "model" / "model.pth"


def samples(settings: Settings, count: int, seed: int) -> list[SeismicSample]:
    made = GenerateVolumesParams(count=count, shape=(settings.edge,) * 3, recipe="published", seed=seed)
    return list(generated_samples(made))


def labelled(image: volume.Volume, truth: npt.NDArray[np.uint8], count: int) -> list[LabelledSlice]:
    """Evenly spaced inlines of the truth."""
    places = ((2 * np.arange(count) + 1) * image.shape[1] // (2 * count)).tolist()
    return [LabelledSlice(f"inline {i}", find_slice(image, "inline", i), truth[:, i]) for i in places]


if __name__ == "__main__":
    main()
