"""Progress on a terminal: what is being done, how far it is, and how long it will take."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from segwheel.progress import Progress

_PERIOD = 3600.0  # seconds that the speed is taken over: a tile of a large network takes minutes


def bar() -> Bar:
    """Lines on standard error while it is entered; nothing where that is no terminal, and nothing afterwards."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    return Progress(
        *columns, console=console, transient=True, speed_estimate_period=_PERIOD, disable=not console.is_terminal
    )


def shown(bar: Bar, what: str) -> Progress:
    """A callback (done, total) that shows progress as one line of `bar`."""
    task = bar.add_task(what, total=None)
    return lambda done, total: bar.update(task, completed=done, total=total)


def shown_by_name(bar: Bar) -> Callable[[str, int, int], None]:
    """A callback (what, done, total) that shows whatever is being done as a line of its own."""
    lines: dict[str, Progress] = {}

    def show(what: str, done: int, total: int) -> None:
        if what not in lines:
            lines[what] = shown(bar, what)
        lines[what](done, total)

    return show
