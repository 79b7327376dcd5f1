"""The guided set-up of a training."""

from __future__ import annotations

import sys


def setup() -> None:
    """Ask for everything that a training needs, explain each value, show the command and start it."""
    try:
        from rich.console import Console

        from segwheel.review.form import fill_in, start

        console = Console()
        command = fill_in(console)
    except (KeyboardInterrupt, EOFError):
        sys.stdout.write("\nNothing was started.\n")
        raise SystemExit(130) from None
    if command is None:
        console.print("Nothing was started. The command above starts it at any time.")
    else:
        start(command)
