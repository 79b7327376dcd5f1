"""Damaged targets: damaged as documented, and only so."""

from __future__ import annotations

import numpy as np
import pytest

from segwheel.domain.synthesis.corruption import CorruptionRecipe, corrupted
from segwheel.domain.synthesis.recipe import SeismicRecipe
from segwheel.domain.synthesis.seismic import SeismicSample, generate

SHAPE = (48, 44, 40)


@pytest.fixture(scope="module")
def sample() -> SeismicSample:
    return generate(SHAPE, SeismicRecipe(faults=(5, 5)), 0)


def exactly(**ranges: float) -> CorruptionRecipe:
    return CorruptionRecipe(**{name: (value, value) for name, value in ranges.items()})  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(48, 40), SHAPE])
def test_names_shapes_and_ranges_are_those_of_the_targets(shape: tuple[int, ...]) -> None:
    whole = generate(shape, SeismicRecipe(), 1)
    damaged = corrupted(whole, 2)
    assert list(damaged) == list(whole.targets)
    for name, values in damaged.items():
        assert (values.shape, values.dtype) == (shape, np.float32)
        assert not np.array_equal(values, whole.targets[name])
    assert set(np.unique(damaged["fsem"])) == {0, 1}
    assert damaged["rgt"].min() >= 0
    assert damaged["rgt"].max() <= 1
    for angle in list(damaged)[3:]:
        assert not damaged[angle][damaged["fsem"] == 0].any()
        assert damaged[angle].max() <= 1
    assert (damaged["fdip"][damaged["fsem"] == 1] > 0).all()


def test_a_seed_makes_the_same_damage_again(sample: SeismicSample) -> None:
    first, second, other = (corrupted(sample, seed) for seed in (4, 4, 5))
    assert all((first[name] == second[name]).all() for name in first)
    assert any((first[name] != other[name]).any() for name in first)


def test_faults_are_removed_in_patches_of_the_share_asked_for(sample: SeismicSample) -> None:
    damaged = corrupted(sample, 1, corruption=exactly(removed=0.3, false_kept=0))
    true = sample.fsem == 1
    assert not damaged["fsem"][~true].any()
    assert (damaged["fsem"][true] == 0).mean() == pytest.approx(0.3, abs=0.1)
    kept = damaged["fsem"] == 1
    assert (damaged["fdip"][kept] == sample.fdip[kept]).all()
    assert (damaged["fstrike"][kept] == sample.fstrike[kept]).all()
    borders = np.count_nonzero(np.diff(kept[true]))
    assert borders < 0.2 * true.sum(), "patches, not speckle"


def test_false_faults_appear_only_where_there_is_none(sample: SeismicSample) -> None:
    damaged = corrupted(sample, 1, corruption=exactly(removed=0, false_kept=0.3))
    true = sample.fsem == 1
    assert (damaged["fsem"][true] == 1).mean() > 0.999
    false = damaged["fsem"].astype(bool) & ~true
    assert 0.02 < false.mean() < 0.2
    dips = damaged["fdip"][false] * 180
    assert len(np.unique(dips)) > 3
    assert 40 <= dips.min() < dips.max() <= 130


def test_rgt_is_scaled_by_smooth_noise(sample: SeismicSample) -> None:
    damaged = corrupted(sample, 1, corruption=exactly(rgt_noise=0.08))["rgt"]
    inner = (sample.rgt > 0.2) & (sample.rgt < 0.85)
    factor = damaged / np.maximum(sample.rgt, 1e-3)
    assert np.abs(factor[inner] - 1).max() == pytest.approx(0.08, abs=0.03)
    unclipped = (damaged > 0.2) & (damaged < 0.9)
    steps = np.abs(np.diff(factor, axis=1))[unclipped[:, 1:] & unclipped[:, :-1]]
    assert steps.max() < 0.02


def test_dhr_is_masked_in_patches_and_slightly_noisy(sample: SeismicSample) -> None:
    damaged = corrupted(sample, 1)["dhr"]
    gone = damaged == 0
    assert 0.001 < gone.mean() < 0.3
    change = np.abs(damaged - sample.dhr)
    whole = change <= 0.05 * sample.dhr.max() + 1e-6
    assert whole.mean() > 0.3
    assert not gone.all()
