"""Stage `train`: a model from the patch stores; a killed run continues where it stopped."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from segwheel.formats.files import content_md5, write_json
from segwheel.formats.patch_store import PatchStore, open_patches
from segwheel.learning.checkpoint import publish
from segwheel.learning.curves import save_curves, save_history
from segwheel.learning.fitting import OnEpoch, TrainingRun
from segwheel.learning.multitask_training import train_stored
from segwheel.learning.training import train_network
from segwheel.params.images import TrainParams
from segwheel.params.volumes import VolumeTrainParams
from segwheel.tracking import Run


def train(
    patches_dir: Path, output_dir: Path, work_dir: Path, params: TrainParams | VolumeTrainParams, run: Run
) -> TrainingRun:
    """Train on `patches_dir` and write `model.pth`, `history.csv`, `metrics.json` and `loss_plot.png`.

    The model is the best one by its validation score (Dice, or the loss where faults are no task) where there are
    validation samples, and the last one where the training samples validate. Checkpoints go to a folder of `work_dir`
    that is named after the patches and the parameters, so that the same training, started again, goes on from there.
    """
    train_store = open_patches(patches_dir / "train.zarr")
    validation = open_patches(patches_dir / "val.zarr") if (patches_dir / "val.zarr").is_dir() else None
    folder = work_dir / training_key(patches_dir, params)
    last = folder / "checkpoints" / "last.ckpt"
    resume = last if last.is_file() else None
    result = _trained(train_store, validation, params, folder, resume, lambda n, scores: run.metrics(scores, step=n))
    _write(result, output_dir, best=validation is not None)
    last.unlink(missing_ok=True)
    run.params(params.model_dump())
    run.metrics({"train_images": len(set(train_store.attributes["samples"])), "train_patches": len(train_store)})
    for name in result.plots:
        run.artifact(output_dir / name)
    run.model(output_dir / "model.pth")
    return result


def _trained(
    train_store: PatchStore,
    validation: PatchStore | None,
    params: TrainParams | VolumeTrainParams,
    folder: Path,
    resume: Path | None,
    on_epoch: OnEpoch,
) -> TrainingRun:
    if isinstance(params, VolumeTrainParams):
        return train_stored(train_store, validation, params, folder, resume, on_epoch)
    return train_network(train_store, validation, params, folder, resume, on_epoch)


def training_key(patches_dir: Path, params: TrainParams | VolumeTrainParams) -> str:
    """Names a training: equal for equal patches and parameters."""
    digest = hashlib.sha256(json.dumps(params.model_dump(), sort_keys=True).encode())
    for path in sorted(path for path in patches_dir.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(patches_dir)}:{content_md5(path)}".encode())
    return digest.hexdigest()[:12]


def _write(result: TrainingRun, output_dir: Path, *, best: bool) -> None:
    history = result.history
    publish(result.best if best else result.final, output_dir / "model.pth")
    for name, panels in result.plots.items():
        save_curves(output_dir / name, history, panels)
    save_history(output_dir / "history.csv", history)
    last = {name: column[-1] for name, column in history.items() if column[-1] == column[-1]}
    write_json(output_dir / "metrics.json", {**last, f"best_{result.chosen_by}": result.best_score})
