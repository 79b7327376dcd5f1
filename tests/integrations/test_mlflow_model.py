from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import mlflow
import numpy as np
import pytest

from segwheel.errors import MissingError
from segwheel.integrations.mlflow_tracker import start_run

URI = "sqlite:///mlflow.db"


@pytest.fixture(autouse=True)
def _threshold_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of networks: a checkpoint holds a number, and the probability is 1 above it."""
    checkpoint, inference, multitask = (
        ModuleType(name) for name in ("checkpoint", "inference", "multitask_checkpoint")
    )
    checkpoint.load_model = lambda path: float(path.read_text())  # type: ignore[attr-defined]
    inference.predict_array = lambda model, image: (image > model).astype(np.float32)  # type: ignore[attr-defined]
    multitask.is_multitask = lambda _path: False  # type: ignore[attr-defined]
    multitask.load_multitask = None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "segwheel.learning.multitask_checkpoint", multitask)
    monkeypatch.setitem(sys.modules, "segwheel.learning.checkpoint", checkpoint)
    monkeypatch.setitem(sys.modules, "segwheel.learning.inference", inference)


@pytest.fixture
def loaded(mlflow_root: Path, tracked_at: Callable[[str], None]) -> Any:
    checkpoint = mlflow_root / "best_model.pth"
    checkpoint.write_text("0.5")
    with start_run(URI, "cells", 1, mlflow_root / "run.json", root=mlflow_root) as run:
        run.model(checkpoint)
    checkpoint.unlink()
    assert "MLFLOW_TRACKING_URI" not in os.environ  # as before
    tracked_at(f"sqlite:///{mlflow_root}/mlflow.db")
    return mlflow.pyfunc.load_model(f"runs:/{run.run_id}/model")


def test_a_logged_model_predicts_on_arrays(loaded: Any) -> None:
    images = np.random.default_rng(0).random((2, 5, 7), dtype=np.float32)
    probabilities = loaded.predict(images)
    assert probabilities.dtype == np.float32
    np.testing.assert_array_equal(probabilities, images > 0.5)
    image = loaded.unwrap_python_model().predict(None, images[1])
    np.testing.assert_array_equal(image, probabilities[1])
    ragged = np.empty(2, dtype=np.object_)
    ragged[:] = [images[0], images[1, :3]]
    assert [result.shape for result in loaded.predict(ragged)] == [(5, 7), (3, 7)]


def test_the_signature_refuses_what_is_no_batch_of_float_images(loaded: Any) -> None:
    assert [(spec.type, spec.shape) for spec in loaded.metadata.signature.inputs] == [(np.float32, (-1, -1, -1))]
    for wrong in (np.zeros((4, 4), np.float32), np.zeros((1, 4, 4), np.uint8)):
        with pytest.raises(mlflow.MlflowException, match="expected"):
            loaded.predict(wrong)


def test_nothing_of_a_model_is_pickled(loaded: Any, mlflow_root: Path) -> None:
    files = {path.name for path in (mlflow_root / "mlartifacts" / "cells" / "models").rglob("*") if path.is_file()}
    assert {"MLmodel", "mlflow_model_code.py", "best_model.pth"} <= files
    assert not any(name.endswith(".pkl") for name in files)
    assert loaded.metadata.metadata["segwheel"]


def test_a_checkpoint_that_is_not_there_is_named(mlflow_root: Path) -> None:
    with (
        start_run(URI, "cells", 1, mlflow_root / "run.json", root=mlflow_root) as run,
        pytest.raises(MissingError, match=r"lost\.pth: no such checkpoint"),
    ):
        run.model(mlflow_root / "lost.pth")
