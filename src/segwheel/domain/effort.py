"""What correcting cost, and what it changed: measured from the provenance of the corrections alone."""

from __future__ import annotations

from collections.abc import Iterable

from segwheel.domain.corrections import Correction

IDLE_CAP_S = 600.0  # a page that is left open is no work


def effort(corrections: Iterable[Correction], iteration: int, idle_cap_s: float = IDLE_CAP_S) -> dict[str, float]:
    """Effort spent on correcting the predictions of `iteration` (from 1), by name.

    Minutes count at most `idle_cap_s` seconds for each correction. What nobody measured is left out of the means;
    a number without anything to measure is not in the result.
    """
    rows = [row for row in corrections if row.iteration == iteration]
    out = {"effort_corrections": float(len(rows))}
    minutes = [min(row.lead_time_s, idle_cap_s) / 60 for row in rows if row.lead_time_s is not None]
    if minutes:
        out["effort_minutes"] = sum(minutes)
        out["effort_minutes_per_task"] = sum(minutes) / len(minutes)
    changed = [row.pixels_changed for row in rows if row.pixels_changed is not None]
    if changed:
        out["effort_pixels_changed"] = float(sum(changed))
        out["effort_pixels_changed_per_task"] = sum(changed) / len(changed)
    if rows:
        out["effort_share_accepted"] = sum(row.outcome == "accepted" for row in rows) / len(rows)
    return out
