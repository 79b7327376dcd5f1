"""Tracing voxels back through faults, against geometry worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segwheel.domain.orientation import angles, line_angle, normals
from segwheel.domain.synthesis.faulting import Fault, draw_faults, places, reach, trace_back
from segwheel.domain.synthesis.recipe import SeismicRecipe

N = 40
VOLUME = (N, N, N)
# Few points, since they are traced many times.
POINTS = np.random.default_rng(0).uniform(0, N, (3, 2000)).astype(np.float32)
FAULTS = st.builds(
    Fault,
    center=st.tuples(*[st.floats(10, 30)] * 3),
    dip=st.floats(50, 130),
    strike=st.floats(0, 179),
    rake=st.floats(0, 180),
    displacement=st.floats(-20, 20),
    radius=st.sampled_from([float("inf"), 150.0, 400.0]),
)
STEEP = Fault((20.0, 20.0, 20.0), 65.0, 35.0, 90.0, 6.0)


def everywhere() -> np.ndarray:
    return places(slice(0, N), VOLUME)


def plane_fit(mask: np.ndarray) -> np.ndarray:
    points = np.argwhere(mask).astype(np.float64)
    return np.linalg.svd(points - points.mean(axis=0), full_matrices=False)[2][-1].astype(np.float32)


@given(FAULTS)
def test_slip_is_along_the_fault_and_as_long_as_asked(fault: Fault) -> None:
    assert fault.slip @ fault.normal == pytest.approx(0, abs=1e-5)
    assert np.linalg.norm(fault.slip) == pytest.approx(abs(fault.displacement), abs=1e-5)


def undone(fault: Fault) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where POINTS were before (3, n), their distance from the slip surface, and which of them moved."""
    at = POINTS.copy()
    distance, moved = fault.undo(at)
    return at, distance, moved


@given(FAULTS)
def test_undoing_moves_one_side_rigidly_and_keeps_its_distance(fault: Fault) -> None:
    before, distance, moved = undone(fault)
    step = before - POINTS
    assert not step[:, ~moved].any()
    assert (distance[moved] > 0).all()
    again, _ = fault.undo(before.copy())
    assert np.abs(again - distance).max() < 2e-2
    if fault.planar:
        assert np.abs(step[:, moved].T + fault.slip).max(initial=0) < 1e-3
    here, there = POINTS[:, moved], before[:, moved]
    for shift in (1, 7):  # rigid: distances between what moved stay as they were
        now, then = (np.linalg.norm(p - np.roll(p, shift, axis=1), axis=0) for p in (here, there))
        assert np.abs(now - then).max(initial=0) < 2e-2


@given(FAULTS)
def test_nothing_comes_from_further_away_than_the_reach(fault: Fault) -> None:
    before, _, _ = undone(fault)
    assert (np.abs(before - POINTS).max(axis=1) <= reach([fault], VOLUME) + 1e-3).all()


@given(FAULTS)
def test_a_very_large_radius_is_a_plane(fault: Fault) -> None:
    flat, distance, _ = undone(replace(fault, radius=float("inf")))
    curved, _, _ = undone(replace(fault, radius=1e5))
    assert np.abs(flat - curved)[:, np.abs(distance) > 0.1].max() < 0.1


def test_a_normal_fault_drops_what_lies_above_it() -> None:
    """Dip below 90: the normal points up, to the hanging wall; a negative displacement at rake 90 moves it down."""
    fault = replace(STEEP, displacement=-6.0)
    assert fault.normal[0] < 0
    assert fault.slip[0] == pytest.approx(6 * np.sin(np.deg2rad(65)))


@pytest.mark.parametrize(("dip", "strike"), [(55, 20), (90, 100), (75, 0), (120, 60), (100, 175)])
def test_a_plane_through_the_zone_gives_back_dip_and_strike(dip: float, strike: float) -> None:
    zones = trace_back(everywhere(), [replace(STEEP, dip=dip, strike=strike)], 3.0, 0.7)
    mask = zones.number == 1
    assert float(line_angle(plane_fit(mask), normals(dip, strike))) < 0.5
    assert set(np.unique(zones.dip)) == {0, np.float32(dip)}
    assert set(np.unique(zones.strike)) == {0, np.float32(strike)}


def test_the_zone_is_three_voxels_thick_and_holds_the_slip_surface() -> None:
    fault = replace(STEEP, dip=90.0, strike=0.0, center=(20.0, 20.4, 20.0))
    at = everywhere()
    zones = trace_back(at, [fault], 3.0, 0.7)
    assert zones.number.any(axis=(0, 2)).nonzero()[0].tolist() == [19, 20, 21]  # 20.4 - 0.7 -+ 1.5
    slipped = (at[0] != everywhere()[0]).any(axis=(0, 2))
    assert slipped.nonzero()[0][0] == 21


def test_a_later_fault_displaces_the_zone_of_an_older_one_and_overrides_it() -> None:
    old = Fault((20.0, 20.0, 20.0), 90.0, 0.0, 90.0, 4.0)  # at axis 2 = 20
    new = Fault((20.0, 20.0, 20.0), 90.0, 90.0, 0.0, 8.0)  # at axis 3 = 20, slipping along axis 2
    assert new.slip == pytest.approx([0, 8, 0], abs=1e-5)
    zones = trace_back(everywhere(), [old, new], 3.0, 0.7)
    old_rows = {x: (zones.number[5, :, x] == 1).nonzero()[0].mean() for x in (5, 35)}
    moved = 5 if new.normal[2] < 0 else 35
    assert old_rows[moved] - old_rows[40 - moved] == pytest.approx(8)
    assert (zones.number[:, :, 20] == 2).all()


def test_a_later_listric_fault_turns_an_older_one_on_the_side_that_slips() -> None:
    rows, volume = slice(0, 90), (90, 180, 1)
    new = Fault((45.0, 90.0, 0.0), 120.0, 0.0, 90.0, 20.0, radius=150.0)
    turn = float(np.rad2deg(abs(new.turn)))
    assert turn > 5
    for column, turned in ((20.0, False), (160.0, True)):  # the normal of `new` points to the far columns
        old = Fault((45.0, column, 0.0), 100.0, 0.0, 90.0, 0.0)
        zones = trace_back(places(rows, volume), [old, new], 3.0, 0.7)
        mask = zones.number == 1
        dips = np.unique(zones.dip[mask])
        assert np.ptp(dips) < 0.01
        assert abs(float(dips[0]) - 100) == pytest.approx(turn if turned else 0, abs=0.01)
        assert float(line_angle(plane_fit(mask[..., 0]), normals(dips[0]))) < 0.5


@pytest.mark.parametrize("dip", [60.0, 125.0])
def test_a_listric_fault_flattens_with_depth_and_its_labels_say_so(dip: float) -> None:
    fault = Fault((20.0, 20.0, 20.0), dip, 30.0, 90.0, 5.0, radius=80.0)
    zones = trace_back(everywhere(), [fault], 3.0, 0.7)
    mask = zones.number == 1
    steepness = 90 - np.abs(zones.dip - 90)
    top, bottom = (float(steepness[rows][mask[rows]].mean()) for rows in (slice(0, 8), slice(-8, None)))
    assert top > bottom + 10
    for rows in (slice(0, 8), slice(16, 24), slice(-8, None)):
        part = np.zeros_like(mask)
        part[rows] = mask[rows]
        mean = angles(normals(zones.dip[part], zones.strike[part]).mean(axis=1))
        assert float(line_angle(plane_fit(part), normals(*mean))) < 4


@given(st.integers(0, 1000))
def test_drawn_faults_are_within_the_recipe(seed: int) -> None:
    recipe = SeismicRecipe(listric_share=0.5)
    faults = draw_faults(np.random.default_rng(seed), recipe, VOLUME)
    assert 1 <= len(faults) <= 12
    assert all(50 <= f.dip <= 130 and 0 <= f.strike <= 180 and 0 <= f.rake <= 180 for f in faults)
    assert all(2 <= abs(f.displacement) <= 20 for f in faults)
    assert all(0 <= c < n for f in faults for c, n in zip(f.center, VOLUME, strict=True))
    assert {np.sign(f.displacement) for f in faults[:2]} == {-1, 1} or len(faults) == 1


@given(st.integers(0, 1000))
def test_conjugate_faults_share_a_strike_and_are_normal_faults(seed: int) -> None:
    recipe = SeismicRecipe(conjugate_share=1, faults=(6, 6), dip=(60, 75))
    faults = draw_faults(np.random.default_rng(seed), recipe, VOLUME)
    lines = [normals(90.0, f.strike) for f in faults]
    assert max(float(line_angle(lines[0], line)) for line in lines) <= 12.1
    for fault in faults:
        hanging = np.sign(-fault.normal[0])  # of the side that the normal points to: +1 when it is the upper one
        assert hanging * fault.slip[0] > 0


def test_faults_of_a_section_lie_across_it() -> None:
    faults = draw_faults(np.random.default_rng(0), SeismicRecipe(faults=(8, 8)), (64, 64, 1))
    assert all(f.strike == 0 and f.rake == 90 and f.center[2] == 0 for f in faults)
    assert all(abs(f.slip[2]) < 1e-12 for f in faults)
