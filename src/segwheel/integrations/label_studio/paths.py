"""Where the files of one flywheel's labelling are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from segwheel.integrations.label_studio import server


@dataclass(frozen=True)
class Places:
    """Paths below the repository at `root`."""

    root: Path
    flywheel: str

    @property
    def data(self) -> Path:
        return self.root / "data" / self.flywheel

    @property
    def record(self) -> Path:
        """Which iteration the model is of; written by the train stage."""
        return self.root / "models" / self.flywheel / "run.json"

    @property
    def queue(self) -> Path:
        return self.data / "queue" / "review_queue.csv"

    @property
    def journal(self) -> Path:
        """Every revision of every annotation; under DVC."""
        return self.data / "annotations"

    @property
    def corrections(self) -> Path:
        """The current masks; under DVC."""
        return self.data / "corrections"

    @property
    def table(self) -> Path:
        """The provenance of the masks; in git."""
        return self.data / "corrections.csv"

    @property
    def pictures(self) -> Path:
        return server.pictures(self.root) / self.flywheel

    @property
    def lock(self) -> Path:
        return server.home(self.root) / f"{self.flywheel}.lock"

    @property
    def plan(self) -> Path:
        return server.home(self.root) / f"{self.flywheel}.plan.json"

    @property
    def state(self) -> Path:
        """How far pull has read; only saves work, can be removed."""
        return server.home(self.root) / f"{self.flywheel}.pull.json"
