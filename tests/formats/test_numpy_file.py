from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from segwheel.axes import Region
from segwheel.errors import FormatError, MissingError
from segwheel.formats import flat, numpy_file, volume

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(130, 9), (70, 66, 5)])
def test_a_volume_becomes_an_array(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...]) -> None:
    monkeypatch.setattr(flat, "BLOCK_ELEMENTS", 2000)
    values = RNG.standard_normal(shape, dtype=np.float32)
    volume.write_array(tmp_path / "a.zarr", values)
    numpy_file.write_volume(tmp_path / "a.npy", volume.open(tmp_path / "a.zarr"))
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), values)


def test_regions_are_float32_and_bad_samples_zeros(tmp_path: Path) -> None:
    values = RNG.standard_normal((4, 5, 6))
    values[1, 2, 3] = np.nan
    np.save(tmp_path / "a.npy", values)
    file = numpy_file.NumpyFile(tmp_path / "a.npy")
    read, live = (part(Region((1, 2, 0), (2, 4, 6))) for part in (file.read, file.live))
    assert read.dtype == np.float32
    assert np.argwhere(~live).tolist() == [[0, 0, 3]]
    np.testing.assert_array_equal(read, np.nan_to_num(values[1:2, 2:4]).astype(np.float32))


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.zeros(3), r"float64 of shape \(3,\)"),
        (np.zeros((2, 2), dtype=complex), "complex128"),
        (np.zeros((0, 2)), r"shape \(0, 2\)"),
        (np.array([["a"]]), "<U1"),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, array: np.ndarray, found: str) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(FormatError, match=f"real numbers along two or three axes, found .*{found}"):
        numpy_file.NumpyFile(tmp_path / "a.npy")


def test_other_files_are_refused_and_nothing_is_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "objects.npy", np.array([[{}]], dtype=object), allow_pickle=True)
    (tmp_path / "text.npy").write_text("text")
    for name in ("objects", "text"):
        with pytest.raises(FormatError, match="expected a NumPy array"):
            numpy_file.NumpyFile(tmp_path / f"{name}.npy")
    with pytest.raises(MissingError):
        numpy_file.NumpyFile(tmp_path / "none.npy")
