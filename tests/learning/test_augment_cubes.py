"""Flips and turns: faults turn with the volume that they lie in."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from cube_helpers import volume_train_params

from segwheel.domain.orientation import line_angle, normals
from segwheel.learning.augment_cubes import Arrays, mirrored, random_view, turned

FLIPS = {1: (1, -1, 1), 2: (1, 1, -1)}  # signs of the components of a mirrored vector


def planes(ndim: int) -> Arrays:
    """Random dips and strikes with every quadrant, and a corner without a fault."""
    rng = np.random.default_rng(0)
    shape = (3, 8, 8)[:ndim]
    arrays = {name: rng.uniform(0.02, 0.98, shape).astype(np.float32) for name in ("fdip", "fstrike")[: ndim - 1]}
    for values in arrays.values():
        values[0] = 0
    return arrays | {"rgt": rng.random(shape, np.float32)}


def lines(arrays: Arrays) -> npt.NDArray[np.float32]:
    strike = arrays.get("fstrike")
    return normals(180 * arrays["fdip"], None if strike is None else 180 * strike)


@pytest.mark.parametrize("axis", [1, 2])
def test_flipping_commutes_with_the_normals(axis: int) -> None:
    before, after = planes(3), mirrored(planes(3), axis)
    expected = np.flip(lines(before), axis + 1) * np.array(FLIPS[axis], np.float32).reshape(3, 1, 1, 1)
    np.testing.assert_allclose(line_angle(lines(after), expected)[1:], 0, atol=1e-3)
    assert (after["fdip"][0] == 0).all()
    assert (after["fstrike"][0] == 0).all()
    np.testing.assert_array_equal(after["rgt"], np.flip(before["rgt"], axis))


def test_a_flipped_section_dips_the_other_way() -> None:
    before, after = planes(2), mirrored(planes(2), 1)
    expected = np.flip(lines(before), 2) * np.array([1, -1], np.float32).reshape(2, 1, 1)
    np.testing.assert_allclose(line_angle(lines(after), expected)[1:], 0, atol=1e-3)


def test_turning_commutes_with_the_normals() -> None:
    before, after = planes(3), turned(planes(3))
    expected = lines(before).swapaxes(2, 3)[[0, 2, 1]]
    np.testing.assert_allclose(line_angle(lines(after), expected)[1:], 0, atol=1e-3)
    assert all((after[name] >= 0).all() and (after[name] <= 1).all() for name in ("fdip", "fstrike"))
    assert (after["fstrike"][0] == 0).all()


def test_unlabelled_angles_stay_unlabelled() -> None:
    arrays = planes(3)
    arrays["fdip"][1, 2] = arrays["fstrike"][1, 2] = np.nan
    for changed in (mirrored(arrays, 2), turned(arrays)):
        assert np.isnan(changed["fdip"]).sum() == np.isnan(changed["fstrike"]).sum() == 8


def test_the_denoised_image_is_stretched_as_the_image_is() -> None:
    image = np.random.default_rng(1).normal(size=(4, 6, 6)).astype(np.float32)
    params = volume_train_params(augmentation={"noise": 0}).augmentation
    views = [random_view({"image": image}, {"dhr": 2 * image}, params, np.random.default_rng(i)) for i in range(6)]
    for inputs, targets in views:
        np.testing.assert_allclose(targets["dhr"], 2 * inputs["image"], rtol=1e-6)
    assert len({float(inputs["image"].std()) for inputs, _ in views}) == 6
    assert len({float(inputs["image"][0, 0, 0] / inputs["image"].std()) for inputs, _ in views}) > 1


def test_dead_voxels_stay_zero_and_a_refinement_gets_no_noise() -> None:
    image = np.zeros((4, 6, 6), np.float32)
    image[:, 2:] = 1
    params = volume_train_params(augmentation={"contrast": 0, "flips": False, "turns": False}).augmentation
    inputs, _ = random_view({"image": image}, {}, params, np.random.default_rng(0))
    assert (inputs["image"][:, :2] == 0).all()
    assert (inputs["image"][:, 2:] != 1).any()
    given = {"dhr": image}
    assert random_view(given, {}, params, np.random.default_rng(0))[0]["dhr"] is image
