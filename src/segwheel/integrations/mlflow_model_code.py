"""The code of a logged model: MLflow copies this file beside the checkpoint and runs it to load the model."""

from mlflow.models import set_model

from segwheel.integrations.mlflow_model import CheckpointModel

set_model(CheckpointModel())
