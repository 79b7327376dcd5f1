"""The documentation speaks of what there is."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from typer.main import get_command

from segwheel.cli.app import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_command_in_the_readme_exists() -> None:
    verbs = set(get_command(app).commands)  # type: ignore[attr-defined]
    mentioned = set(re.findall(r"segwheel ([a-z][\w-]+)", README)) - {"gets"}
    assert mentioned <= verbs, mentioned - verbs


def test_every_program_of_the_table_is_installed() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    table = re.findall(r"^\| (`.*?) \|", README, re.MULTILINE)
    named = {name for cell in table for name in re.findall(r"`(\w+)`", cell)}
    assert named == set(scripts) - {"segwheel"}


def test_every_make_target_in_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^ +make ([a-z-]+)", README, re.MULTILINE)) <= targets


def test_every_picture_is_there() -> None:
    for path in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (ROOT / path).is_file(), path


def test_locks_hold_no_address() -> None:
    for lock in ROOT.glob("requirements*.lock"):
        assert "://" not in lock.read_text(), lock
