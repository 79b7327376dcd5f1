"""Generated volumes: one geometry in image and attributes, documented units, and likeness to the published cubes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segwheel.domain.faults import correlation
from segwheel.domain.orientation import line_angle, normals
from segwheel.domain.rgt import decreasing_share
from segwheel.domain.synthesis.recipe import RECIPES, SeismicRecipe
from segwheel.domain.synthesis.seismic import IMAGE_NORM, SeismicSample, generate
from segwheel.errors import InputError

CUBE = (48, 40, 44)
FLAT = SeismicRecipe(
    fold_height=(0, 0),
    bump_share=0,
    secondary_relief=(0, 0),
    slope=(0, 0),
    thickness_variation=(0, 0),
    noise=(0, 0),
    faults=(1, 1),
)
SEEDS = st.integers(0, 10**6)


def voxels_per_unit(sample: SeismicSample) -> float:
    """Voxels of depth for which RGT grows by 1, of a volume without thickness variation."""
    return 1 / float(np.median(np.diff(sample.rgt, axis=0)))


@pytest.mark.parametrize("shape", [(64, 50), CUBE])
@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_shapes_types_and_units(shape: tuple[int, ...], recipe: SeismicRecipe) -> None:
    sample = generate(shape, recipe, 1)
    for values in (sample.image, *sample.targets.values()):
        assert (values.shape, values.dtype) == (shape, np.float32)
        assert np.isfinite(values).all()
    assert list(sample.targets) == ["rgt", "dhr", "fsem", "fdip", "fstrike"][: 2 + len(shape)]
    for values in (sample.image, sample.dhr):
        assert np.linalg.norm(values) == pytest.approx(IMAGE_NORM[len(shape)], rel=1e-4)
    assert (sample.rgt.min(), sample.rgt.max()) == (0, 1)
    assert set(np.unique(sample.fsem)) == {0, 1}
    on = sample.fsem == 1
    assert not sample.fdip[~on].any()
    assert not sample.fstrike[~on].any()
    assert (sample.fdip[on] > 0).all()
    assert (sample.fdip[on] < 1).all()
    assert (sample.fstrike >= 0).all()
    assert (sample.fstrike <= 1).all()


@pytest.mark.parametrize("shape", [(32, 24), (24, 20, 16)])
def test_a_seed_makes_the_same_sample_again_and_another_seed_another(shape: tuple[int, ...]) -> None:
    first, second, other = (generate(shape, SeismicRecipe(), seed) for seed in (7, 7, 8))
    assert first.faults == second.faults
    for a, b in zip((first.image, *first.targets.values()), (second.image, *second.targets.values()), strict=True):
        assert (a == b).all()
    assert not np.allclose(first.image, other.image)


def test_a_noisier_recipe_changes_only_the_image() -> None:
    quiet, loud = (generate((24, 20, 16), replace(SeismicRecipe(), noise=(n, n)), 3) for n in (0.0, 0.5))
    assert all((quiet.targets[name] == loud.targets[name]).all() for name in quiet.targets)
    assert not np.allclose(quiet.image, loud.image)


@settings(max_examples=20)
@given(SEEDS)
def test_rgt_grows_with_depth_except_across_faults(seed: int) -> None:
    sample = generate((40, 24, 20), replace(RECIPES["field"], fold_height=(2, 12)), seed)
    off = sample.fault_number == 0
    steps = np.diff(sample.rgt, axis=0)[off[1:] & off[:-1]]
    assert (steps > 0).all()


@settings(max_examples=20)
@given(SEEDS)
def test_rgt_of_a_section_grows_with_depth_except_across_faults(seed: int) -> None:
    sample = generate((64, 80), SeismicRecipe(), seed)
    off = sample.fault_number == 0
    assert (np.diff(sample.rgt, axis=0)[off[1:] & off[:-1]] > 0).all()


def test_layers_above_an_unconformity_are_younger_unfaulted_and_cut_across() -> None:
    recipe = replace(SeismicRecipe(), unconformities=(1, 1), unconformity_depth=(0.4, 0.4), faults=(6, 6))
    sample = generate((64, 40, 40), recipe, 5)
    plain = generate((64, 40, 40), replace(recipe, unconformities=(0, 0)), 5)
    top = slice(0, int(0.4 * 64))
    assert not sample.fsem[top].any()
    assert plain.fsem[top].any()
    below = slice(int(0.52 * 64), 64)
    assert (sample.fsem[below] == plain.fsem[below]).all()
    assert sample.rgt[top].max() < sample.rgt[below].min()
    assert decreasing_share(sample.rgt, sample.fsem == 0) == 0


@pytest.mark.parametrize(("dip", "strike"), [(60, 40), (115, 100), (85, 10)])
def test_a_plane_through_the_youngest_fault_gives_back_its_dip_and_strike(dip: float, strike: float) -> None:
    recipe = replace(SeismicRecipe(), faults=(3, 3), dip=(dip, dip), strike=(strike, strike))
    sample = generate(CUBE, recipe, 11)
    zone = sample.fault_number == 3
    points = np.argwhere(zone).astype(np.float64)
    fitted = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)[2][-1].astype(np.float32)
    assert float(line_angle(fitted, normals(dip, strike))) < 0.7
    labels = normals(180 * sample.fdip[zone], 180 * sample.fstrike[zone])
    assert float(line_angle(labels, fitted[:, None]).max()) < 0.7


def test_a_section_shows_the_dip_of_its_faults() -> None:
    sample = generate((80, 80), replace(SeismicRecipe(), faults=(1, 1), dip=(65, 65)), 2)
    points = np.argwhere(sample.fsem).astype(np.float64)
    fitted = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)[2][-1].astype(np.float32)
    assert float(line_angle(fitted, normals(65.0))) < 0.7
    assert np.unique(sample.fdip) * 180 == pytest.approx([0, 65])


@pytest.mark.parametrize("rake", [90.0, 30.0, 150.0])
@pytest.mark.parametrize("dip", [60.0, 110.0])
@pytest.mark.parametrize("slope", [0.0, 0.15])
def test_the_displacement_measured_from_rgt_is_the_one_asked(rake: float, dip: float, slope: float) -> None:
    """RGT jumps by the throw, less what the layers' slope makes of the lateral part of the slip."""
    asked = 9.0
    recipe = replace(
        FLAT, dip=(dip, dip), strike=(35, 35), rake=(rake, rake), displacement=(asked, asked), slope=(slope, slope)
    )
    sample = generate(CUBE, recipe, 4)
    fault = sample.faults[0]
    z, y, x = np.meshgrid(*(np.arange(n) for n in CUBE), indexing="ij")
    flat = sample.rgt * voxels_per_unit(sample) - (z - slope * (y + x))  # a constant on either side of the fault
    distance = sum((c - a) * n for c, a, n in zip((z, y, x), fault.center, fault.normal, strict=True))
    jump = float(np.median(flat[distance > 2]) - np.median(flat[distance < -4]))
    slip = fault.slip
    assert jump == pytest.approx(-(slip[0] - slope * (slip[1] + slip[2])), abs=0.05)
    along = slip / np.linalg.norm(slip)
    measured = -jump / (along[0] - slope * (along[1] + along[2]))
    assert abs(measured) == pytest.approx(asked, abs=0.15)


def test_the_slip_surface_lies_inside_the_zone() -> None:
    sample = generate(CUBE, replace(FLAT, displacement=(9, 9), dip=(70, 70), rake=(90, 90)), 4)
    across = np.abs(np.diff(sample.rgt, axis=1)) > 1e-3
    touching = sample.fsem.astype(bool)[:, 1:] | sample.fsem.astype(bool)[:, :-1]
    assert across.any()
    assert not (across & ~touching).any()


def test_image_and_targets_show_the_same_layers() -> None:
    """DHR is a function of RGT alone when nothing is faulted: equal times have equal amplitudes."""
    recipe = replace(SeismicRecipe(), faults=(0, 0), thickness_variation=(0, 0), bump_share=0)
    sample = generate(CUBE, recipe, 9)
    time = np.round(sample.rgt * 300).astype(int).ravel()
    values = sample.dhr.ravel()
    mean = np.bincount(time, values) / np.maximum(np.bincount(time), 1)
    assert correlation(mean[time].astype(np.float32), values) > 0.97


def test_noise_has_the_asked_part_of_the_peak() -> None:
    quiet, loud = (generate(CUBE, replace(SeismicRecipe(), noise=(n, n)), 3).image for n in (0.0, 0.4))
    scale = float(np.sum(quiet * loud) / np.sum(quiet**2))
    noise = loud - scale * quiet
    assert np.abs(noise).max() / (scale * np.abs(quiet).max()) == pytest.approx(0.4, abs=0.05)


def test_dhr_is_sharper_than_the_image() -> None:
    recipe = replace(FLAT, faults=(0, 0), wavelets=("ricker",), frequency=(0.12, 0.12), layer_thickness=(7, 7))
    sample = generate((256, 16, 16), recipe, 0)
    frequencies = np.fft.rfftfreq(256)
    centre = []
    for values in (sample.image, sample.dhr):
        power = (np.abs(np.fft.rfft(values, axis=0)) ** 2).mean(axis=(1, 2))
        centre.append(float((frequencies * power).sum() / power.sum()))
    assert centre[1] / centre[0] == pytest.approx(1.25, abs=0.12)


def test_amplitude_decays_with_depth_on_request() -> None:
    recipe = replace(FLAT, faults=(0, 0), layer_thickness=(7, 7))
    even, faded = (generate((128, 16, 16), replace(recipe, amplitude_decay=(d, d)), 1) for d in (0.0, 2.0))
    rows = (np.abs(even.dhr[:, 0, 0]) > 0.1).nonzero()[0]
    ratio = (faded.dhr / even.dhr)[rows, 0, 0]
    assert np.polyfit(rows / 127, np.log(ratio), 1)[0] == pytest.approx(-2, abs=0.01)
    assert (faded.rgt == even.rgt).all()


@pytest.mark.parametrize("shape", [(64,), (4, 64, 64), (16, 16, 16, 16)])
def test_shapes_that_cannot_be_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="expected 2 or 3 axes of at least 8 samples"):
        generate(shape, SeismicRecipe(), 0)


def profile(image: np.ndarray, dhr: np.ndarray, rgt: np.ndarray, faults: np.ndarray) -> dict[str, float]:
    """Figures by which a cube is compared with a published one."""
    centres = []
    for values in (image.astype(np.float64), dhr.astype(np.float64)):
        power = (np.abs(np.fft.rfft(values, axis=0)) ** 2).mean(axis=(1, 2))
        centres.append(float((np.fft.rfftfreq(values.shape[0]) * power).sum() / power.sum()))
    return {
        "image frequency": centres[0],
        "dhr frequency": centres[1],
        "correlation": correlation(image, dhr),
        "rgt per depth": float(np.median(np.diff(rgt, axis=0))) * rgt.shape[0],
        "fault share": float(faults.mean()),
    }


def test_cubes_like_the_published_one_have_its_statistics(shared_data: Path) -> None:
    published = shared_data / "seismic" / "rgm_dev" / "rgm_dev_00.npz"
    with np.load(published, allow_pickle=False) as arrays:
        wanted = profile(
            arrays["seismic"], arrays["dhr"], arrays["rgt_u16"].astype(np.float32) / 65535, arrays["fault_id"] > 0
        )
    recipe = SeismicRecipe(
        layer_thickness=(128 / 22, 128 / 22),
        frequency=(0.13665, 0.13665),
        wavelets=("ricker_derivative",),
        noise=(0.476, 0.476),
        faults=(6, 6),
        bump_share=0,
    )
    samples = [generate((128, 128, 128), recipe, seed) for seed in range(2)]
    found = [profile(s.image, s.dhr, s.rgt, s.fsem) for s in samples]
    mean = {name: float(np.mean([f[name] for f in found])) for name in wanted}
    assert mean["image frequency"] == pytest.approx(wanted["image frequency"], rel=0.15)
    assert mean["dhr frequency"] == pytest.approx(wanted["dhr frequency"], rel=0.05)
    assert mean["correlation"] == pytest.approx(wanted["correlation"], abs=0.06)
    assert mean["rgt per depth"] == pytest.approx(wanted["rgt per depth"], abs=0.15)
    assert mean["fault share"] == pytest.approx(wanted["fault share"], abs=0.04)
