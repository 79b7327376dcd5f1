"""Telling how far something is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]  # how much of how much is done
NamedProgress = Callable[[str, int, int], None]  # the same, after what is being done


def no_progress(*_: object) -> None:
    """Tells nobody; fits either."""
