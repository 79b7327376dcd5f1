"""Running out of disk while writing: one sentence about the file that was asked for, not about a temporary one."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from segwheel.errors import SegwheelError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the operating system says when a disk, a quota or a file-size limit is full into a SegwheelError."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        reason = os.strerror(error.errno).lower()
        raise SegwheelError(
            f"{path}: expected room to write it, found none ({reason}); it was not written, free some and try again"
        ) from error
