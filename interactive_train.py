"""Guided set-up of a training, in the terminal: `python interactive_train.py`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "src"))

if __name__ == "__main__":
    try:
        from segwheel.cli.setup import setup
        from segwheel.errors import SegwheelError
    except KeyboardInterrupt:  # Ctrl-C leaves no trace, however early it comes
        raise SystemExit(130) from None
    try:
        setup()
    except SegwheelError as error:
        raise SystemExit(f"error: {error}") from None
