"""Training from a stand-alone configuration: patches and a run folder of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
from ruamel.yaml import YAML
from scipy import ndimage

from segwheel.domain.manifest import Sample, read_manifest, write_manifest
from segwheel.domain.patch_cutting import cut_patches
from segwheel.errors import MissingError, ParamsError
from segwheel.formats.files import replacing
from segwheel.formats.patch_store import open_patches
from segwheel.learning.fitting import TrainingRun
from segwheel.learning.training import train_network
from segwheel.params.train_config import TrainConfig, read_train_config
from segwheel.processes import follows

CONFIG, PATCHES = "config.yaml", "patches"  # in a run folder


def new_run_folder(runs_dir: Path, now: datetime) -> Path:
    """`train_YYYYMMDD_HHMMSS` in `runs_dir`, with a number behind it when that is taken."""
    name = now.strftime("train_%Y%m%d_%H%M%S")
    folder = runs_dir / name
    for number in range(2, 1000):
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            folder = runs_dir / f"{name}_{number}"
        else:
            return folder
    raise MissingError(runs_dir, what="free name for a run")


def resumed_run_folder(checkpoint: Path) -> Path:
    """The run folder that a checkpoint lies in. Raises MissingError when it lies in none."""
    folder = checkpoint.absolute().parent.parent
    if not checkpoint.is_file() or not (folder / PATCHES).is_dir():
        raise MissingError(checkpoint, what="checkpoint of a run folder", hint="give one of runs/train_*/checkpoints")
    return folder


def run_config(config: TrainConfig, folder: Path, *, progress: bool = True) -> TrainingRun:
    """Cut patches into `folder` and train there.

    Writes config.yaml, patches/, checkpoints/, tensorboard/ and loss_plot.png.
    """
    if not follows():
        _prepare(config, folder)
    return _train(config, folder, None, progress=progress)


def _prepare(config: TrainConfig, folder: Path) -> None:
    data = config.data
    with replacing(folder / CONFIG) as beside:
        YAML().dump(config.model_dump(mode="json"), beside)
    with replacing(folder / PATCHES) as beside:
        cut_patches(
            data.train_manifest, data.val_manifest, data.data_root, beside, config.dataset.targets, config.patches
        )


def resume_config(config: TrainConfig, checkpoint: Path, *, progress: bool = True) -> TrainingRun:
    """Go on from a checkpoint of `run_config`, in its folder and on its patches.

    Raises MissingError when the checkpoint lies in no run folder, CheckpointError when it cannot be continued, and
    ParamsError when the run learned from other data or patches than `config` says; nothing is changed then.
    """
    folder = resumed_run_folder(checkpoint)
    path = folder / CONFIG
    earlier = read_train_config(path)
    for section in ("data", "dataset"):
        if getattr(earlier, section) != getattr(config, section):
            raise ParamsError(path, expected=f"the {section} section of the configuration given", found="another")
    result = _train(config, folder, checkpoint, progress=progress)
    with replacing(path) as beside:
        YAML().dump(config.model_dump(mode="json"), beside)
    return result


def _train(config: TrainConfig, folder: Path, resume: Path | None, *, progress: bool) -> TrainingRun:
    patches = folder / PATCHES
    train, validation = open_patches(patches / "train.zarr"), None
    if (patches / "val.zarr").is_dir():
        validation = open_patches(patches / "val.zarr")
    return train_network(train, validation, config.train, folder, resume, progress=progress)


def samples_of(config: TrainConfig) -> list[Sample]:
    """Every labelled sample of a configuration, training and validation."""
    data = config.data
    manifests = dict.fromkeys(path for path in (data.train_manifest, data.val_manifest) if path)
    samples = {one.basename: one for path in manifests for one in read_manifest(path, data.data_root, ["mask"])}
    return list(samples.values())


def write_fold(samples: Sequence[Sample], held_out: Sequence[str], folder: Path) -> tuple[Path, Path]:
    """Write the training and test manifests of one fold; paths are absolute."""
    parts = {
        "train": [one for one in samples if one.basename not in held_out],
        "test": [one for one in samples if one.basename in held_out],
    }
    for name, members in parts.items():
        rows = [
            {
                "basename": one.basename,
                "image_path": one.image_path,
                **{f"{target}_path": path for target, path in one.targets.items()},
                "group": one.group,
                "split": name,
                "pixel_size_um": one.pixel_size_um or "",
            }
            for one in members
        ]
        write_manifest(folder / f"{name}.csv", rows)
    return folder / "train.csv", folder / "test.csv"


def folds_of(samples: Sequence[Sample], count: int | None) -> list[list[str]]:
    """Names held out in each fold: one group a fold, or the groups dealt out to `count` folds.

    Groups stay together, and are dealt in the order of their size so that folds hold about as many samples.
    """
    groups: dict[str, list[str]] = {}
    for sample in samples:
        groups.setdefault(sample.group, []).append(sample.basename)
    folds: list[list[str]] = [[] for _ in range(min(count or len(groups), len(groups)))]
    for members in sorted(groups.values(), key=len, reverse=True):
        min(folds, key=len).extend(members)
    return folds


def coherence(probability: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> float:
    """How much neighbours agree: correlation of a probability map with its 3 x 3 mean, 1 for smooth maps, about 0.3
    for noise; 0 for a constant map."""
    smooth = ndimage.uniform_filter(probability, 3)
    if probability.std() < 1e-6 or smooth.std() < 1e-6:
        return 0.0
    return float(np.corrcoef(probability.ravel(), smooth.ravel())[0, 1])
