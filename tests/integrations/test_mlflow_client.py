from __future__ import annotations

import os
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mlflow.telemetry.utils import is_telemetry_disabled

from segwheel.errors import ServiceError
from segwheel.integrations import mlflow_client
from segwheel.integrations.mlflow_client import connect, experiment_id


class SlowMigration:
    """Stands in for a client whose first contact makes a database."""

    made: list[str]

    def __init__(self, tracking_uri: str) -> None:
        self.tracking_uri = tracking_uri

    def search_experiments(self, max_results: int) -> None:
        path = Path(self.tracking_uri.removeprefix("sqlite:///"))
        if not path.exists():
            self.made.append(path.name)
            path.write_text("half")
            time.sleep(0.05)
            path.write_text("whole")
        assert path.read_text() == "whole", f"{max_results} experiment of half a database"


def test_processes_that_come_first_together_migrate_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    SlowMigration.made = []
    monkeypatch.setattr(mlflow_client, "MlflowClient", SlowMigration)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: connect("sqlite:///mlflow.db", tmp_path), range(4)))
    assert len(SlowMigration.made) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mlflow.db", "mlflow.db.lock"]


def test_a_migration_that_fails_leaves_no_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: SlowMigration, max_results: int) -> None:
        Path(self.tracking_uri.removeprefix("sqlite:///")).write_text("half")
        raise OSError(f"no space left for {max_results}")

    monkeypatch.setattr(mlflow_client, "MlflowClient", SlowMigration)
    monkeypatch.setattr(SlowMigration, "search_experiments", full)
    with pytest.raises(OSError, match="no space"):
        connect("sqlite:///mlflow.db", tmp_path)
    assert not list(tmp_path.glob("*.db"))


def test_the_database_of_another_mlflow_is_refused_with_the_way_out(mlflow_root: Path) -> None:
    with sqlite3.connect(mlflow_root / "mlflow.db") as database:
        database.execute("UPDATE alembic_version SET version_num = 'cfd24bdc0731'")
    with pytest.raises(ServiceError, match="mlflow db upgrade"):
        connect("sqlite:///mlflow.db", mlflow_root)


def test_what_is_no_database_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("not a database, " * 100)
    with pytest.raises(ServiceError, match=r"^MLflow: .*not a database") as caught:
        connect("sqlite:///mlflow.db", tmp_path)
    assert "\n" not in str(caught.value)


def test_an_experiment_is_made_once_and_comes_back_after_deletion(mlflow_root: Path) -> None:
    client = connect("sqlite:///mlflow.db", mlflow_root)
    made = experiment_id(client, "Zellen é", mlflow_root)
    client.delete_experiment(made)
    assert experiment_id(client, "Zellen é", mlflow_root) == made
    assert client.get_experiment(made).lifecycle_stage == "active"


def test_mlflow_calls_nobody() -> None:
    assert is_telemetry_disabled()
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_runs_of_an_experiment_elsewhere_belong_to_the_checkout_that_it_began_in(tmp_path: Path) -> None:
    elsewhere = tmp_path / ".dvc" / "tmp" / "exps" / "tmp2x4b"
    assert mlflow_client.database_path("sqlite:///mlflow.db", elsewhere) == tmp_path / "mlflow.db"
    assert mlflow_client.database_path("sqlite:///mlflow.db", tmp_path / ".dvc") == tmp_path / ".dvc" / "mlflow.db"


def test_so_do_their_artifacts(mlflow_root: Path) -> None:
    client = connect("sqlite:///mlflow.db", mlflow_root / ".dvc" / "tmp" / "exps" / "tmp2x4b")
    made = client.get_experiment(experiment_id(client, "cells", mlflow_root / ".dvc" / "tmp" / "exps" / "tmp2x4b"))
    assert made.artifact_location == (mlflow_root / "mlartifacts" / "cells").as_uri()
