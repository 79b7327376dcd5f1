"""dvc.yaml, the stages, the command line and params.yaml speak of the same things by the same names."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from typer.main import get_command

from segwheel.cli.app import app
from segwheel.params.flywheels import KINDS, read_flywheel
from segwheel.params.sections import Section
from segwheel.params.train_config import read_train_config

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "segwheel"
ITEM = "${item.flywheel}"


def load(name: str) -> Any:
    return YAML(typ="safe").load(ROOT / name)


PIPELINE = load("dvc.yaml")["stages"]
STAGES = list(PIPELINE)


def paths(stage: str, *kinds: str) -> set[str]:
    entries = [entry for kind in kinds for entry in PIPELINE[stage].get(kind, [])]
    return {entry if isinstance(entry, str) else next(iter(entry)) for entry in entries}


def test_a_stage_is_a_module_a_verb_and_a_section() -> None:
    verbs = get_command(app).commands  # type: ignore[attr-defined]
    modules = {path.stem for path in (SOURCE / "stages").glob("*.py")} - {"__init__"}
    assert set(STAGES) == modules
    assert modules <= verbs.keys()
    assert all(modules <= params.model_fields.keys() for params in KINDS.values())


@pytest.mark.parametrize("stage", STAGES)
def test_the_command_names_its_verb_and_existing_options(stage: str) -> None:
    words = PIPELINE[stage]["cmd"].split()
    assert words[:3] == ["segwheel", stage, ITEM]
    verb = get_command(app).commands[stage]  # type: ignore[attr-defined]
    known = {option for parameter in verb.params for option in parameter.opts}
    assert set(words[3::2]) <= known


@pytest.mark.parametrize("stage", STAGES)
def test_every_path_of_the_command_is_a_dep_or_an_out(stage: str) -> None:
    declared = paths(stage, "deps", "outs", "metrics", "plots")
    values = PIPELINE[stage]["cmd"].split()[4::2]
    for value in values:
        related = any(
            value == path or path.startswith(value + "/") or value.startswith(path + "/") for path in declared
        )
        assert related or value.startswith("runs/"), f"{stage}: {value} is not declared"


@pytest.mark.parametrize("stage", STAGES)
def test_params_exist_and_are_what_the_stage_reads(stage: str) -> None:
    section = load("params.yaml")["microscopy"]
    declared = {name.removeprefix(ITEM + ".") for name in PIPELINE[stage]["params"]}
    for name in declared:
        value = section
        for part in name.split("."):
            assert part in value, f"{stage}: no {name} in params.yaml"
            value = value[part]
    body = ast.get_source_segment(
        (SOURCE / "cli" / "wheel.py").read_text(),
        next(
            node
            for node in ast.parse((SOURCE / "cli" / "wheel.py").read_text()).body
            if isinstance(node, ast.FunctionDef) and node.name == stage
        ),
    )
    assert body is not None
    # What is only written down with the run (model_dump) has no effect.
    used = set(re.findall(r"(?:values|read_flywheel\(params, flywheel\))\.(?!model_dump)(\w+)", body))
    assert used == {name.split(".")[0] for name in declared}


@cache
def imports(module: str) -> frozenset[str]:
    """Modules of segwheel that a module imports, directly."""
    path = SOURCE.joinpath(*module.split(".")[1:])
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("segwheel"):
            for alias in node.names:
                child = SOURCE.joinpath(*node.module.split(".")[1:], alias.name)
                is_module = child.is_dir() or child.with_suffix(".py").is_file()
                found.add(f"{node.module}.{alias.name}" if is_module else node.module)
    return frozenset(found)


def closure(module: str) -> set[str]:
    seen: set[str] = set()
    todo = {module}
    while todo:
        seen |= todo
        todo = {name for one in todo for name in imports(one)} - seen
    return seen


# Names and settings; values are in params.yaml.
FOUNDATION = {"errors", "axes", "tracking", "processes", "progress", "params"}


@pytest.mark.parametrize("stage", STAGES)
def test_code_deps_are_the_rooms_that_the_stage_imports(stage: str) -> None:
    rooms = {name.split(".")[1] for name in closure(f"segwheel.stages.{stage}")} - FOUNDATION
    expected = {f"src/segwheel/{room}" for room in rooms - {"stages"}} | {f"src/segwheel/stages/{stage}.py"}
    assert {path for path in paths(stage, "deps") if path.startswith("src/")} == expected


def test_every_flywheel_and_the_production_configuration_are_valid() -> None:
    for name in load("params.yaml")["flywheels"]:
        read_flywheel(ROOT / "params.yaml", name)
    config = read_train_config(ROOT / "configs" / "production_train.yaml")
    assert not config.early_stopping.enabled
    assert config.data.val_manifest is None


def test_no_parameter_has_a_default() -> None:
    def sections(cls: type[Section]) -> list[type[Section]]:
        return [cls, *(one for sub in cls.__subclasses__() for one in sections(sub))]

    for section in sections(Section):
        for name, field in section.model_fields.items():
            assert field.is_required(), f"{section.__name__}.{name}: a default is an unversioned parameter"


def test_the_command_line_imports_nothing_heavy() -> None:
    heavy = ("torch", "mlflow", "lightning", "matplotlib", "pandas", "skimage", "scipy", "zarr", "numpy", "dvc")
    code = f"import sys, segwheel.cli.app; print([m for m in {heavy!r} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_caches_are_not_part_of_what_dvc_hashes() -> None:
    assert "__pycache__" in (ROOT / ".dvcignore").read_text().split()
