"""A checkpoint as an MLflow model that predicts on arrays: code and checkpoint side by side, nothing pickled."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import segwheel
from segwheel.errors import MissingError
from segwheel.integrations import mlflow_volume_model

# isort: split
import mlflow
from mlflow import MlflowClient
from mlflow.models import Model, ModelSignature
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from mlflow.types import Schema, TensorSpec

NAME = "model"
SIGNATURE = ModelSignature(
    inputs=Schema([TensorSpec(np.dtype(np.float32), (-1, -1, -1))]),
    outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, -1, -1))]),
)
_NEEDS = ("mlflow", "numpy", "torch", "segmentation-models-pytorch")


class CheckpointModel(PythonModel):
    """Predicts through segwheel's own tiled inference, with the normalisation that the checkpoint holds."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the checkpoint that was logged."""
        from segwheel.learning.checkpoint import load_model

        self._model = load_model(Path(context.artifacts["checkpoint"]))

    # MLflow reads the hint of the input, and knows arrays in this form only.
    def predict(
        self,
        context: PythonModelContext | None,
        model_input: np.ndarray,
        params: dict[str, Any] | None = None,
    ) -> npt.NDArray[Any]:
        """Probabilities, float32, of images as they are in their files (raw intensities).

        `model_input` is (batch, y, x), or a one-dimensional object array of images (y, x) of different sizes, which
        gives such an array back. One image (y, x) is answered with (y, x); MLflow's signature has one number of
        dimensions, so `load_model(...).predict` takes it as `image[None]`.
        """
        del context, params
        from segwheel.learning.inference import predict_array

        images = np.asarray(model_input)
        if images.ndim == 2:
            return predict_array(self._model, images)
        results = [predict_array(self._model, np.asarray(image)) for image in images]
        if images.dtype != np.object_:
            return np.stack(results)
        ragged = np.empty(len(results), dtype=np.object_)
        ragged[:] = results
        return ragged


def log_model(client: MlflowClient, run_id: str, checkpoint: Path) -> None:
    """Log `checkpoint` as the model of a run. Raises MissingError when there is none, MlflowException otherwise."""
    if not checkpoint.is_file():
        raise MissingError(checkpoint, what="checkpoint", hint="the train stage makes it")
    code, signature = _described(checkpoint)
    with _global_store(str(client.tracking_uri)), warnings.catch_warnings():
        # An example would be predicted on twice while logging; the signature is given.
        warnings.filterwarnings("ignore", message=".*input example was not provided.*")
        # Made here, because Model.log would put it into whatever experiment is active.
        logged = client.create_logged_model(client.get_run(run_id).info.experiment_id, name=NAME, source_run_id=run_id)
        Model.log(
            artifact_path=None,
            name=NAME,
            flavor=mlflow.pyfunc,
            run_id=run_id,
            model_id=logged.model_id,
            python_model=str(Path(__file__).with_name(code)),
            artifacts={"checkpoint": str(checkpoint.resolve())},
            signature=signature,
            # Given, because MLflow would otherwise run the model to find them. segwheel itself is in no package
            # registry and therefore not named here.
            pip_requirements=[f"{name}=={version(name)}" for name in _NEEDS],
            metadata={"segwheel": segwheel.__version__},
        )


def _described(checkpoint: Path) -> tuple[str, ModelSignature]:
    """The file with the code of a logged model, and what goes in and comes out."""
    from segwheel.learning.multitask_checkpoint import is_multitask, load_multitask

    if not is_multitask(checkpoint):
        return "mlflow_model_code.py", SIGNATURE
    model = load_multitask(checkpoint, refine=False)
    return "mlflow_volume_model_code.py", mlflow_volume_model.signature(model.ndim, model.attributes)


@contextmanager
def _global_store(tracking_uri: str) -> Iterator[None]:
    """Model.log takes no client: it logs to the store of the process, which MLflow also keeps in the environment."""
    before = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(tracking_uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)  # type: ignore[arg-type]  # None resets, and MLflow itself does so
