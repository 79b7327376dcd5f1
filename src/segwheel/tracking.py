"""What a stage may record about an iteration, without knowing who keeps the record."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol


class Run(Protocol):
    """The record of one iteration of one flywheel."""

    def params(self, values: Mapping[str, object]) -> None:
        """Record parameters, nested mappings with dotted names."""

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Record numbers; with `step` (an epoch, from 1) they form a curve. NaN is left out."""

    def tags(self, values: Mapping[str, str]) -> None:
        """Record words that runs are searched by."""

    def artifact(self, path: Path, folder: str = "") -> None:
        """Keep a copy of a file, in `folder` of the run's artifacts."""

    def dataset(self, name: str, path: Path, context: str) -> None:
        """Pin an input (`path`, under DVC) to its DVC hash; `context` is what it was used for (training, test)."""

    def model(self, checkpoint: Path) -> None:
        """Keep the model so that it can be loaded and predict on an array."""


class NullRun:
    """A run that keeps nothing: for the stand-alone commands and for tests."""

    def params(self, values: Mapping[str, object]) -> None: ...

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None: ...

    def tags(self, values: Mapping[str, str]) -> None: ...

    def artifact(self, path: Path, folder: str = "") -> None: ...

    def dataset(self, name: str, path: Path, context: str) -> None: ...

    def model(self, checkpoint: Path) -> None: ...
