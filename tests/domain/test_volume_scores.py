"""Scores of volumes, block by block, are those of the whole arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segwheel.domain import volume_scores
from segwheel.domain.faults import correlation, fault_dice, mean_normal_error, signal_to_noise, tolerant_iou
from segwheel.domain.rgt import rgt_scores
from segwheel.domain.volume_scores import score_volume
from segwheel.formats import volume

Arrays = dict[str, np.ndarray[Any, Any]]
RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volume_scores, "BLOCK_ELEMENTS", 7**3)


def made(shape: tuple[int, ...]) -> tuple[Arrays, Arrays]:
    """A prediction and sparse labels of noise; angles as parts of a half turn, predicted ones times the probability."""
    truth: Arrays = {"fsem": (RNG.random(shape) < 0.2).astype(np.uint8)}
    truth["fsem"][RNG.random(shape) < 0.4] = 255
    found: Arrays = {"fsem": RNG.random(shape)}
    for name in ("fdip", "fstrike")[: len(shape) - 1]:
        truth[name] = np.where(truth["fsem"] == 1, RNG.random(shape), 0)
        found[name] = RNG.random(shape) * found["fsem"]
    for name in ("rgt", "dhr"):
        truth[name] = RNG.standard_normal(shape)
        truth[name][RNG.random(shape) < 0.3] = np.nan
        found[name] = RNG.standard_normal(shape)
        found[name][:, 3] = np.nan
    found["fsem"][:, 3] = np.nan
    return found, truth


def stored(folder: Path, arrays: Arrays) -> dict[str, volume.Volume]:
    opened = {}
    for name, values in arrays.items():
        path = folder / f"{name}.zarr"
        volume.write_array(path, values if values.dtype == np.uint8 else values.astype(np.float32))
        opened[name] = volume.open(path)
    return opened


@pytest.mark.parametrize("shape", [(20, 17, 9), (31, 22)])
def test_blocks_add_up_to_the_whole(tmp_path: Path, shape: tuple[int, ...]) -> None:
    found, truth = made(shape)
    scores = score_volume(stored(tmp_path / "a", found), stored(tmp_path / "b", truth), 0.5, 2)
    live = np.isfinite(found["fsem"]) & (truth["fsem"] != 255)
    predicted, true = found["fsem"] >= 0.5, truth["fsem"] == 1
    assert scores["fault_dice"] == pytest.approx(fault_dice(predicted, true, live))
    assert scores["tolerant_iou"] == pytest.approx(tolerant_iou(predicted, true, 2, live))
    dips, strikes = (
        ([180 * np.clip(found[n] / found["fsem"], 0, 1), 180 * truth[n]] for n in ("fdip", "fstrike"))
        if (len(shape) == 3)
        else ([180 * np.clip(found["fdip"] / found["fsem"], 0, 1), 180 * truth["fdip"]], (None, None))
    )
    error = mean_normal_error(dips[0], strikes[0], dips[1], strikes[1], true, live)
    assert scores["normal_error"] == pytest.approx(error, rel=1e-4)
    for name in ("rgt", "dhr"):
        found[name], truth[name] = (np.asarray(one[name], np.float32) for one in (found, truth))
    known = {name: np.isfinite(found[name]) & np.isfinite(truth[name]) for name in ("rgt", "dhr")}
    whole = rgt_scores(found["rgt"], truth["rgt"], known["rgt"])
    assert (scores["rgt_mae"], scores["rgt_decreasing"]) == pytest.approx((whole.mae, whole.decreasing))
    assert scores["dhr_snr"] == pytest.approx(signal_to_noise(found["dhr"], truth["dhr"], known["dhr"]), abs=1e-6)
    assert scores["dhr_correlation"] == pytest.approx(correlation(found["dhr"], truth["dhr"], known["dhr"]), abs=1e-6)


def test_what_nothing_is_labelled_for_has_no_score(tmp_path: Path) -> None:
    found, truth = made((12, 12, 12))
    predicted = stored(tmp_path / "a", found)
    unlabelled = {"fsem": np.full((12, 12, 12), 255, np.uint8), "rgt": np.full((12, 12, 12), np.nan)}
    assert score_volume(predicted, stored(tmp_path / "b", unlabelled), 0.5, 2) == {}
    only = stored(tmp_path / "c", {"fsem": truth["fsem"]})
    assert list(score_volume(predicted, only, 0.5, 2)) == ["fault_dice", "tolerant_iou"]
    assert score_volume({}, only, 0.5, 2) == {}


def test_a_perfect_prediction(tmp_path: Path) -> None:
    _, truth = made((12, 12, 12))
    truth["fsem"][truth["fsem"] == 255] = 0
    found = truth | {"fsem": truth["fsem"].astype(np.float32), "rgt": np.sort(truth["rgt"], axis=0)}
    scores = score_volume(stored(tmp_path / "a", found), stored(tmp_path / "b", truth | {"rgt": found["rgt"]}), 0.5, 2)
    assert scores["fault_dice"] == scores["tolerant_iou"] == 1
    assert scores["normal_error"] == pytest.approx(0, abs=1e-2)
    assert scores["rgt_mae"] == scores["rgt_decreasing"] == 0
    assert scores["dhr_correlation"] == pytest.approx(1)
    assert "dhr_snr" not in scores  # infinite
