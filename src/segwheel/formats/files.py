"""Writing files so that no reader ever sees half of one, and naming their content."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a fresh path beside `path` to write a file or a folder to; rename it onto `path` when the block ends well.

    When the block raises, whatever was written is removed and `path` is as it was. Parents are made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part{path.suffix}")
    try:
        yield beside
        if beside.is_dir() and path.is_dir():
            remove(path)
        beside.replace(path)
    finally:
        remove(beside)


def remove(path: Path) -> None:
    """Remove a file or a folder if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON atomically, keys in the order given. NaN is refused: JSON has none."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def content_md5(path: Path) -> str:
    """MD5 of a file's bytes, the digest that DVC uses; of a folder, that of the names and digests of all its files."""
    if path.is_dir():
        inside = sorted((one.relative_to(path).as_posix(), one) for one in path.rglob("*") if one.is_file())
        listing = "".join(f"{name} {content_md5(one)}\n" for name, one in inside)
        return hashlib.md5(listing.encode(), usedforsecurity=False).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
