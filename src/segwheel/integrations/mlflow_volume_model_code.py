"""The code of a logged model of volumes: MLflow copies this file beside the checkpoint and runs it to load it."""

from mlflow.models import set_model

from segwheel.integrations.mlflow_volume_model import VolumeCheckpointModel

set_model(VolumeCheckpointModel())
