"""Volumes in tiles: the same as whole, without seams, on one scale of RGT; a killed run ends with the same bytes."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import volume_helpers
from volume_helpers import (
    DIP,
    STRIKE,
    TILING,
    UNIT,
    Floats,
    digests,
    in_a_process,
    make_pieces_small,
    noise,
    pointwise,
    predict_and_die,
    predict_with_little_room,
    predictor,
    read,
)

from segwheel.domain.intensity import Normalization
from segwheel.domain.orientation import line_angle, normals
from segwheel.domain.rgt import decreasing_share, fit_affine, rescale
from segwheel.domain.synthesis.recipe import RECIPES
from segwheel.domain.synthesis.seismic import generate
from segwheel.errors import FormatError, InputError
from segwheel.formats import volume
from segwheel.formats.geometry import Axis, Geometry
from segwheel.learning.light_multitask import LightMultitaskNetwork
from segwheel.learning.multitask import MultitaskNetwork
from segwheel.learning.volume_inference import Predictor, VolumeTiling, network_predictor, predict_volume

SHAPE = (24, 41, 30)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    make_pieces_small(monkeypatch)


def stored(path: Path, values: Floats) -> volume.Volume:
    volume.write_array(path, values)
    return volume.open(path)


@pytest.mark.parametrize("window", ["gaussian", "cosine", "flat"])
@pytest.mark.parametrize(
    ("shape", "tile", "overlap"),
    [
        (SHAPE, (16, 16, 16), (4, 4, 4)),
        ((40, 20, 9), (16, 12, 16), (8, 0, 5)),  # narrower than a tile
        ((16, 16, 16), (16, 16, 16), (4, 4, 4)),  # a single tile
        ((90, 70), (32, 24), (8, 8)),  # a section
    ],
)
def test_tiles_of_a_pointwise_predictor_give_the_whole(
    tmp_path: Path, shape: tuple[int, ...], tile: tuple[int, ...], overlap: tuple[int, ...], window: str
) -> None:
    values = noise(*shape)
    tiling = VolumeTiling(tile, overlap, window, 3)
    image = stored(tmp_path / "image.zarr", values)
    paths = predict_volume(predictor(len(shape)), [image], tmp_path / "out", tiling)
    whole = pointwise(values) | {"rgt": rescale(values)}
    assert list(paths) == list(volume_helpers.ATTRIBUTES[len(shape)])
    for name, path in paths.items():
        found = read(path)
        assert np.isfinite(found).all()  # every voxel was written
        np.testing.assert_allclose(found, whole[name], atol=2e-5, err_msg=name)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(f"{name}.zarr" for name in paths)


def test_outputs_lie_where_the_image_does(tmp_path: Path) -> None:
    geometry = Geometry((Axis("depth", 0, 4, "ms"), Axis("inline", 100), Axis("crossline", 7, 2)))
    volume.write_array(tmp_path / "image.zarr", noise(*SHAPE), geometry)
    paths = predict_volume(predictor(), [volume.open(tmp_path / "image.zarr")], tmp_path, TILING)
    assert all(volume.open(path).geometry == geometry for path in paths.values())


def test_the_network_sees_normalised_samples_and_zeros_where_dead(tmp_path: Path) -> None:
    values = 5 + 2 * noise(*SHAPE)
    values[:, 3] = np.nan
    seen = []

    def apply(tiles: Floats) -> dict[str, Floats]:
        seen.append(tiles)
        return {"dhr": tiles[:, 0]}

    one = Predictor(apply, ("dhr",), (Normalization(5.0, 2.0),), "x")
    paths = predict_volume(one, [stored(tmp_path / "a.zarr", values)], tmp_path, TILING)
    np.testing.assert_allclose(read(paths["dhr"]), (values - 5) / 2, atol=1e-5)
    everything = np.concatenate([tiles.ravel() for tiles in seen])
    assert np.isfinite(everything).all()
    assert (everything == 0).any()


def test_dead_voxels_stay_dead_and_tiles_without_live_ones_are_not_computed(tmp_path: Path) -> None:
    values = noise(64, 20, 20)
    values[30:] = np.nan
    values[:, 0] = np.nan
    tiles = 0

    def apply(batch: Floats) -> dict[str, Floats]:
        nonlocal tiles
        tiles += len(batch)
        return dict(predictor().apply(batch))

    one = Predictor(apply, volume_helpers.ATTRIBUTES[3], (UNIT,), "x")
    paths = predict_volume(one, [stored(tmp_path / "a.zarr", values)], tmp_path, TILING)
    assert tiles == 3 * 4  # the layers that begin at 0, 12 and 24, of five
    for path in paths.values():
        np.testing.assert_array_equal(np.isnan(read(path)), np.isnan(values))
    rgt = read(paths["rgt"])
    assert np.nanmin(rgt) == 0
    assert np.nanmax(rgt) == 1
    assert set(np.unique(volume.open(paths["rgt"]).read(volume.Region.whole(rgt.shape))[np.isnan(values)])) == {0}


def test_a_dead_volume_gives_dead_volumes(tmp_path: Path) -> None:
    image = stored(tmp_path / "a.zarr", np.full(SHAPE, np.nan, np.float32))
    for path in predict_volume(predictor(), [image], tmp_path, TILING).values():
        assert np.isnan(read(path)).all()


def test_what_is_dead_in_one_input_of_a_refinement_is_dead(tmp_path: Path) -> None:
    first, second = noise(*SHAPE), noise(*SHAPE)
    first[0], second[:, :, 5] = np.nan, np.nan
    inputs = [stored(tmp_path / "a.zarr", first), stored(tmp_path / "b.zarr", second)]
    one = Predictor(lambda tiles: {"dhr": tiles.sum(1)}, ("dhr",), (UNIT, Normalization(0.0, 2.0)), "x")
    found = read(predict_volume(one, inputs, tmp_path, TILING)["dhr"])
    np.testing.assert_allclose(found, first + second / 2, atol=1e-5)
    with pytest.raises(FormatError, match="expected the grid of"):
        predict_volume(one, [inputs[0], stored(tmp_path / "c.zarr", noise(3, 4, 5))], tmp_path, TILING)


def test_dip_and_strike_are_averaged_as_lines(tmp_path: Path) -> None:
    """Tiles that say strike 1, dip 60 and strike 179, dip 120 mean nearly the same plane."""
    number = 0

    def apply(tiles: Floats) -> dict[str, Floats]:
        nonlocal number
        found = {name: np.empty(tiles[:, 0].shape, np.float32) for name in ("fsem", "fdip", "fstrike")}
        for i in range(len(tiles)):
            dip, strike = ((60, 1), (120, 179))[number % 2]
            chance = 0.9 if number % 2 else 0.8
            for name, value in (("fsem", chance), ("fdip", dip / 180 * chance), ("fstrike", strike / 180 * chance)):
                found[name][i] = value
            number += 1
        return found

    one = Predictor(apply, ("fsem", "fdip", "fstrike"), (UNIT,), "x")
    paths = predict_volume(one, [stored(tmp_path / "a.zarr", noise(*SHAPE))], tmp_path, TILING)
    fsem, fdip, fstrike = (read(paths[name]) for name in ("fsem", "fdip", "fstrike"))
    assert fsem.min() >= 0.8 - 1e-6
    assert fsem.max() <= 0.9 + 1e-6
    wrong = line_angle(normals(180 * fdip / fsem, 180 * fstrike / fsem), normals(60, 0)[:, None, None, None])
    assert wrong.max() < 1.01  # of the mean of the numbers it would be 90


def test_a_tile_that_sees_no_fault_has_no_say_in_its_orientation(tmp_path: Path) -> None:
    number = 0

    def apply(tiles: Floats) -> dict[str, Floats]:
        nonlocal number
        chance = np.where(np.arange(number, number + len(tiles)) % 2, 0.9, 1e-7)[:, None, None, None]
        number += len(tiles)
        fsem = np.broadcast_to(chance, tiles[:, 0].shape).astype(np.float32)
        dip = np.where(fsem > 0.5, np.float32(DIP / 180), np.float32(0.1))
        return {"fsem": fsem, "fdip": dip * fsem, "fstrike": np.float32(STRIKE / 180) * fsem}

    one = Predictor(apply, ("fsem", "fdip", "fstrike"), (UNIT,), "x")
    paths = predict_volume(one, [stored(tmp_path / "a.zarr", noise(*SHAPE))], tmp_path, TILING)
    fsem, fdip = read(paths["fsem"]), read(paths["fdip"])
    faults = fsem > 0.1
    assert np.abs(180 * fdip[faults] / fsem[faults] - DIP).max() < 0.1


def _faulted(shape: tuple[int, ...]) -> Floats:
    """RGT, bent and with a jump of 12 voxels across a dipping fault."""
    depth, inline, crossline = np.mgrid[: shape[0], : shape[1], : shape[2]].astype(np.float32)
    beyond = crossline > 20 + 0.4 * depth
    return rescale(depth + 4 * np.sin(inline / 9) + 0.1 * crossline + 12 * beyond)


@pytest.mark.parametrize("shape", [(40, 24, 60), (20, 90, 24)])
def test_rgt_of_tiles_on_scales_of_their_own_is_consistent_in_the_whole_volume(
    tmp_path: Path, shape: tuple[int, int, int]
) -> None:
    """Every tile gives RGT with a scale and an offset of its own, as a network does that stretches it to 0..1."""
    truth = _faulted(shape)
    rng = np.random.default_rng(1)

    def apply(tiles: Floats) -> dict[str, Floats]:
        scale, offset = rng.uniform(0.6, 1.7, (len(tiles), 1, 1, 1)), rng.normal(0, 0.5, (len(tiles), 1, 1, 1))
        return {"rgt": (scale * tiles[:, 0] + offset).astype(np.float32)}

    one = Predictor(apply, ("rgt",), (UNIT,), "x")
    tiling = replace(TILING, overlap=(6, 6, 6))
    found = read(predict_volume(one, [stored(tmp_path / "a.zarr", truth)], tmp_path, tiling)["rgt"])
    assert np.abs(found - truth).max() < 1e-3
    assert np.abs(np.diff(found - truth, axis=2)).max() < 1e-4  # no seams


def test_rgt_of_a_generated_volume_is_put_together_from_tiles_that_stretch_it(tmp_path: Path) -> None:
    """Networks are trained on cubes whose RGT is 0..1 in each, so that is what they give for a tile."""
    truth = generate((48, 40, 72), RECIPES["published"], 4).rgt

    def apply(tiles: Floats) -> dict[str, Floats]:
        return {"rgt": np.stack([rescale(tile[0]) for tile in tiles])}

    one = Predictor(apply, ("rgt",), (UNIT,), "x")
    tiling = VolumeTiling((24, 24, 24), (8, 8, 8), "gaussian", 2)
    found = read(predict_volume(one, [stored(tmp_path / "a.zarr", truth)], tmp_path, tiling)["rgt"])
    assert np.abs(found - truth).max() < 1e-3
    assert decreasing_share(found) <= decreasing_share(truth) + 1e-4


def test_rgt_survives_tiles_that_misplace_a_fault(tmp_path: Path) -> None:
    truth = _faulted((40, 24, 60))
    rng = np.random.default_rng(2)

    def apply(tiles: Floats) -> dict[str, Floats]:
        moved = np.stack([np.roll(tile[0], rng.integers(-2, 3), axis=2) for tile in tiles])
        scale, offset = rng.uniform(0.6, 1.7, (len(tiles), 1, 1, 1)), rng.normal(0, 0.5, (len(tiles), 1, 1, 1))
        return {"rgt": (scale * moved + offset).astype(np.float32)}

    one = Predictor(apply, ("rgt",), (UNIT,), "x")
    tiling = replace(TILING, overlap=(6, 6, 6))
    found = read(predict_volume(one, [stored(tmp_path / "a.zarr", truth)], tmp_path, tiling)["rgt"])
    scale, offset = fit_affine(found, truth)
    assert np.abs(scale * found + offset - truth).mean() < 0.02
    assert np.abs(scale * found[..., ::59] + offset - truth[..., ::59]).mean() < 0.03  # from end to end


class StoppedError(Exception):
    pass


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    """An image with dead traces, and what an uninterrupted prediction of it writes."""
    folder = tmp_path_factory.mktemp("finished")
    values = noise(*SHAPE)
    values[:, 7:9, 3] = np.nan
    with pytest.MonkeyPatch.context() as patch:
        make_pieces_small(patch)
        predict_volume(predictor(), [stored(folder / "image.zarr", values)], folder / "out", TILING)
        yield folder / "image.zarr", digests(folder / "out")


@pytest.mark.parametrize("stops", [(1,), (2, 3, 4), (5, 1), (9,), (12, 3)])
def test_a_stopped_run_goes_on_and_ends_with_the_same_bytes(
    tmp_path: Path, finished: tuple[Path, dict[str, str]], stops: tuple[int, ...]
) -> None:
    image = volume.open(finished[0])
    for stop in stops:
        calls = 0

        def progress(what: str, done: int, total: int, stop: int = stop) -> None:
            nonlocal calls
            calls += 1
            assert 0 < done <= total
            if calls > stop:
                raise StoppedError

        with pytest.raises(StoppedError):
            predict_volume(predictor(), [image], tmp_path, TILING, progress)
        assert not list(tmp_path.glob("[!.]*"))
    predict_volume(predictor(), [image], tmp_path, TILING)
    assert digests(tmp_path) == finished[1]


def test_a_continued_run_computes_only_what_is_missing(tmp_path: Path, finished: tuple[Path, dict[str, str]]) -> None:
    image, batches = volume.open(finished[0]), 0

    def counted(tiles: Floats) -> dict[str, Floats]:
        nonlocal batches
        batches += 1
        if batches == 7:
            raise StoppedError
        return dict(predictor().apply(tiles))

    one = replace(predictor(), apply=counted)
    with pytest.raises(StoppedError):
        predict_volume(one, [image], tmp_path, TILING)
    predict_volume(one, [image], tmp_path, TILING)
    first = batches
    assert digests(tmp_path) == finished[1]
    predict_volume(one, [image], tmp_path, TILING)  # nothing is missing
    assert batches == first
    total = 0

    def progress(what: str, done: int, of: int) -> None:
        nonlocal total
        total = of if what == "predict" else total

    predict_volume(replace(one, version="other"), [image], tmp_path, TILING, progress)
    # Six batches were kept; the seventh was computed twice, as it was not written.
    assert first == (batches - first) + 1
    assert total == 2 * 4 * 3  # tiles


@pytest.mark.parametrize("batches", [2, 7])
def test_a_killed_process_is_continued(tmp_path: Path, finished: tuple[Path, dict[str, str]], batches: int) -> None:
    assert in_a_process(predict_and_die, finished[0], tmp_path, batches) == -9
    assert not list(tmp_path.glob("[!.]*"))
    predict_volume(predictor(), [volume.open(finished[0])], tmp_path, TILING)
    assert digests(tmp_path) == finished[1]


def test_a_full_disk_is_one_sentence_and_what_was_done_is_gone_on_with(
    tmp_path: Path, finished: tuple[Path, dict[str, str]]
) -> None:
    output, says = tmp_path / "out", tmp_path / "says"
    assert in_a_process(predict_with_little_room, finished[0], output, 60_000, says) == 0
    assert says.read_text().startswith(f"{output}/rgt.zarr: expected room to write it, found none")
    assert not list(output.glob("[!.]*"))
    predict_volume(predictor(), [volume.open(finished[0])], output, TILING)
    assert digests(output) == finished[1]


def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    peaks = []
    for length in (128, 256):
        image = stored(tmp_path / f"{length}.zarr", noise(length, 16, 16))
        tracemalloc.start()
        predict_volume(predictor(), [image], tmp_path / f"out {length}", TILING)
        peaks.append(tracemalloc.get_traced_memory()[1] / 2**20)
        tracemalloc.stop()
    # The longer volume and its five outputs are 0.8 MiB larger.
    assert peaks[1] - peaks[0] < 0.15


def test_a_network_that_gives_no_numbers_is_refused(tmp_path: Path) -> None:
    one = Predictor(lambda tiles: {"dhr": tiles[:, 0] / 0}, ("dhr",), (UNIT,), "broken")
    with np.errstate(all="ignore"), pytest.raises(InputError, match="dhr of network broken: expected numbers"):
        predict_volume(one, [stored(tmp_path / "a.zarr", noise(*SHAPE))], tmp_path / "out", TILING)
    assert not list((tmp_path / "out").glob("[!.]*"))


@pytest.mark.parametrize("kind", [LightMultitaskNetwork, MultitaskNetwork])
@pytest.mark.parametrize("ndim", [2, 3])
def test_networks_become_predictors(
    tmp_path: Path, ndim: int, kind: type[LightMultitaskNetwork] | type[MultitaskNetwork]
) -> None:
    torch.manual_seed(0)
    one = network_predictor(kind(ndim, width=0.1), [UNIT])
    image = stored(tmp_path / "a.zarr", noise(*(24, 5, 18)[:ndim]))  # also narrower than they take it
    tiling = VolumeTiling((16,) * ndim, (4,) * ndim, "gaussian", 2)
    paths = predict_volume(one, [image], tmp_path, tiling)
    assert list(paths) == list(volume_helpers.ATTRIBUTES[ndim])
    found = {name: read(path) for name, path in paths.items()}
    assert all(np.isfinite(values).all() for values in found.values())
    assert 0 <= found["fsem"].min() <= found["fsem"].max() <= 1
    assert (found["fdip"] <= found["fsem"] + 1e-6).all()
