"""Training on several devices: Lightning starts the same command again for each further one.

The first process leads; those that follow take part in the training and leave everything else to it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

_FOLDER = "SEGWHEEL_RUN_FOLDER"


def follows() -> bool:
    """Whether this process was started to help another one train."""
    return any(os.environ.get(name, "0") != "0" for name in ("LOCAL_RANK", "NODE_RANK"))


def leader_folder(make: Callable[[], Path]) -> Path:
    """What `make` gives to the leader, who passes it on: all processes of a training work in one folder."""
    if not follows():
        os.environ[_FOLDER] = str(make())
    return Path(os.environ[_FOLDER])
