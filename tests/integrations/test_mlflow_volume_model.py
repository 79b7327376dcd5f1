from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import pytest

from segwheel.integrations.mlflow_tracker import start_run
from segwheel.learning.multitask_checkpoint import NetworkKind, describe, load_multitask, write_model
from segwheel.learning.volume_prediction import predict_arrays

URI = "sqlite:///mlflow.db"


def test_a_logged_model_predicts_the_attributes_of_volumes(
    mlflow_root: Path, tracked_at: Callable[[str], None]
) -> None:
    kind = NetworkKind(design="light", refine=False, ndim=3, width=0.1, tasks=("dhr", "fault"))
    checkpoint = mlflow_root / "model.pth"
    write_model(checkpoint, kind.build().state_dict(), describe(kind, (16, 16, 16), 1.0, 0.5))
    with start_run(URI, "seismic", 1, mlflow_root / "run.json", root=mlflow_root) as run:
        run.model(checkpoint)
    volumes = np.random.default_rng(0).normal(3, 2, (2, 16, 16, 20)).astype(np.float32)
    expected = predict_arrays(load_multitask(checkpoint), volumes)
    checkpoint.unlink()
    tracked_at(f"sqlite:///{mlflow_root}/mlflow.db")
    loaded = mlflow.pyfunc.load_model(f"runs:/{run.run_id}/model")
    found = loaded.predict(volumes)
    with pytest.raises(mlflow.MlflowException, match="expected"):
        loaded.predict(volumes[0])
    assert list(found) == ["dhr", "fsem", "fdip", "fstrike"]
    for name, values in found.items():
        np.testing.assert_array_equal(values, expected[name])
    assert found["dhr"].std() == pytest.approx(volumes.std(), rel=0.5)  # on the scale of the volumes
