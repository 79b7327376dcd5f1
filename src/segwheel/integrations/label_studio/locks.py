"""One push or pull of a flywheel at a time."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from segwheel.errors import ServiceError
from segwheel.integrations.label_studio.client import SERVICE


@contextmanager
def exclusive(path: Path, patience: float = 60) -> Iterator[None]:
    """Hold the lock file at `path`; wait up to `patience` seconds for another process that holds it.

    The lock ends with the process, however that ends. Raises ServiceError when it stays taken.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        end = time.monotonic() + patience
        while not _taken(handle):
            if time.monotonic() >= end:
                problem = f"another push or pull of {path.stem} has been running for {patience:.0f} s"
                raise ServiceError(SERVICE, problem, hint="nothing was changed; try again when it is done")
            time.sleep(0.05)
        yield
    finally:
        os.close(handle)  # gives the lock up


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
