"""A checkpoint of a multi-task network as an MLflow model that predicts on volumes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

# isort: split
from mlflow.models import ModelSignature
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from mlflow.types import Schema, TensorSpec

FLOATS = np.dtype(np.float32)


class VolumeCheckpointModel(PythonModel):
    """Predicts through segwheel's own tiled inference, each volume with its own normalisation."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the checkpoint that was logged."""
        from segwheel.learning.multitask_checkpoint import load_multitask

        self._model = load_multitask(Path(context.artifacts["checkpoint"]))

    # MLflow reads the hint of the input, and knows arrays in this form only.
    def predict(
        self,
        context: PythonModelContext | None,
        model_input: np.ndarray,
        params: dict[str, object] | None = None,
    ) -> dict[str, npt.NDArray[np.float32]]:
        """Attributes by name, float32 (batch, *axes), of volumes as they are in their files.

        `model_input` is (batch, depth, inline, crossline), or (batch, depth, trace) for sections. DHR comes on the
        scale of the volume; fdip and fstrike as angle / 180 times fsem, the fault probability.
        """
        del context, params
        from segwheel.learning.volume_prediction import predict_arrays

        return predict_arrays(self._model, np.asarray(model_input))


def signature(ndim: int, attributes: tuple[str, ...]) -> ModelSignature:
    """A batch of volumes in, as many of each attribute out."""
    shape = (-1,) * (ndim + 1)
    outputs = Schema([TensorSpec(FLOATS, shape, name) for name in attributes])
    return ModelSignature(inputs=Schema([TensorSpec(FLOATS, shape)]), outputs=outputs)
