"""The section of one flywheel in params.yaml."""

from __future__ import annotations

from pathlib import Path

from segwheel.errors import ParamsError
from segwheel.params.images import ImageFlywheelParams
from segwheel.params.volumes import VolumeFlywheelParams
from segwheel.params.yaml_file import parse, read_yaml

FlywheelParams = ImageFlywheelParams | VolumeFlywheelParams
KINDS: dict[str, type[ImageFlywheelParams] | type[VolumeFlywheelParams]] = {
    "images": ImageFlywheelParams,
    "volumes": VolumeFlywheelParams,
}


def read_flywheel(path: Path, flywheel: str) -> FlywheelParams:
    """The section of one flywheel in params.yaml. Raises ParamsError when there is none or it is not valid."""
    values = read_yaml(path)
    names = values.get("flywheels", []) if isinstance(values, dict) else []
    if flywheel not in names or flywheel not in values:
        raise ParamsError(
            path, expected=f"a flywheel called {flywheel}", found=f"flywheels {', '.join(names) or 'none'}"
        )
    section = values[flywheel]
    kind = section.get("kind") if isinstance(section, dict) else None
    if kind not in KINDS:
        raise ParamsError(path, expected=f"{flywheel}.kind to be {' or '.join(KINDS)}", found=repr(kind))
    return parse(KINDS[kind], section, path, flywheel)
