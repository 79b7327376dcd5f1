"""A connection to MLflow: where its database is, made once, silent towards the outside.

Import this module before `mlflow`: it turns off MLflow's telemetry, which is decided when mlflow is imported.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from segwheel.errors import ServiceError
from segwheel.formats.files import replacing

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

DEFAULT_URI = "sqlite:///mlflow.db"
ARTIFACTS = "mlartifacts"
TEMPORARY = Path(".dvc/tmp/exps")  # where DVC runs experiments outside of the workspace
_SQLITE = "sqlite:///"


def connect(tracking_uri: str, root: Path) -> MlflowClient:
    """A client of the tracking store at `tracking_uri`.

    A SQLite file is relative to the checkout of `root` and is made when it is not there yet. Raises ServiceError when
    the store cannot be used.
    """
    uri = resolved_uri(tracking_uri, root)
    with service_errors(uri):
        if (database := database_path(tracking_uri, root)) is not None:
            _make_database(database)
        client = MlflowClient(tracking_uri=uri)
        client.search_experiments(max_results=1)  # connects, and checks the schema of the database
    return client


def database_path(tracking_uri: str, root: Path) -> Path | None:
    """The SQLite file of `tracking_uri`, absolute; None when the store is something else."""
    return checkout_of(root) / tracking_uri.removeprefix(_SQLITE) if tracking_uri.startswith(_SQLITE) else None


def checkout_of(root: Path) -> Path:
    """The checkout that keeps the runs of `root`, absolute.

    It is `root` itself, but for `dvc exp run --temp` and `--queue`: these work in a folder that DVC removes afterwards,
    and their runs belong to the checkout that they were started in.
    """
    folder = root.resolve()
    for parent in folder.parents:
        if folder.is_relative_to(parent / TEMPORARY):
            return parent
    return folder


def resolved_uri(tracking_uri: str, root: Path) -> str:
    """`tracking_uri` with the path of a SQLite file made absolute."""
    database = database_path(tracking_uri, root)
    return tracking_uri if database is None else f"{_SQLITE}{database}"


def experiment_id(client: MlflowClient, name: str, root: Path) -> str:
    """Id of the experiment `name`, made when it is not there, deleted or not.

    Where the store is a SQLite file, artifacts go to `mlartifacts/<name>` in the checkout of `root`; a server keeps its
    own.
    """
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        local = str(client.tracking_uri).startswith(_SQLITE)
        location = (checkout_of(root) / ARTIFACTS / name).as_uri() if local else None
        return str(client.create_experiment(name, artifact_location=location))
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
    return str(experiment.experiment_id)


@contextmanager
def service_errors(store: str = "") -> Iterator[None]:
    """Turn what MLflow raises into a ServiceError of one line."""
    try:
        yield
    except (MlflowException, SQLAlchemyError) as error:
        problem = " ".join(str(error).split())[:300]
        hint = f"copy the file, then `mlflow db upgrade {store}`" if "out-of-date" in problem else ""
        raise ServiceError("MLflow", problem, hint=hint) from error


def _make_database(database: Path) -> None:
    """Make an MLflow database, which takes seconds: once, whichever process comes first, and never half of one."""
    database.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{database}.lock"):
        if database.exists():
            return
        quiet = [logging.getLogger(name) for name in ("mlflow.store.db.utils", "alembic")]
        for logger in quiet:
            logger.setLevel(logging.WARNING)
        with replacing(database) as beside:
            MlflowClient(tracking_uri=f"{_SQLITE}{beside}").search_experiments(max_results=1)
