"""TIFF images and masks: one page, axis order (y, x).

Images are 8-bit, 16-bit or float, grayscale or RGB. RGB becomes luminance with the weights of ITU-R BT.709 as
scikit-image's `rgb2gray` rounds them (0.2125, 0.7154, 0.0721), in the units of the file.

Mask files hold 0 (background), 255 (foreground) and 128 (unlabelled); label arrays hold 0, 1 and 255.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Container
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
from tifffile import COMPRESSION, PHOTOMETRIC

from segwheel.errors import FormatError, MissingError
from segwheel.formats.files import replacing

BACKGROUND, FOREGROUND, UNLABELLED = 0, 1, 255  # in label arrays
FILE_FOREGROUND, FILE_UNLABELLED = 255, 128  # in mask files

_LUMINANCE = np.array([0.2125, 0.7154, 0.0721], dtype=np.float32)
_IMAGE = "a TIFF of one page, 8-bit, 16-bit or float, grayscale or RGB"
_MASK = "a TIFF of one page and one channel with values 0 and 255 (or 0 and 1; 128 = unlabelled)"
# What tifffile and its decoders raise when a file is damaged (found by flipping and cutting bytes).
_DAMAGED = (ValueError, TypeError, LookupError, RuntimeError, struct.error, MemoryError, ArithmeticError, EOFError)

# tifffile reports damaged tags in its log; the same damage reaches the user as one FormatError.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


def read_image(path: Path) -> npt.NDArray[Any]:
    """Read an image as (y, x): uint8, uint16, or float32 (from any float type and from RGB).

    Raises MissingError without a file; FormatError when it is damaged, has several pages or another type, or
    holds NaN or infinity.
    """
    pixels = _read_page(path, _IMAGE, gray=(PHOTOMETRIC.MINISBLACK,))
    if pixels.ndim == 3:
        pixels = pixels.astype(np.float32) @ _LUMINANCE
    if pixels.dtype.kind == "f":
        with np.errstate(over="ignore"):  # beyond float32: infinite, and refused as such
            pixels = pixels.astype(np.float32, copy=False)
        bad = pixels.size - int(np.isfinite(pixels).sum())
        if bad:
            raise FormatError(path, expected="finite pixel values", found=f"{bad} NaN or infinite pixels")
    elif pixels.dtype not in (np.uint8, np.uint16):
        raise FormatError(path, expected=_IMAGE, found=f"{pixels.dtype} pixels")
    return pixels


def read_mask(path: Path) -> npt.NDArray[np.uint8]:
    """Read a mask file as a label array (y, x) of 0, 1 and 255 (unlabelled).

    Raises as `read_image` does, and FormatError when the file holds other values.
    """
    return label_from_file_values(path, read_mask_values(path))


def read_mask_values(path: Path) -> npt.NDArray[Any]:
    """Read the values of a mask file as they are stored, (y, x), any type. Raises as `read_mask` does."""
    # Libraries write boolean masks as "min is white" without inverting them: the stored values count.
    values = _read_page(path, _MASK, gray=(PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.MINISWHITE))
    if values.ndim != 2:
        raise FormatError(path, expected=_MASK, found=f"{values.shape[-1]} channels")
    return values


def remark(path: Path, values: npt.NDArray[Any]) -> str:
    """What a person should know about the stored values of a mask that can be used; usually nothing."""
    if (values == 1).any():
        return f"{path}: values 0 and 1 instead of 0 and 255; read as background and foreground"
    return ""


def label_from_file_values(path: Path, values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Turn the stored values of a mask file into label values; `path` is for the FormatError about other values."""
    found = np.unique(values)
    if not (_only(found, 0, FILE_FOREGROUND, FILE_UNLABELLED) or _only(found, 0, 1, FILE_UNLABELLED)):
        some = ", ".join(f"{value:g}" for value in found[:5].astype(float)) + (", ..." if found.size > 5 else "")
        raise FormatError(path, expected=_MASK, found=f"values {some}")
    label = np.zeros(values.shape, dtype=np.uint8)
    label[(values == FILE_FOREGROUND) | (values == 1)] = FOREGROUND
    label[values == FILE_UNLABELLED] = UNLABELLED
    return label


def write_mask(path: Path, label: npt.NDArray[np.uint8]) -> None:
    """Write a label array (y, x) of 0, 1 and 255 as a mask file of 0, 255 and 128, atomically."""
    assert _only(np.unique(label), BACKGROUND, FOREGROUND, UNLABELLED), "a label array holds 0, 1 and 255"
    values = np.zeros(label.shape, dtype=np.uint8)
    values[label == FOREGROUND] = FILE_FOREGROUND
    values[label == UNLABELLED] = FILE_UNLABELLED
    write_image(path, values)


def write_float(path: Path, array: npt.NDArray[Any]) -> None:
    """Write an array (y, x) as 32-bit float, atomically."""
    write_image(path, array.astype(np.float32, copy=False))


def write_image(path: Path, pixels: npt.NDArray[Any]) -> None:
    """Write pixels (y, x) of type uint8, uint16 or float32 losslessly and atomically; equal pixels, equal bytes."""
    assert pixels.ndim == 2, f"axes (y, x), not shape {pixels.shape}"
    assert pixels.dtype in (np.uint8, np.uint16, np.float32), f"{pixels.dtype} pixels"
    with replacing(path) as beside:
        tifffile.imwrite(beside, pixels, photometric="minisblack", compression="zlib", metadata=None)


def _only(found: npt.NDArray[Any], *allowed: int) -> bool:
    return bool(np.isin(found, allowed).all())


def _read_page(path: Path, expected: str, gray: Container[PHOTOMETRIC]) -> npt.NDArray[Any]:
    """Decode the only page: (y, x), or (y, x, 3) for RGB, in native byte order."""
    if not path.is_file():
        raise MissingError(path, what="TIFF file")
    size = path.stat().st_size
    try:
        with tifffile.TiffFile(path) as tiff:
            problem = _problem(tiff, size, gray)
            if not problem:
                pixels = tiff.pages.first.asarray()
                channels_first = tiff.pages.first.axes == "SYX"
    except _DAMAGED as error:
        detail = " ".join(str(error).split()) or type(error).__name__
        raise FormatError(path, expected=expected, found=f"a damaged file of {size} bytes ({detail})") from error
    if problem:
        raise FormatError(path, expected=expected, found=problem)
    return np.moveaxis(pixels, 0, -1) if channels_first else pixels


def _problem(tiff: tifffile.TiffFile, size: int, gray: Container[PHOTOMETRIC]) -> str:
    """What keeps an open file from being one readable plane, "" when nothing does. Decodes nothing."""
    if len(tiff.pages) == 0:
        return f"a damaged file of {size} bytes (no page)"
    page = tiff.pages.first
    if page.size == 0:
        return f"a damaged file of {size} bytes (no pixels)"
    if len(tiff.pages) > 1 or tiff.series[0].size > page.size:
        return f"{max(len(tiff.pages), tiff.series[0].size // page.size)} pages"
    photometric = PHOTOMETRIC(page.photometric)
    is_rgb = photometric == PHOTOMETRIC.RGB or (
        # tifffile turns the colours of JPEG into RGB and leaves those of other codecs
        photometric == PHOTOMETRIC.YCBCR and page.compression == COMPRESSION.JPEG
    )
    if page.axes not in (("YXS", "SYX") if is_rgb else ("YX",)) or (is_rgb and page.samplesperpixel != 3):
        return f"{page.samplesperpixel} channels with axes {page.axes} ({photometric.name})"
    if not (is_rgb or photometric in gray):
        return f"{photometric.name} colours"
    if page.dtype is None:  # would be read as an empty array
        return f"samples of {page.bitspersample} bits"
    # A missing strip would be filled with zeros without a word.
    strips = list(zip(page.dataoffsets, page.databytecounts, strict=False))
    if len(strips) != prod(page.chunked) or any(n == 0 or start + n > size for start, n in strips):
        return f"a truncated file of {size} bytes"
    return ""
