"""Tiled prediction equals prediction of the whole, and merging or turning changes nothing that it should not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from segwheel.domain.intensity import Normalization
from segwheel.learning.checkpoint import Model
from segwheel.learning.inference import DEFAULTS, predict_array, predict_targets, tile_grid
from segwheel.learning.networks import depends_on_tile


class Pointwise(nn.Module):
    """Every output depends on one input element: tiles cannot matter."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([images * 2, 1 - images], dim=1)


def model(network: nn.Module, targets: tuple[str, ...] = ("mask",), pixel_size_um: float | None = None) -> Model:
    return Model(network.eval(), targets, Normalization(10.0, 4.0), pixel_size_um, 0.5, "test")


def small_network() -> nn.Module:
    """Convolutions with a receptive field of 5 pixels and running statistics."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1))


def image(shape: tuple[int, int], seed: int = 0) -> np.ndarray[Any, np.dtype[np.uint16]]:
    return np.random.default_rng(seed).integers(0, 20, shape).astype(np.uint16)


@settings(max_examples=15)
@given(
    st.integers(20, 150),
    st.integers(20, 150),
    st.sampled_from([32, 64]),
    st.sampled_from([0.0, 0.25, 0.5]),
    st.sampled_from(["gaussian", "cosine", "flat"]),
    st.integers(1, 3),
)
def test_tiled_equals_whole_for_a_pointwise_model(
    height: int, width: int, tile: int, overlap: float, window: str, merge: int
) -> None:
    pixels = image((height, width))
    params = DEFAULTS.model_copy(update={"tile_size": tile, "overlap": overlap, "window": window, "merge": merge})
    found = predict_targets(model(Pointwise(), ("mask", "distance")), pixels, params)
    normalised = (pixels.astype(np.float32) - 10) / 4
    np.testing.assert_allclose(found["mask"], 1 / (1 + np.exp(-2 * normalised)), atol=1e-5)
    np.testing.assert_allclose(found["distance"], 1 / (1 + np.exp(normalised - 1)), atol=1e-5)


def test_merged_tiles_give_the_same_away_from_the_image_border() -> None:
    pixels = image((300, 200))
    one = DEFAULTS.model_copy(update={"tile_size": 64, "overlap": 0.5, "merge": 1, "window": "cosine"})
    network = model(small_network())
    apart = predict_array(network, pixels, one)
    merged = predict_array(network, pixels, one.model_copy(update={"merge": 3}))
    assert len(tile_grid(pixels.shape, one, 3)) < len(tile_grid(pixels.shape, one, 1))
    # Tiles pad with zeros at their own borders, where the weights are lowest.
    assert np.abs(apart - merged).max() < 0.02


@given(st.integers(256, 3000), st.sampled_from([64, 128, 256]), st.sampled_from([0.25, 0.5]), st.integers(1, 4))
def test_tiles_but_the_last_start_where_a_network_halves_them_alike(
    length: int, side: int, overlap: float, merge: int
) -> None:
    params = DEFAULTS.model_copy(update={"tile_size": side, "overlap": overlap})
    (axis,) = tile_grid([length], params, merge).axes
    if round(side * overlap) % 32 == 0:
        assert all(start % 32 == 0 for start in axis.starts[:-1])
    assert all(axis.stop(i) - start >= round(side * overlap) for i, start in enumerate(axis.starts[1:]))
    assert axis.stop(len(axis.starts) - 1) == length


def test_a_network_whose_output_depends_on_the_tile_is_not_merged() -> None:
    norm = nn.InstanceNorm2d(1)
    assert depends_on_tile(norm)
    assert not depends_on_tile(small_network())
    pixels = image((160, 160))
    one = DEFAULTS.model_copy(update={"tile_size": 64, "merge": 1})
    apart = predict_array(model(norm), pixels, one)
    np.testing.assert_array_equal(apart, predict_array(model(norm), pixels, one.model_copy(update={"merge": 3})))


@pytest.mark.parametrize("augmentation", ["flips", "dihedral"])
def test_test_time_augmentation_does_not_depend_on_how_the_image_lies(augmentation: str) -> None:
    pixels = image((96, 64))
    params = DEFAULTS.model_copy(update={"tile_size": 32, "test_time_augmentation": augmentation})
    network = model(small_network())
    found = predict_array(network, pixels, params)
    turned = {"flips": np.flipud, "dihedral": np.rot90}[augmentation]
    np.testing.assert_allclose(predict_array(network, turned(pixels).copy(), params), turned(found), atol=1e-5)


def test_half_the_bits_give_the_same_mask() -> None:
    pixels = image((96, 64))
    full = predict_array(model(small_network()), pixels, DEFAULTS.model_copy(update={"precision": "32"}))
    half = predict_array(model(small_network()), pixels, DEFAULTS.model_copy(update={"precision": "bf16-mixed"}))
    assert 0 < np.abs(full - half).max() < 0.01
    middle = np.median(full)
    assert np.mean((full > middle) == (half > middle)) > 0.98


def test_an_image_of_another_scale_comes_back_in_its_own_size() -> None:
    pixels = np.kron(image((40, 60)), np.ones((2, 2), np.uint16))
    coarse = predict_array(model(Pointwise(), ("mask", "other"), 2.0), pixels, DEFAULTS, pixel_size_um=1.0)
    fine = predict_array(model(Pointwise(), ("mask", "other"), 2.0), pixels, DEFAULTS, pixel_size_um=None)
    assert coarse.shape == fine.shape == pixels.shape
    assert np.abs(coarse - fine).max() > 0.05  # low-passed
    assert np.corrcoef(coarse.ravel(), fine.ravel())[0, 1] > 0.7


def test_an_image_smaller_than_a_tile_is_predicted() -> None:
    assert predict_array(model(small_network()), image((7, 300))).shape == (7, 300)
