from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from segwheel.errors import FormatError, MissingError
from segwheel.formats import tiff

RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (20, 30), dtype=np.uint8)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
def test_reads_native_types(tmp_path: Path, dtype: type, compression: str | None) -> None:
    pixels = (RNG.random((20, 30)) * 250).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels, compression=compression)
    read = tiff.read_image(tmp_path / "a.tif")
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, pixels)


def test_big_endian_comes_out_native(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 60000, (20, 30), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", pixels, byteorder=">")
    read = tiff.read_image(tmp_path / "a.tif")
    assert read.dtype.isnative
    np.testing.assert_array_equal(read, pixels)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_floats_become_float32(tmp_path: Path, dtype: type) -> None:
    pixels = np.linspace(0, 1, 600).reshape(20, 30).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    read = tiff.read_image(tmp_path / "a.tif")
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, pixels, rtol=1e-6)


@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_rgb_becomes_luminance(tmp_path: Path, planes: str) -> None:
    rgb = RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    stored = rgb if planes == "contig" else np.moveaxis(rgb, -1, 0)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planes)
    read = tiff.read_image(tmp_path / "a.tif")
    red, green, blue = np.moveaxis(rgb.astype(float), -1, 0)
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, 0.2125 * red + 0.7154 * green + 0.0721 * blue, rtol=1e-5)


def test_gray_rgb_keeps_its_units(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.repeat(BYTES[..., None], 3, axis=-1), photometric="rgb")
    np.testing.assert_allclose(tiff.read_image(tmp_path / "a.tif"), BYTES, rtol=1e-5)


@pytest.mark.parametrize(
    ("pixels", "options", "found"),
    [
        (np.zeros((3, 20, 30), np.uint8), {"photometric": "minisblack"}, "3 pages"),
        (np.zeros((20, 30), np.int16), {}, "int16"),
        (np.zeros((20, 30), np.uint32), {}, "uint32"),
        (np.zeros((20, 30), np.complex64), {}, "complex64"),
        (np.zeros((20, 30, 4), np.uint8), {"photometric": "rgb"}, "4 channels"),
        (np.zeros((20, 30, 2), np.uint8), {"photometric": "minisblack", "planarconfig": "contig"}, "2 channels"),
        (np.zeros((20, 30), np.uint8), {"photometric": "miniswhite"}, "MINISWHITE"),
        (np.zeros((20, 30), np.uint8), {"colormap": np.zeros((3, 256), np.uint16)}, "PALETTE"),
    ],
)
def test_other_kinds_are_named(tmp_path: Path, pixels: np.ndarray, options: dict[str, object], found: str) -> None:
    tifffile.imwrite(tmp_path / "odd one ü.tif", pixels, **options)
    with pytest.raises(FormatError, match=found) as caught:
        tiff.read_image(tmp_path / "odd one ü.tif")
    assert "odd one ü.tif: expected a TIFF of one page" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_imagej_stack_behind_one_page_is_several_pages(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((3, 20, 30), np.uint8), imagej=True)
    with pytest.raises(FormatError, match="3 pages"):
        tiff.read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_pixels_that_are_not_finite_are_counted(tmp_path: Path, bad: float) -> None:
    pixels = np.zeros((20, 30))
    pixels[3, 4] = pixels[5, 6] = bad
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    with pytest.raises(FormatError, match="found 2 NaN or infinite pixels"):
        tiff.read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"compression": "zlib", "rowsperstrip": 4}])
@pytest.mark.parametrize("part", [0.0, 0.005, 0.1, 0.3, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(
    tmp_path: Path, part: float, options: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cut.tif"
    tifffile.imwrite(path, BYTES, **options)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(FormatError, match=r"cut\.tif: expected .*found a (damaged|truncated) file"):
        tiff.read_image(path)
    assert capsys.readouterr().err == ""


def test_a_file_that_is_no_tiff_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_text("not a picture")
    with pytest.raises(FormatError, match="not a TIFF file"):
        tiff.read_image(tmp_path / "a.tif")


@settings(max_examples=150, deadline=None)
@given(flips=st.lists(st.tuples(st.integers(0, 399), st.integers(0, 255)), min_size=1, max_size=4))
def test_damage_is_a_format_error_or_harmless(tmp_path_factory: pytest.TempPathFactory, flips: list) -> None:
    path = tmp_path_factory.mktemp("flip") / "a.tif"
    tifffile.imwrite(path, BYTES, compression="zlib")
    content = bytearray(path.read_bytes())
    for position, value in flips:
        content[position] = value
    path.write_bytes(content)
    try:
        pixels = tiff.read_image(path)
    except FormatError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert pixels.ndim == 2


def test_a_missing_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no such TIFF file"):
        tiff.read_image(tmp_path / "a.tif")


@given(label=hnp.arrays(np.uint8, (5, 7), elements=st.sampled_from([0, 1, 255])))
@settings(max_examples=25, deadline=None)
def test_a_label_comes_back(tmp_path_factory: pytest.TempPathFactory, label: np.ndarray) -> None:
    path = tmp_path_factory.mktemp("mask") / "a_mask.tif"
    tiff.write_mask(path, label)
    assert set(np.unique(tifffile.imread(path))) <= {0, 128, 255}
    np.testing.assert_array_equal(tiff.read_mask(path), label)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, bool])
def test_zero_and_one_are_accepted(tmp_path: Path, dtype: type) -> None:
    label = (BYTES > 100).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", label.astype(dtype))
    np.testing.assert_array_equal(tiff.read_mask(tmp_path / "a.tif"), label)


@pytest.mark.parametrize("values", [[0, 7], [0, 1, 255], [0, 254], [1, 2, 3, 4, 5, 6]])
def test_other_mask_values_are_named(tmp_path: Path, values: list[int]) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.resize(np.array(values, np.uint8), (5, 7)))
    with pytest.raises(FormatError, match=f"found values {values[0]}, {values[1]}"):
        tiff.read_mask(tmp_path / "a.tif")


def test_a_coloured_mask_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((5, 7, 3), np.uint8), photometric="rgb")
    with pytest.raises(FormatError, match="3 channels"):
        tiff.read_mask(tmp_path / "a.tif")


def test_float_comes_back_and_equal_pixels_are_equal_bytes(tmp_path: Path) -> None:
    pixels = RNG.random((20, 30))
    tiff.write_float(tmp_path / "a.tif", pixels)
    tiff.write_float(tmp_path / "b.tif", pixels)
    np.testing.assert_array_equal(tiff.read_image(tmp_path / "a.tif"), pixels.astype(np.float32))
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()
