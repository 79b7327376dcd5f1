from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from segwheel.domain.objects import (
    ObjectSettings,
    border_target,
    boundary_distance,
    components,
    cut_touching,
    distance_target,
    drop_small,
    fill_holes,
    label_objects,
)

PLAIN = ObjectSettings(method="none", min_area=1)
masks = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12))


def discs(shape: tuple[int, int], *circles: tuple[float, float, float]) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.any([np.hypot(y - cy, x - cx) < radius for cy, cx, radius in circles], axis=0)


TWO = discs((50, 80), (25, 25, 15), (25, 50, 15))  # they overlap by five pixels


def test_a_diagonal_joins_with_eight_neighbours_only() -> None:
    mask = np.eye(4, dtype=bool)
    assert components(mask).max() == 1
    assert components(mask, 4).max() == 4
    assert label_objects(mask, replace(PLAIN, connectivity=4)).max() == 4


def test_holes_up_to_an_area_are_filled() -> None:
    mask = np.ones((20, 20), bool)
    mask[2:5, 2:5] = False  # 9 pixels
    mask[8:13, 8:13] = False  # 25 pixels
    mask[:4, 15] = False  # open to the outside
    np.testing.assert_array_equal(fill_holes(mask, 0), mask)
    nine = fill_holes(mask, 9)
    assert nine[2:5, 2:5].all()
    assert not nine[8:13, 8:13].any()
    assert fill_holes(mask, 25)[8:13, 8:13].all()
    assert not fill_holes(mask, 10**6)[:4, 15].any()


def test_a_diagonal_ring_encloses_with_eight_neighbours_only() -> None:
    ring = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], bool)
    assert fill_holes(ring, 5)[1, 1]
    assert not fill_holes(ring, 5, connectivity=4)[1, 1]


def test_small_objects_go_and_the_rest_is_renumbered() -> None:
    labels = np.array([[1, 1, 0, 2, 0, 5, 5]])
    np.testing.assert_array_equal(drop_small(labels, 2), [[1, 1, 0, 0, 0, 2, 2]])
    assert drop_small(np.zeros((0, 3), int), 2).shape == (0, 3)


@given(masks)
@settings(deadline=None)
def test_objects_cover_the_mask_and_nothing_else(mask: np.ndarray) -> None:
    for method in ("none", "distance"):
        labels = label_objects(mask, replace(PLAIN, method=method))
        np.testing.assert_array_equal(labels > 0, mask)
        assert set(np.unique(labels)) - {0} == set(range(1, labels.max(initial=0) + 1))


@given(masks)
@settings(deadline=None)
def test_separation_only_splits(mask: np.ndarray) -> None:
    whole = components(mask)
    parts = label_objects(mask, replace(PLAIN, method="distance", depth=0.1, smoothing=0))
    for number in range(1, parts.max(initial=0) + 1):
        assert np.unique(whole[parts == number]).size == 1
        assert components(parts == number).max() == 1


def test_distance_separates_touching_discs() -> None:
    assert label_objects(TWO, ObjectSettings(method="none")).max() == 1
    labels = label_objects(TWO, ObjectSettings(method="distance", depth=0.2))
    assert labels.max() == 2
    assert labels[25, 15] != labels[25, 60]
    assert abs(int((labels == 1).sum()) - int((labels == 2).sum())) < 60


def test_depth_decides_how_deep_a_waist_must_be() -> None:
    # Distance at the middles is 15, at the waist about 8.6: it lies 43 % lower.
    settings = ObjectSettings(method="distance", smoothing=0)
    assert label_objects(TWO, replace(settings, depth=0.35)).max() == 2
    assert label_objects(TWO, replace(settings, depth=0.5)).max() == 1


def test_depth_is_relative_to_size() -> None:
    double = discs((100, 160), (50, 50, 30), (50, 100, 30))
    for depth in (0.1, 0.35, 0.5):
        settings = ObjectSettings(smoothing=0, depth=depth)
        assert label_objects(TWO, settings).max() == label_objects(double, settings).max()


def test_small_fragments_are_given_back() -> None:
    mask = discs((60, 80), (30, 30, 20), (30, 53, 5))
    settings = ObjectSettings(smoothing=0, depth=0.1, min_area=1)
    assert label_objects(mask, settings).max() == 2
    labels = label_objects(mask, replace(settings, min_area=100))
    assert labels.max() == 1
    np.testing.assert_array_equal(labels > 0, mask)


@pytest.mark.parametrize("method", ["probability", "distance_output"])
def test_a_predicted_map_separates_where_the_shape_does_not(method: str) -> None:
    mask = np.zeros((30, 60), bool)
    mask[5:25, 5:55] = True
    surface = mask * (0.2 + 0.8 * np.abs(np.cos(np.linspace(0, np.pi, 60))))[None].astype(np.float32)
    settings = ObjectSettings(method=method, depth=0.5)  # type: ignore[arg-type]
    assert label_objects(mask, settings, surface).max() == 2
    assert label_objects(mask, settings, mask.astype(np.float32)).max() == 1
    assert label_objects(mask, replace(settings, method="distance", depth=0.2)).max() == 1


def test_the_background_can_be_the_objects() -> None:
    membrane = np.zeros((30, 30), bool)
    membrane[:, 14:16] = True
    labels = label_objects(membrane, replace(PLAIN, background=True))
    assert labels.max() == 2
    np.testing.assert_array_equal(labels > 0, ~membrane)


def test_a_full_and_an_empty_mask() -> None:
    for method in ("none", "distance"):
        assert label_objects(np.ones((9, 9), bool), ObjectSettings(method=method, min_area=1)).max() == 1
        assert label_objects(np.zeros((9, 9), bool), ObjectSettings(method=method)).max() == 0
    assert boundary_distance(np.ones((3, 9), bool)).min() == 9


def test_touching_objects_are_cut_apart_by_two_pixels() -> None:
    labels = np.zeros((6, 10), int)
    labels[1:5, 1:5], labels[1:5, 5:9] = 3, 1
    mask = cut_touching(labels)
    assert not mask[:, 4:6].any()
    assert mask[1:5, 1:4].all()
    assert mask[1:5, 6:9].all()


@given(hnp.arrays(np.int32, (8, 8), elements=st.integers(0, 3)))
def test_no_component_of_a_cut_mask_mixes_objects(labels: np.ndarray) -> None:
    parts = components(cut_touching(labels))
    for number in range(1, parts.max() + 1):
        assert np.unique(labels[parts == number]).size == 1


@given(masks)
def test_every_object_peaks_at_one_in_the_distance_target(mask: np.ndarray) -> None:
    target = distance_target(mask)
    assert target.dtype == np.float32
    assert not target[~mask].any()
    assert (target[mask] > 0).all()
    labels = components(mask)
    for number in range(1, labels.max() + 1):
        assert target[labels == number].max() == 1


def test_the_distance_target_is_linear_in_a_stripe() -> None:
    mask = np.zeros((1, 9), bool)
    mask[0, 1:8] = True
    np.testing.assert_allclose(distance_target(mask)[0], [0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25, 0])


def test_the_distance_target_separates_what_it_was_made_of() -> None:
    labels = np.where(TWO, np.where(np.arange(80) < 38, 1, 2), 0)
    target = distance_target(cut_touching(labels))
    assert label_objects(TWO, ObjectSettings(method="distance_output"), target).max() == 2


def test_the_border_lies_between_objects_only() -> None:
    mask = np.zeros((12, 30), bool)
    mask[2:10, 2:9] = mask[2:10, 11:18] = mask[2:10, 25:29] = True
    border = border_target(mask, width=2)
    assert border[2:10, 9:11].all()
    assert not border[:, :9].any()  # the next object is three columns away
    assert not border[:, 11:].any()
    assert not border_target(mask[:, :10]).any()
