"""Fixtures of the learning tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from learning_helpers import make_store

from segwheel.formats.patch_store import PatchStore


@pytest.fixture
def store(tmp_path: Path) -> PatchStore:
    """Eight stored patches of 48 pixels for cuts of 32."""
    return make_store(tmp_path / "train.zarr", ["mask"])
