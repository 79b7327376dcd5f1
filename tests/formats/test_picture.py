from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from segwheel.formats import picture
from segwheel.formats.picture import Window

GRAY = np.full((40, 60), 128, dtype=np.uint8)
# Machado, Oliveira and Fernandes (2009): what is seen without red, green or blue cones, in linear RGB.
VISIONS = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def square(value: int = 1) -> np.ndarray:
    mask = np.zeros(GRAY.shape, dtype=np.uint8)
    mask[10:20, 10:20] = value
    return mask


@pytest.mark.parametrize(
    ("dtype", "scale"), [(np.uint8, 200), (np.uint16, 60000), (np.float32, 1e-3), (np.float32, 1e6), (np.int16, 3000)]
)
def test_window_uses_the_whole_range_of_any_type(dtype: type, scale: float) -> None:
    ramp = np.linspace(0, scale, 4000).reshape(50, 80).astype(dtype)
    window = Window.measure(ramp)
    shown = window.apply(ramp)
    assert shown.dtype == np.uint8
    assert (shown.min(), shown.max()) == (0, 255)
    assert abs(int(np.median(shown)) - 127) <= 2
    assert (np.diff(shown.ravel().astype(int)) >= 0).all()


def test_window_ignores_a_few_extreme_pixels() -> None:
    image = np.random.default_rng(0).integers(1000, 2000, (100, 100)).astype(np.uint16)
    image[0, :10] = 65535
    window = Window.measure(image)
    assert 1000 <= window.low < 1020
    assert 1980 < window.high <= 2000


def test_window_of_a_mostly_empty_image_falls_back_to_its_range() -> None:
    image = np.zeros((100, 100), dtype=np.float32)
    image[3, 3] = 7
    assert Window.measure(image) == Window(0.0, 7.0)


def test_constant_and_dead_images_have_a_window() -> None:
    assert set(Window.measure(GRAY).apply(GRAY).ravel().tolist()) == {128}
    dead = np.full((4, 4), np.nan, dtype=np.float32)
    assert not Window.measure(dead).apply(dead).any()


def test_not_a_number_is_black_and_infinite_is_clipped() -> None:
    image = np.array([[0.0, 1.0], [np.nan, np.inf]], dtype=np.float32)
    assert Window(0.0, 1.0).apply(image).tolist() == [[0, 255], [0, 255]]


@given(hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9)), st.integers(1, 3))
def test_outline_is_what_lies_near_the_outside(inside: np.ndarray, width: int) -> None:
    drawn = picture.outline(inside, width)
    for y, x in np.ndindex(*inside.shape):
        near = inside[max(0, y - width) : y + width + 1, max(0, x - width) : x + width + 1]
        assert drawn[y, x] == (inside[y, x] and not near.all())


def test_overlay_outlines_tints_and_leaves_the_rest() -> None:
    shown = picture.overlay(GRAY, square(), color=(255, 0, 0), tint=0.5)
    assert shown.shape == (40, 60, 3)
    assert shown[10, 15].tolist() == [255, 0, 0]
    assert shown[15, 15].tolist() == [192, 64, 64]
    assert shown[9, 15].tolist() == [128, 128, 128]


def test_overlay_does_not_paint_the_unlabelled() -> None:
    shown = picture.overlay(GRAY, square(255))
    assert (shown == 128).all()


def test_comparison_tells_found_false_and_missed_apart() -> None:
    prediction, truth = square(), np.zeros_like(square())
    truth[10:20, 15:25] = 1
    truth[12, 12] = 255
    shown = picture.comparison(GRAY, prediction, truth)
    assert tuple(shown[10, 17]) == picture.FOUND
    assert tuple(shown[10, 12]) == picture.FALSE
    assert tuple(shown[10, 22]) == picture.MISSED
    assert tuple(shown[12, 12]) == (128, 128, 128)
    assert tuple(shown[30, 30]) == (128, 128, 128)


@pytest.mark.parametrize("vision", VISIONS)
def test_colours_differ_for_every_eye(vision: str) -> None:
    """CIELAB distance of at least 20 (a just noticeable difference is about 2.3) between any two and mid-gray."""
    from skimage.color import rgb2lab

    colors = [picture.FOUND, picture.FALSE, picture.MISSED, (128, 128, 128)]
    seen = [rgb2lab(_encoded(np.asarray(VISIONS[vision]) @ _linear(color))) for color in colors]
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 20


def _linear(color: tuple[int, int, int]) -> np.ndarray:
    value = np.array(color) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def _encoded(linear: np.ndarray) -> np.ndarray:
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def saved(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image)


def test_saved_overlay_of_a_small_16_bit_image_is_enlarged(tmp_path: Path) -> None:
    image = np.arange(40 * 60, dtype=np.uint16).reshape(40, 60) * 20
    picture.save_overlay(tmp_path / "new" / "a.png", image, square())
    shown = saved(tmp_path / "new" / "a.png")
    assert shown.shape == (200, 300, 3)
    assert tuple(shown[50, 75]) == picture.PREDICTED
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.png"]


def test_saved_comparison_has_a_legend(tmp_path: Path) -> None:
    picture.save_overlay(tmp_path / "a.png", GRAY.astype(np.float32), square(), truth=square())
    shown = saved(tmp_path / "a.png")
    assert shown.shape[0] > 200
    strip = {tuple(color) for color in shown[200:].reshape(-1, 3)}
    assert {picture.FOUND, picture.FALSE, picture.MISSED} <= strip


def test_saved_overlay_of_a_large_image_is_reduced_and_keeps_its_outline(tmp_path: Path) -> None:
    image = np.zeros((100, 4100), dtype=np.uint8)
    mask = np.zeros_like(image)
    mask[30:60, 300:600] = 1
    picture.save_overlay(tmp_path / "a.png", image, mask)
    shown = saved(tmp_path / "a.png")
    assert shown.shape == (34, 1367, 3)
    assert tuple(shown[10, 150]) == picture.PREDICTED


def test_save_png_keeps_gray_pixels(tmp_path: Path) -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    picture.save_png(tmp_path / "ä b.png", pixels)
    np.testing.assert_array_equal(saved(tmp_path / "ä b.png"), pixels)
