"""Patches are centred where they should be, and cut beyond borders without inventing labels."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from segwheel.axes import Region
from segwheel.domain.patching import centred, cut, patch_centres


@given(st.integers(1, 3), st.integers(0, 1000), st.floats(0, 1))
def test_centres_are_labelled_and_as_many_positive_as_asked(ndim: int, seed: int, ratio: float) -> None:
    rng = np.random.default_rng(seed)
    label = rng.choice(np.array([0, 1, 255], np.uint8), size=(9,) * ndim)
    label.flat[0] = 1
    centres = patch_centres(label, 3, 10, ratio, 0.0, rng)
    values = [label[centre] for centre in centres]
    assert len(centres) == 10
    assert 255 not in values
    assert values[: round(10 * ratio)] == [1] * round(10 * ratio)


def test_negatives_hold_little_foreground_where_there_is_such_a_place() -> None:
    label = np.zeros((64, 64), np.uint8)
    label[:, :16] = 1
    centres = patch_centres(label, 16, 20, 0.0, 0.05, np.random.default_rng(0))
    assert all(x >= 23 for _, x in centres)


def test_without_foreground_all_centres_are_negative() -> None:
    assert len(patch_centres(np.zeros((8, 8), np.uint8), 4, 5, 1.0, 0.05, np.random.default_rng(0))) == 5


@given(st.integers(0, 8), st.integers(0, 8), st.integers(1, 30))
def test_a_cut_beyond_the_border_is_filled_or_mirrored(y: int, x: int, size: int) -> None:
    array = np.arange(1.0, 82).reshape(9, 9)
    region = centred((y, x), size)
    filled, mirrored = cut(array, region, fill=-1), cut(array, region)
    assert filled.shape == mirrored.shape == (size, size)
    inside = region.intersection(Region.whole(array.shape))
    assert (filled != -1).sum() == inside.size
    assert set(mirrored.ravel()) <= set(array.ravel())
