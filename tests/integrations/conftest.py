"""Databases and repositories that are made once and copied for each test."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from segwheel.integrations.mlflow_client import DEFAULT_URI, connect


@pytest.fixture(scope="session")
def _empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database without runs. Migrating takes seconds: the workers of one test run share it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "mlflow-template"
    connect(DEFAULT_URI, folder)
    return folder / "mlflow.db"


@pytest.fixture
def mlflow_root(_empty_database: Path, tmp_path: Path) -> Path:
    """A folder with an MLflow database of its own, no git repository."""
    root = tmp_path / "mlflow root"
    root.mkdir()
    shutil.copy(_empty_database, root / "mlflow.db")
    return root


@pytest.fixture(scope="session")
def _hermetic(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Settings under which neither git nor DVC sees anything of the user or the machine."""
    home = tmp_path_factory.mktemp("home")
    people = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in _PERSON.items()}
    dvc = {f"DVC_{name}_DIR": str(home / name) for name in ("SITE_CACHE", "GLOBAL_CONFIG", "SYSTEM_CONFIG")}
    return {"DVC_NO_ANALYTICS": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", **dvc, **people}


_PERSON = {"NAME": "A Tester", "EMAIL": "tester@example.org"}


@pytest.fixture(scope="session")
def _empty_repository(tmp_path_factory: pytest.TempPathFactory, _hermetic: dict[str, str]) -> Path:
    root = tmp_path_factory.mktemp("template") / "repository"
    root.mkdir()
    env = {**os.environ, **_hermetic}
    for command in (
        ["git", "init", "--quiet", "--initial-branch=main"],
        [sys.executable, "-m", "dvc", "init", "--quiet"],
        ["git", "commit", "--quiet", "-m", "Begin"],
    ):
        subprocess.run(command, cwd=root, env=env, check=True)
    return root


@pytest.fixture
def repository(
    _empty_repository: Path, _hermetic: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A git repository with DVC and one commit."""
    for name, value in _hermetic.items():
        monkeypatch.setenv(name, value)
    root = tmp_path / "repository"
    shutil.copytree(_empty_repository, root)
    return root
