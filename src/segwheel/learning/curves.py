"""The curves of a training: as a table and as pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from segwheel.domain.manifest import write_manifest
from segwheel.formats.files import replacing

LOSS_AND_DICE = {"loss": "loss", "dice": "Dice"}
PHASES = {"train": ("training", "#0072B2"), "val": ("validation", "#D55E00")}
COLUMNS = 3  # panels side by side
History = Mapping[str, Sequence[float]]


def save_history(path: Path, history: History) -> None:
    """A CSV with one row for each epoch; what an epoch did not measure is empty."""
    rows = [dict(zip(history, values, strict=True)) for values in zip(*history.values(), strict=True)]
    known = [{name: value for name, value in row.items() if value == value} for row in rows]
    write_manifest(path, known, tuple(history))


def save_curves(path: Path, history: History, panels: Mapping[str, str]) -> None:
    """A panel for each score of `panels` (name: axis label), with training and validation over epochs."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    columns = min(len(panels), COLUMNS)
    rows = -(-len(panels) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(5 * columns, 4 * rows), layout="constrained", squeeze=False)
    for panel in axes.ravel()[len(panels) :]:
        panel.set_axis_off()
    epochs = np.asarray(history["epoch"])
    for panel, (name, label) in zip(axes.ravel(), panels.items(), strict=False):
        for phase, (text, color) in PHASES.items():
            values = np.asarray(history.get(f"{phase}_{name}", []))
            known = np.isfinite(values)
            if known.any():
                panel.plot(epochs[known], values[known], color=color, label=text)
        panel.set(xlabel="epoch", ylabel=label)
        panel.grid(alpha=0.3)
        if panel.lines:
            panel.legend()
    with replacing(path) as beside:
        figure.savefig(beside, dpi=120)
    plt.close(figure)
