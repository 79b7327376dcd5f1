from __future__ import annotations

import errno
from pathlib import Path

import pytest

from segwheel.errors import SegwheelError
from segwheel.formats.space import writing


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_no_room_names_the_file_that_was_asked_for(code: int) -> None:
    with (
        pytest.raises(SegwheelError, match=r"^out\.sgy: expected room to write it, found none \(.+\)"),
        writing(Path("out.sgy")),
    ):
        raise OSError(code, "whatever", "/tmp/.out.part")


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(PermissionError), writing(Path("out.sgy")):
        raise PermissionError(errno.EACCES, "no")
