"""A clone of this checkout in which the wheel turns with real DVC and git."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]


def environment(home: Path) -> dict[str, str]:
    """Nothing of the person who runs the tests gets in, and nothing gets out."""
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(home / "site"),
        "DVC_GLOBAL_CONFIG_DIR": str(home / "global"),
        "DVC_SYSTEM_CONFIG_DIR": str(home / "system"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db",
        "OMP_NUM_THREADS": "1",  # threads of one program wait for each other on cores that another test uses
        **{f"GIT_{who}_{what}": "test@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }


class Clone:
    """A clone of the working tree that knows one flywheel; `shrink` makes its parameters small."""

    def __init__(self, folder: Path, flywheel: str, shrink: Callable[[Any], None]) -> None:
        self.folder, self.environment, self.flywheel = folder / "clone", environment(folder), flywheel
        self.first_queue: list[dict[str, str]] = []
        self.simulated = ""
        names = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=ROOT, check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        for name in filter(None, names.split("\0")):
            if (ROOT / name).is_file() and not name.startswith(("docs/", "tests/", "benchmarks/")):
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, self.folder / name)
        self.adjust(lambda values: values.update(flywheels=[flywheel]))
        self.adjust(shrink)
        self.run("git", "init", "-q")
        self.run("git", "add", ".")
        self.run("git", "commit", "-qm", "Begin")

    def adjust(self, change: Callable[[Any], None]) -> None:
        """Change params.yaml."""
        yaml, path = YAML(), self.folder / "params.yaml"
        values = yaml.load(path)
        change(values)
        yaml.dump(values, path)

    def turned_twice(self, corrections: int) -> Clone:
        """Two iterations: the first with the generated labels, the second with simulated corrections."""
        self.run("dvc", "repro")
        self.run("git", "add", ".")
        self.run("git", "commit", "-qm", "Iteration 1")
        self.first_queue = self.table("queue/review_queue.csv")
        self.simulated = self.run("segwheel", "correct", self.flywheel, "--simulate", str(corrections), "--commit")
        self.run("dvc", "repro")
        self.run("git", "add", ".")
        self.run("git", "commit", "-qm", "Iteration 2")
        return self

    def run(self, *command: str, code: int = 0) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, f"{command}: {done.stdout[-2000:]}{done.stderr[-3000:]}"
        return done.stdout + done.stderr

    def table(self, name: str) -> list[dict[str, str]]:
        with (self.folder / "data" / self.flywheel / name).open(newline="") as file:
            return list(csv.DictReader(file))
