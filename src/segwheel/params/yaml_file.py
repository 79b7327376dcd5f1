"""YAML files as checked parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from segwheel.errors import MissingError, ParamsError

Model = TypeVar("Model", bound=BaseModel)


def read_yaml(path: Path) -> Any:
    """A YAML file as plain dicts and lists. Raises MissingError and ParamsError."""
    if not path.is_file():
        raise MissingError(path, what="configuration file")
    try:
        return YAML(typ="safe", pure=True).load(path)
    except (YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(path, expected="YAML", found=" ".join(str(error).split())) from error


def parse(model: type[Model], values: Any, path: Path, prefix: str = "") -> Model:
    """`values` as a `model`. Raises ParamsError that names every wrong key with its dotted name."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problems = [
            f"{'.'.join(str(part) for part in (*filter(None, [prefix]), *problem['loc']))}: {problem['msg']}"
            for problem in error.errors()
        ]
        raise ParamsError(path, expected=f"valid {model.__name__}", found="; ".join(problems)) from error
