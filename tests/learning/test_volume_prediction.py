"""A trained network on volumes: scaled back, resumable, refused where it doesn't fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from volume_helpers import digests, noise, read

from segwheel.axes import Region
from segwheel.domain.manifest import Sample
from segwheel.errors import FormatError, InputError
from segwheel.formats import volume
from segwheel.learning.light_multitask import LightMultitaskNetwork
from segwheel.learning.multitask_checkpoint import MultitaskModel, NetworkKind
from segwheel.learning.volume_prediction import DEFAULTS, predict_image, tiling, write_volume_predictions


def model(*, ndim: int = 3, refine: bool = False) -> MultitaskModel:
    torch.manual_seed(0)
    kind = NetworkKind(design="light", refine=refine, ndim=ndim, width=0.1, tasks=("rgt", "dhr", "fault"))
    network = kind.build()
    assert isinstance(network, LightMultitaskNetwork)
    return MultitaskModel(network.eval(), kind, (16,) * ndim, 1.0, 0.5, "tiny")


def samples(folder: Path) -> list[Sample]:
    made = []
    for name, scale in (("one", 1.0), ("two", 300.0)):
        path = folder / "samples" / name / "image.zarr"
        values = np.float32(scale) * noise(20, 24, 18) + np.float32(scale)
        values[:, 3, 4] = np.nan
        volume.write_array(path, values)
        made.append(Sample(name, path, {}, name))
    return made


@pytest.mark.parametrize("ndim", [2, 3])
def test_only_dhr_depends_on_the_scale_of_the_image(tmp_path: Path, ndim: int) -> None:
    values, found = noise(*(24, 32, 16)[:ndim]), {}
    for scale in (1, 40):
        volume.write_array(tmp_path / f"{scale}.zarr", np.float32(scale) * values + np.float32(7))
        image = volume.open(tmp_path / f"{scale}.zarr")
        paths = predict_image(model(ndim=ndim), image, tmp_path / f"out {scale}")
        found[scale] = {name: read(path) for name, path in paths.items()}
    for name, first in found[1].items():
        np.testing.assert_allclose(found[40][name], first * (40 if name == "dhr" else 1), rtol=1e-2, atol=2e-3)
    # An untrained light network gives back the image, without its mean.
    assert np.corrcoef(found[40]["dhr"].ravel(), values.ravel())[0, 1] > 0.9
    assert abs(found[40]["dhr"].std() / 40 - 1) < 0.2


def test_samples_become_folders_of_attributes(tmp_path: Path) -> None:
    work, output, said = tmp_path / "work", tmp_path / "predictions", set()
    (output / "gone").mkdir(parents=True)
    write_volume_predictions(
        model(), samples(tmp_path), output, work, DEFAULTS, lambda what, done, total: said.add((what, done <= total))
    )
    assert said == {(f"{name}: {what}", True) for name in ("one", "two") for what in ("predict", "rgt")}
    assert sorted(path.name for path in output.iterdir()) == ["one", "two"]
    assert not work.exists()
    for name in ("one", "two"):
        names = sorted(path.name for path in (output / name).iterdir())
        assert names == ["dhr.zarr", "fdip.zarr", "fsem.zarr", "fstrike.zarr", "rgt.zarr"]
        fsem = volume.open(output / name / "fsem.zarr")
        assert not fsem.live(Region((0, 3, 4), (20, 4, 5))).any()
    np.testing.assert_allclose(read(output / "one" / "rgt.zarr"), read(output / "two" / "rgt.zarr"), atol=2e-3)


class StoppedError(Exception):
    pass


def test_a_stopped_prediction_of_samples_goes_on(tmp_path: Path) -> None:
    some, work, output = samples(tmp_path), tmp_path / "work", tmp_path / "predictions"
    write_volume_predictions(model(), some, tmp_path / "wanted", tmp_path / "elsewhere", DEFAULTS)

    def stop(what: str, done: int, total: int) -> None:
        if what == "two: predict" and done == total // 2:
            raise StoppedError

    with pytest.raises(StoppedError):
        write_volume_predictions(model(), some, output, work, DEFAULTS, stop)
    assert not output.exists()
    seen = []
    write_volume_predictions(model(), some, output, work, DEFAULTS, lambda what, done, total: seen.append(what))
    assert not [what for what in seen if what.startswith("one")]
    assert digests(output) == digests(tmp_path / "wanted")


def test_what_does_not_fit_the_network_is_refused(tmp_path: Path) -> None:
    volume.write_array(tmp_path / "a.zarr", noise(16, 16))
    image = volume.open(tmp_path / "a.zarr")
    with pytest.raises(FormatError, match=r"a\.zarr: expected 3 axes, as the model was trained on, found 16 x 16"):
        predict_image(model(), image, tmp_path / "out")
    with pytest.raises(InputError, match="expected a network that takes an image, found one that refines"):
        predict_image(model(ndim=2, refine=True), image, tmp_path / "out")
    volume.write_array(tmp_path / "b.zarr", np.full((16, 16), np.nan, np.float32))
    with pytest.raises(FormatError, match=r"b\.zarr: expected at least one live sample, found none"):
        predict_image(model(ndim=2), volume.open(tmp_path / "b.zarr"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_tiles_overlap_as_asked_and_never_wholly() -> None:
    assert tiling((64, 32), DEFAULTS).overlap == (16, 8)
    assert tiling((16, 16), DEFAULTS.model_copy(update={"overlap": 0.999})).overlap == (15, 15)
