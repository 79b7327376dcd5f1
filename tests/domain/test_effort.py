"""Effort from provenance."""

from __future__ import annotations

from dataclasses import replace

import pytest

from segwheel.domain.corrections import Correction
from segwheel.domain.effort import effort

ROW = Correction("a", "", None, "m", "0", "you", "2026-01-01T00:00:00+00:00", 60.0, "edited", "v", 100, 1)


def test_means_leave_out_what_nobody_measured() -> None:
    rows = [
        ROW,
        replace(ROW, basename="b", outcome="accepted", pixels_changed=0, lead_time_s=180.0),
        replace(ROW, basename="c", pixels_changed=None, lead_time_s=None),
        replace(ROW, basename="d", outcome="accepted", pixels_changed=2, lead_time_s=60.0),
    ]
    assert effort(rows, 1) == {
        "effort_corrections": 4.0,
        "effort_minutes": 5.0,
        "effort_minutes_per_task": pytest.approx(5 / 3),
        "effort_pixels_changed": 102.0,
        "effort_pixels_changed_per_task": 34.0,
        "effort_share_accepted": 0.5,
    }


def test_a_page_that_is_left_open_is_no_work() -> None:
    assert effort([replace(ROW, lead_time_s=86_400.0)], 1, idle_cap_s=300)["effort_minutes"] == 5.0


def test_only_the_iteration_that_was_asked_for_counts() -> None:
    assert effort([ROW], 2) == {"effort_corrections": 0.0}
