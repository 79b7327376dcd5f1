"""What a push is about to send, written down before it sends.

The plan makes a killed push visible (`segwheel labels status`) and tells the next one that a request may still be on
its way to the server. It is no proof of anything: what is on the server is found by listing.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from segwheel.formats.files import write_json


@dataclass
class Plan:
    """Tasks by key, each `planned`, `sent`, or `confirmed`."""

    flywheel: str
    model_version: str
    tasks: dict[str, str]
    in_flight: bool = False  # a request was sent and not answered

    def count(self, state: str) -> int:
        return sum(1 for value in self.tasks.values() if value == state)

    def write(self, path: Path) -> None:
        write_json(path, asdict(self))


def read_plan(path: Path) -> Plan | None:
    """The plan of the last push, None when there is none. One that cannot be read is like none: it proves nothing."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Plan(content["flywheel"], content["model_version"], content["tasks"], content["in_flight"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
