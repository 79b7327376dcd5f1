"""The training loop of one network as a Lightning module, and what its checkpoints hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightning
import torch
from torch import Tensor, nn

from segwheel.errors import CheckpointError
from segwheel.learning.losses import Objective, Ratio, ratio, stacked
from segwheel.params.sections import SchedulerParams, TrainingParams

Batch = dict[str, Tensor]
Apply = Callable[[nn.Module, Tensor], dict[str, Tensor]]
PREFIX = "network."


class Segmenter(lightning.LightningModule):
    """Trains `network` for `objective`.

    `apply_network` gives the network's outputs by name, each (batch, *axes), for images (batch, channels, *axes).
    `description` is plain data that is stored in every checkpoint: what is needed to build and apply the network.
    """

    def __init__(
        self,
        network: nn.Module,
        apply_network: Apply,
        objective: Objective,
        training: TrainingParams,
        scheduler: SchedulerParams,
        description: dict[str, Any],
    ) -> None:
        super().__init__()
        self.network, self.apply_network, self.objective = network, apply_network, objective
        self.training_params, self.scheduler_params, self.description = training, scheduler, description
        self.history: dict[str, list[float]] = {"epoch": []}
        self.best = objective.selection.worst
        self._sums: dict[str, dict[str, Ratio]] = {"train": {}, "val": {}}

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return self.apply_network(self.network, image)

    def training_step(self, batch: Batch, _index: int) -> Tensor:
        return self._step(batch, "train")

    def validation_step(self, batch: Batch, _index: int) -> None:
        self._step(batch, "val")

    def _step(self, batch: Batch, phase: str) -> Tensor:
        outputs = self(batch["image"])
        terms = self.objective.losses({name: value.float() for name, value in outputs.items()}, batch)
        loss = torch.stack(list(terms.values())).sum()
        one = torch.ones_like(loss)
        with torch.no_grad():
            sums = self.objective.scores(outputs, batch)
            sums |= {name: (value.detach(), one) for name, value in {"loss": loss, **terms}.items()}
            self._accumulate(phase, sums)
        return loss

    def _accumulate(self, phase: str, sums: dict[str, Ratio]) -> None:
        so_far = self._sums[phase]
        for name, (numerator, denominator) in sums.items():
            before = so_far.get(name, (0, 0))
            so_far[name] = (before[0] + numerator, before[1] + denominator)

    def _epoch_scores(self, phase: str) -> dict[str, float]:
        sums, self._sums[phase] = self._sums[phase], {}
        total = stacked(sums)
        if self.trainer.world_size > 1:
            gathered = self.all_gather(total)
            assert isinstance(gathered, Tensor)
            total = gathered.sum(0)
        return {f"{phase}_{name}": ratio(name, (pair[0], pair[1])) for name, pair in zip(sums, total, strict=True)}

    def on_validation_epoch_end(self) -> None:
        scores = self._epoch_scores("val")
        if self.trainer.sanity_checking:
            return
        self._record(scores)
        selection = self.objective.selection
        self.best = selection.better(self.best, scores[f"val_{selection.name}"])

    def on_train_epoch_end(self) -> None:
        self._record({**self._epoch_scores("train"), "learning_rate": self.optimizers().param_groups[0]["lr"]})  # type: ignore[union-attr]

    def _record(self, scores: dict[str, float]) -> None:
        """Add scores to the history's row of this epoch; what an epoch did not measure is NaN there."""
        for name, value in scores.items():
            self.log(name, value, logger=self.logger is not None, prog_bar=name.endswith(("_loss", "_dice")))
        epoch = self.current_epoch + 1
        if not self.history["epoch"] or self.history["epoch"][-1] != epoch:
            for column in self.history.values():
                column.append(float("nan"))
            self.history["epoch"][-1] = epoch
        for name, value in scores.items():
            column = self.history.setdefault(name, [float("nan")] * len(self.history["epoch"]))
            column[-1] = value

    def configure_optimizers(self) -> Any:
        params, scheduler = self.training_params, self.scheduler_params
        # Fused: updating parameter by parameter is a sixth of a processor's step.
        optimizer = torch.optim.AdamW(
            self.parameters(), lr=params.learning_rate, weight_decay=params.weight_decay, fused=True
        )
        if scheduler.name == "one_cycle":
            steps = int(self.trainer.estimated_stepping_batches)
            cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, params.learning_rate, steps, pct_start=0.2)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}
        if scheduler.name == "reduce_on_plateau":
            plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
                optimizer, factor=scheduler.factor, patience=scheduler.patience, min_lr=scheduler.min_lr
            )
            config = {"scheduler": plateau, "monitor": "val_loss", "frequency": self.trainer.check_val_every_n_epoch}
            return {"optimizer": optimizer, "lr_scheduler": config}
        return optimizer

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what users of the checkpoint expect to what Lightning needs to resume; tensors are shared, not copied."""
        state = checkpoint["state_dict"]
        network = {name.removeprefix(PREFIX): value for name, value in state.items() if name.startswith(PREFIX)}
        schedulers = checkpoint.get("lr_schedulers") or [{}]
        checkpoint |= {
            "model_state_dict": network,
            "optimizer_state_dict": (checkpoint.get("optimizer_states") or [{}])[0],
            "scheduler_state_dict": {k: v for k, v in schedulers[0].items() if isinstance(v, int | float | str | list)},
            self._best_key: self.best,
            "history": self.history,
            **self.description,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._check_length(checkpoint)
        self.history = {name: list(values) for name, values in checkpoint["history"].items()}
        self.best = checkpoint[self._best_key]

    def _check_length(self, checkpoint: dict[str, Any]) -> None:
        """A cycle of the learning rate is as long as its run. Raises CheckpointError for a run of another length."""
        steps = (checkpoint.get("lr_schedulers") or [{}])[0].get("total_steps")
        expected = int(self.trainer.estimated_stepping_batches) if self.scheduler_params.name == "one_cycle" else steps
        if steps != expected:
            raise CheckpointError(
                str(self.trainer.ckpt_path),
                expected=f"a checkpoint of a run of {expected} steps",
                found="one without such a cycle" if steps is None else f"one of {steps}",
                hint="the learning rate follows one cycle: keep epochs, samples and batch size, or change lr_schedule",
            )

    @property
    def _best_key(self) -> str:
        return f"best_val_{self.objective.selection.name}"
