"""One slice is predicted as the whole volume is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from volume_helpers import noise, read

from segwheel.errors import FormatError
from segwheel.formats import volume
from segwheel.learning.multitask_checkpoint import MultitaskModel, NetworkKind
from segwheel.learning.slice_inference import predict_slice
from segwheel.learning.volume_prediction import DEFAULTS, predict_image


def model(ndim: int) -> MultitaskModel:
    torch.manual_seed(0)
    kind = NetworkKind(design="light", refine=False, ndim=ndim, width=0.1, tasks=("fault",))
    return MultitaskModel(kind.build().eval(), kind, (16,) * ndim, 1.0, 0.5, "tiny")


@pytest.mark.parametrize(("axis", "index"), [("depth", 19), ("inline", 9), ("crossline", 0)])
def test_a_slice_is_that_of_the_predicted_volume(tmp_path: Path, axis: str, index: int) -> None:
    values = 30 * noise(20, 24, 18) + 5
    values[:, 9, 3:5] = np.nan
    volume.write_array(tmp_path / "image.zarr", values)
    image = volume.open(tmp_path / "image.zarr")
    whole = read(predict_image(model(3), image, tmp_path / "out")["fsem"])
    expected = np.take(whole, index, axis=("depth", "inline", "crossline").index(axis))
    np.testing.assert_allclose(predict_slice(model(3), image, axis, index, DEFAULTS), expected, rtol=1e-4, atol=1e-6)


def test_a_section_is_predicted_whole(tmp_path: Path) -> None:
    volume.write_array(tmp_path / "line.zarr", noise(20, 40))
    line = volume.open(tmp_path / "line.zarr")
    expected = read(predict_image(model(2), line, tmp_path / "out")["fsem"])
    np.testing.assert_allclose(predict_slice(model(2), line, "", None, DEFAULTS), expected, rtol=1e-4, atol=1e-6)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    volume.write_array(tmp_path / "image.zarr", noise(8, 8, 8))
    image = volume.open(tmp_path / "image.zarr")
    with pytest.raises(FormatError, match="inline 0 to 7, found index 8"):
        predict_slice(model(3), image, "inline", 8, DEFAULTS)
    with pytest.raises(FormatError, match="2 axes, as the model was trained on"):
        predict_slice(model(2), image, "inline", 1, DEFAULTS)
