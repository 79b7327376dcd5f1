"""Dip and strike, normals, and averages of lines."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segwheel.domain.orientation import angles, line_angle, normals, outer_products, principal_axes

DIPS = st.floats(1, 179)
STRIKES = st.floats(0, 179.9)


def components(dip: float, strike: float) -> list[float]:
    """The documented normal, written out in (axis 1, axis 2, axis 3)."""
    d, s = np.deg2rad(dip), np.deg2rad(strike)
    return [-np.cos(d), np.sin(d) * np.cos(s), -np.sin(d) * np.sin(s)]


@given(DIPS, STRIKES)
def test_normals_follow_the_convention_and_have_unit_length(dip: float, strike: float) -> None:
    normal = normals(dip, strike)
    assert normal == pytest.approx(components(dip, strike), abs=1e-6)
    assert np.linalg.norm(normal) == pytest.approx(1, abs=1e-6)


@given(DIPS, STRIKES, st.sampled_from([1, -1]))
def test_angles_come_back_from_a_normal_that_points_either_way(dip: float, strike: float, sign: int) -> None:
    found = angles(np.float32(sign) * normals(dip, strike))
    assert float(line_angle(normals(*found), normals(dip, strike))) < 1e-3
    assert 0 <= found[0] <= 180
    assert 0 <= found[1] < 180
    if strike > 0.1:
        assert [float(f) for f in found] == pytest.approx([dip, strike], abs=0.02)


@given(DIPS, st.sampled_from([1, -1]))
def test_a_section_has_a_dip_only(dip: float, sign: int) -> None:
    found = angles(np.float32(sign) * normals(dip))
    assert len(found) == 1
    assert float(found[0]) == pytest.approx(dip, abs=0.02)


def test_a_section_is_the_cut_through_a_plane_of_strike_zero() -> None:
    assert normals(70.0) == pytest.approx(normals(70.0, 0.0)[:2])


@given(DIPS)
def test_strike_0_and_strike_180_with_the_other_dip_are_one_plane(dip: float) -> None:
    assert float(line_angle(normals(dip, 0.0), normals(180 - dip, 180.0))) < 1e-3


def test_a_horizontal_plane_has_strike_0() -> None:
    dip, strike = angles(np.array([-1, 0, 0], np.float32))
    assert (float(dip), float(strike)) == (0, 0)


def test_the_fault_dips_towards_the_documented_side() -> None:
    """For dip < 90 the plane deepens towards (-sin s, cos s) in (axis 3, axis 2)."""
    dip, strike = 60.0, 30.0
    towards = np.array([0.0, np.cos(np.deg2rad(strike)), -np.sin(np.deg2rad(strike))])
    normal = normals(dip, strike)
    deeper = -(normal @ towards) / normal[0]  # depth gained on the plane per unit step towards
    assert deeper == pytest.approx(np.tan(np.deg2rad(dip)), rel=1e-5)


def test_the_average_of_lines_ignores_which_way_they_point() -> None:
    rng = np.random.default_rng(0)
    dips, strikes = 70 + 5 * rng.standard_normal(400), 178 + 5 * rng.standard_normal(400)
    lines = normals(dips, strikes) * rng.choice([-1, 1], 400).astype(np.float32)
    mean = principal_axes(outer_products(lines).sum(axis=-1))
    assert float(line_angle(mean, normals(70.0, 178.0))) < 1.0
    raw = np.array([angles(line) for line in lines.T]).mean(axis=0)
    assert float(line_angle(normals(*raw), normals(70.0, 178.0))) > 20, "averaging raw angles should fail here"


@pytest.mark.parametrize("strike", [None, 40.0])
def test_one_line_is_its_own_average_in_either_dimension(strike: float | None) -> None:
    line = normals(np.array([[65.0, 110.0]]), None if strike is None else np.full((1, 2), strike))
    average = principal_axes(3 * outer_products(line))
    assert average.shape == line.shape
    assert line_angle(average, line) == pytest.approx(np.zeros((1, 2)), abs=1e-2)


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_average_is_the_axis_of_the_greatest_eigenvalue(ndim: int) -> None:
    vectors = np.random.default_rng(0).standard_normal((ndim, 6, 500)).astype(np.float32)
    tensors = np.float32(1e-4) * outer_products(vectors).sum(axis=1)
    full = np.empty((500, ndim, ndim))
    for value, i, j in zip(tensors, *np.triu_indices(ndim), strict=True):
        full[:, i, j] = full[:, j, i] = value
    values, axes = np.linalg.eigh(full)
    clear = values[:, -2] < 0.95 * values[:, -1]  # nearly equal axes are no axis at all
    assert clear.mean() > 0.8
    wrong = line_angle(principal_axes(tensors), axes[..., -1].T.astype(np.float32))
    assert wrong[clear].max() < 0.01


def test_the_average_of_nothing_is_some_unit_vector() -> None:
    np.testing.assert_array_equal(np.linalg.norm(principal_axes(np.zeros((6, 2, 3), np.float32)), axis=0), 1)


@given(st.lists(st.tuples(DIPS, STRIKES), min_size=2, max_size=4))
def test_the_angle_between_lines_is_symmetric_and_never_exceeds_90(planes: list[tuple[float, float]]) -> None:
    for first, second in pairwise(normals(*plane) for plane in planes):
        angle = float(line_angle(first, second))
        assert angle == pytest.approx(float(line_angle(second, -first)), abs=1e-4)
        assert angle == pytest.approx(np.rad2deg(np.arccos(min(abs(float(first @ second)), 1))), abs=0.1)
        assert 0 <= angle <= 90.001


def test_small_angles_keep_their_precision() -> None:
    assert float(line_angle(normals(60.0, 20.0), normals(60.01, 20.0))) == pytest.approx(0.01, rel=0.02)
