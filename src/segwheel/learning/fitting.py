"""One training run of any network: checkpoints, curves and pictures; continues where an interrupted run stopped."""

from __future__ import annotations

import logging
import math
import signal
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import Checkpoint, EarlyStopping, EMAWeightAveraging, RichProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from torch import nn
from torch.utils.data import DataLoader, Dataset

from segwheel.errors import CheckpointError
from segwheel.formats.files import replacing
from segwheel.formats.space import writing
from segwheel.learning.checkpoint import load_weights, read_checkpoint
from segwheel.learning.curves import save_curves, save_history
from segwheel.learning.dataset import EpochSampler, Item
from segwheel.learning.losses import Selection
from segwheel.learning.pictures import Render, SamplePictures
from segwheel.learning.precision import resolved
from segwheel.learning.segmenter import Segmenter
from segwheel.params.sections import FitParams, TrainingParams
from segwheel.processes import follows

# Lightning's notes about devices and its own products are nothing that a user of this program asked for.
logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\)")  # its own use of torch

SHOWN = ("train_loss", "train_dice", "val_loss", "val_dice")
OnEpoch = Callable[[int, Mapping[str, float]], None]


@dataclass(frozen=True)
class TrainingRun:
    """What a finished run left: the final checkpoint, the best one, the history, and the score of the best."""

    final: Path
    best: Path
    history: Mapping[str, list[float]]
    plots: Mapping[str, Mapping[str, str]]  # as in `Plan`
    chosen_by: str  # the validation score that chose the best one, such as val_dice
    best_score: float


@dataclass(frozen=True)
class Layout:
    """Where a run writes: checkpoints of these names to `checkpoints`, everything else to `folder`.

    `epoch` is a format of the number of finished epochs. `last` is there after every epoch, `final` after the run.
    """

    folder: Path
    checkpoints: Path
    epoch: str = "checkpoint_epoch_{:03d}.pth"
    best: str = "best_model.pth"
    last: str = "last.ckpt"
    final: str = "final_model.pth"

    @classmethod
    def in_folder(cls, folder: Path) -> Layout:
        return cls(folder, folder / "checkpoints")


@dataclass(frozen=True)
class Plan:
    """What differs from one kind of network to another: how a run is shown, and where it runs.

    `plots` names the pictures of curves that are written, each with its panels: name of a score and axis label.
    """

    render: Render
    plots: Mapping[str, Mapping[str, str]]
    nodes: int = 1


def fit(
    segmenter: Segmenter,
    data: TrainingData,
    params: FitParams,
    layout: Layout,
    plan: Plan,
    resume: Path | None = None,
    on_epoch: OnEpoch | None = None,
    *,
    progress: bool = True,
) -> TrainingRun:
    """Train, and write checkpoints, history.csv, tensorboard/ and the plots.

    With `resume` a checkpoint of this function is continued exactly. Raises CheckpointError when `resume` holds
    another network or cannot be continued, and KeyboardInterrupt when a person interrupted the run. Of the processes
    that train on several devices only the first returns.
    """
    if resume:
        _check_resumable(segmenter, resume)
    selection = segmenter.objective.selection
    callbacks = _callbacks(params, layout, plan, selection, on_epoch, progress)
    trainer = _trainer(segmenter.network, params, layout, plan, callbacks, progress)
    try:
        trainer.fit(segmenter, datamodule=data, ckpt_path=resume, weights_only=True)
    except SystemExit:  # how Lightning answers Ctrl-C: with code 1, and deaf to the next one
        signal.signal(signal.SIGINT, signal.default_int_handler)
        raise KeyboardInterrupt from None
    if follows():
        raise SystemExit
    for name, panels in plan.plots.items():
        save_curves(layout.folder / name, segmenter.history, panels)
    final, best = layout.checkpoints / layout.final, layout.checkpoints / layout.best
    return TrainingRun(final, best, segmenter.history, plan.plots, f"val_{selection.name}", segmenter.best)


class Checkpoints(Checkpoint):
    """Writes the checkpoints and the history after an epoch, and reports its scores.

    Lightning calls callbacks of this base class last, when the epoch's scores are in the history.
    """

    def __init__(self, layout: Layout, every_n_epochs: int, on_epoch: OnEpoch | None) -> None:
        self.layout, self.every_n_epochs, self.on_epoch = layout, every_n_epochs, on_epoch

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        assert isinstance(pl_module, Segmenter)
        history, epoch = pl_module.history, pl_module.current_epoch + 1
        row = {name: column[-1] for name, column in history.items() if name != "epoch"}
        scores = {name: value for name, value in row.items() if not math.isnan(value)}
        if trainer.is_global_zero:
            self._report(epoch, trainer.max_epochs, scores)
            save_history(self.layout.folder / "history.csv", history)
        folder = self.layout.checkpoints
        if scores.get(f"val_{pl_module.objective.selection.name}") == pl_module.best:
            save(trainer, folder / self.layout.best)
        if epoch % self.every_n_epochs == 0:
            save(trainer, folder / self.layout.epoch.format(epoch))
        save(trainer, folder / self.layout.last)

    def _report(self, epoch: int, epochs: int | None, scores: Mapping[str, float]) -> None:
        if not sys.stdout.isatty():  # no progress bar there
            shown = ", ".join(f"{name} {scores[name]:.4f}" for name in SHOWN if name in scores)
            sys.stdout.write(f"epoch {epoch}/{epochs}: {shown}\n")
            sys.stdout.flush()
        if self.on_epoch:
            self.on_epoch(epoch, scores)

    def on_fit_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:  # noqa: ARG002
        save(trainer, self.layout.checkpoints / self.layout.final)


def save(trainer: lightning.Trainer, path: Path) -> None:
    """Write a checkpoint atomically. All devices take part, the first one writes.

    Raises SegwheelError when there is no room for it.
    """
    with writing(path), replacing(path) if trainer.is_global_zero else _nowhere() as beside:
        trainer.save_checkpoint(beside, weights_only=False)


class _nowhere:  # noqa: N801  stands where `replacing` stands, on devices that write nothing
    def __enter__(self) -> str:
        return ""

    def __exit__(self, *_: object) -> None: ...


def _check_resumable(segmenter: Segmenter, path: Path) -> None:
    content = read_checkpoint(path)
    if "loops" not in content:
        raise CheckpointError(path, expected="a checkpoint of a training run", found="weights without optimiser state")
    load_weights(segmenter.network, content["model_state_dict"], path)


def _trainer(
    network: nn.Module,
    params: FitParams,
    layout: Layout,
    plan: Plan,
    callbacks: list[lightning.Callback],
    progress: bool,
) -> lightning.Trainer:
    logger = TensorBoardLogger(layout.folder, name="", version="tensorboard") if params.tensorboard.enabled else False
    return lightning.Trainer(
        max_epochs=params.training.epochs,
        precision=resolved(params.training.precision, network),
        devices=params.training.devices,
        num_nodes=plan.nodes,
        accelerator="auto",
        callbacks=callbacks,
        logger=logger,
        check_val_every_n_epoch=min(params.validation.every_n_epochs, params.training.epochs),  # once at least
        enable_model_summary=False,
        enable_progress_bar=progress and sys.stdout.isatty(),
        log_every_n_steps=1,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        default_root_dir=layout.folder,
    )


def _callbacks(
    params: FitParams, layout: Layout, plan: Plan, selection: Selection, on_epoch: OnEpoch | None, progress: bool
) -> list[lightning.Callback]:
    callbacks: list[lightning.Callback] = []
    if params.training.average_decay:
        callbacks.append(EMAWeightAveraging(decay=params.training.average_decay))
    if params.early_stopping.enabled:
        stopping, monitor = params.early_stopping, f"val_{selection.name}"
        callbacks.append(EarlyStopping(monitor, stopping.min_delta, stopping.patience, mode=selection.mode))
    if params.tensorboard.enabled and params.tensorboard.pictures:
        shown = params.tensorboard
        callbacks.append(SamplePictures(plan.render, shown.pictures, shown.pictures_every_n_epochs))
    if progress and sys.stdout.isatty():
        callbacks.append(RichProgressBar())
    callbacks.append(Checkpoints(layout, params.checkpointing.every_n_epochs, on_epoch))
    return callbacks


class TrainingData(lightning.LightningDataModule):
    """The loaders of a training run; asked for after the devices are known, so that each gets its share.

    Items of the datasets are asked for by (epoch, number).
    """

    def __init__(
        self, train: Dataset[Item], validation: Dataset[Item], params: TrainingParams, validation_batch: int
    ) -> None:
        super().__init__()
        self.train, self.validation, self.params, self.validation_batch = train, validation, params, validation_batch

    def train_dataloader(self) -> DataLoader[Item]:
        return self._loader(self.train, self.params.batch_size, shuffle=True)

    def val_dataloader(self) -> DataLoader[Item]:
        return self._loader(self.validation, self.validation_batch, shuffle=False)

    def _loader(self, dataset: Dataset[Item], batch_size: int, *, shuffle: bool) -> DataLoader[Item]:
        params = self.params
        devices = {"rank": self.trainer.global_rank, "devices": self.trainer.world_size} if self.trainer else {}
        return DataLoader(
            dataset,
            batch_size=batch_size,
            sampler=EpochSampler(len(dataset), params.seed, shuffle=shuffle, **devices),  # type: ignore[arg-type]
            num_workers=params.num_workers,
            persistent_workers=params.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
        )
