"""Sample pictures of the validation in TensorBoard."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import lightning
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor

from segwheel.learning.segmenter import Segmenter

# From outputs and the batch that they belong to, pictures (samples, 1 or 3, y, x) in 0..1 by their titles.
Render = Callable[[Mapping[str, Tensor], Mapping[str, Tensor]], Mapping[str, Tensor]]


class SamplePictures(lightning.Callback):
    """Logs what `render` makes of the first validation samples every few epochs."""

    def __init__(self, render: Render, count: int, every_n_epochs: int) -> None:
        self.render, self.count, self.every_n_epochs = render, count, every_n_epochs

    def on_validation_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,  # noqa: ARG002  the signature is Lightning's
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,  # noqa: ARG002
    ) -> None:
        due = (trainer.current_epoch + 1) % self.every_n_epochs == 0
        if batch_idx or not due or not isinstance(trainer.logger, TensorBoardLogger):
            return
        assert isinstance(pl_module, Segmenter)
        first = {name: values[: self.count] for name, values in batch.items()}
        with torch.no_grad():
            predicted = pl_module(first["image"])
        for title, rows in self.render(predicted, first).items():
            trainer.logger.experiment.add_images(title, rows, trainer.current_epoch + 1)


def mask_rows(outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Image, true mask and predicted probability side by side."""
    truth = (batch["mask"] == 1).float()
    rows = torch.cat([stretched(batch["image"][:, 0]), truth, outputs["mask"].sigmoid()], dim=2)
    return {"image, truth, prediction": rows[:, None]}


def stretched(image: Tensor) -> Tensor:
    """Pictures (samples, y, x), each from its darkest to its brightest."""
    low, high = image.amin((1, 2), keepdim=True), image.amax((1, 2), keepdim=True)
    return (image - low) / (high - low).clamp(min=1e-6)
