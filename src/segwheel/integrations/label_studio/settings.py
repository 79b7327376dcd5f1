"""What of a flywheel's parameters matters for labelling."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from segwheel.errors import ParamsError
from segwheel.params.flywheels import FlywheelParams, read_flywheel
from segwheel.params.volumes import VolumeFlywheelParams

MASK, FAULT = "mask", "fault"  # what is painted: the name of the brush


@dataclass(frozen=True)
class Settings:
    """How the predictions of a flywheel become painted regions, and painted regions its labels."""

    target: str
    threshold: float  # probability from which on a voxel is shown as predicted; masks of images come thresholded
    annotators: int = 1  # people who are asked about each task
    rule: str = "latest"  # one of `labels.RULES`

    @property
    def slices(self) -> bool:
        """Whether volumes are labelled, slice by slice."""
        return self.target == FAULT


def read_settings(path: Path, flywheel: str) -> Settings:
    """From params.yaml. Raises what `read_flywheel` does, and ParamsError for volumes without faults to paint."""
    params = read_flywheel(path, flywheel)
    return Settings(_target(path, flywheel, params), params.predict.threshold, **params.labels.model_dump())


def _target(path: Path, flywheel: str, params: FlywheelParams) -> str:
    if not isinstance(params, VolumeFlywheelParams):
        return MASK
    if FAULT not in params.targets:
        found = ", ".join(params.targets)
        raise ParamsError(path, expected=f"{FAULT} among {flywheel}.targets, which is what people paint", found=found)
    return FAULT
