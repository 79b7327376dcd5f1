from __future__ import annotations

import re
import struct
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
import pytest

from segwheel.formats import flat, volume, vti
from segwheel.formats.geometry import Axis, Frame, Geometry

RNG = np.random.default_rng(0)
SURVEY = Geometry(
    (Axis("depth", 100, 4, "ms"), Axis("inline", 11, 2), Axis("crossline", 30, 1)),
    Frame((500.0, 6000.0), ((3.0, 4.0), (-8.0, 6.0))),
)


def read_vti(path: Path) -> tuple[dict[str, list[float]], npt.NDArray[np.float32]]:
    """Attributes of the image and its array as VTK reads it: [z, y, x]."""
    head, _, rest = path.read_bytes().partition(b'<AppendedData encoding="raw">\n_')
    (size,) = struct.unpack("<Q", rest[:8])
    assert re.fullmatch(rb"\s*</AppendedData>\s*</VTKFile>\s*", rest[8 + size :])
    root = ElementTree.fromstring(head.decode() + "</VTKFile>")
    assert root.attrib == {
        "type": "ImageData",
        "version": "1.0",
        "byte_order": "LittleEndian",
        "header_type": "UInt64",
    }
    image = root[0]
    numbers = {key: [float(x) for x in text.split()] for key, text in image.attrib.items()}
    piece = image[0]
    assert piece.attrib["Extent"] == image.attrib["WholeExtent"]
    array = piece[0][0]
    assert (array.attrib["type"], array.attrib["format"], array.attrib["offset"]) == ("Float32", "appended", "0")
    x, y, z = (int(stop) + 1 for stop in numbers["WholeExtent"][1::2])
    return numbers, np.frombuffer(rest[8 : 8 + size], "<f4").reshape(z, y, x)


def test_a_survey_stands_upright(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flat, "BLOCK_ELEMENTS", 5000)
    values = RNG.standard_normal((70, 5, 66), dtype=np.float32)
    volume.write_array(tmp_path / "a.zarr", values, SURVEY)
    vti.write_volume(tmp_path / "a.vti", volume.open(tmp_path / "a.zarr"), 'a "quoted" & <odd> name')
    numbers, read = read_vti(tmp_path / "a.vti")
    assert numbers["Spacing"] == [10, 5, 4]
    assert numbers["Origin"] == [0, 0, -(100 + 69 * 4)]
    np.testing.assert_array_equal(read, values[::-1])


def test_an_image_is_one_point_thick(tmp_path: Path) -> None:
    values = RNG.standard_normal((7, 9), dtype=np.float32)
    volume.write_array(tmp_path / "a.zarr", values)
    vti.write_volume(tmp_path / "a.vti", volume.open(tmp_path / "a.zarr"), "a")
    numbers, read = read_vti(tmp_path / "a.vti")
    assert numbers["WholeExtent"] == [0, 8, 0, 0, 0, 6]
    np.testing.assert_array_equal(read[:, 0], values[::-1])


def test_labels_are_floats_too(tmp_path: Path) -> None:
    labels = RNG.choice(np.array([0, 1, 255], dtype=np.uint8), (4, 5, 6))
    volume.write_array(tmp_path / "a.zarr", labels)
    vti.write_volume(tmp_path / "a.vti", volume.open(tmp_path / "a.zarr"), "labels")
    np.testing.assert_array_equal(read_vti(tmp_path / "a.vti")[1], labels[::-1])
