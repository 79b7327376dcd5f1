from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segwheel.axes import Region
from segwheel.errors import FormatError
from segwheel.formats import segy_import, volume
from segwheel.formats.segy_import import convert, runs
from segwheel.formats.segy_scan import Reading

MakeSegy = Callable[..., Path]
RNG = np.random.default_rng(0)
LINES = [(10 + 2 * i, 100 + j) for i in range(3) for j in range(4)]
SAMPLES = RNG.standard_normal((12, 6), dtype=np.float32)


def whole(path: Path) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    opened = volume.open(path)
    return opened.read_with_live(Region.whole(opened.shape))


@pytest.mark.parametrize("order", [[*range(12)], [*reversed(range(12))], [i % 3 * 4 + i // 3 for i in range(12)]])
def test_samples_are_where_their_numbers_say(make_segy: MakeSegy, tmp_path: Path, order: list[int]) -> None:
    path = make_segy([LINES[i] for i in order], SAMPLES[order])
    conversion = convert(path, tmp_path / "a.zarr")
    values, live = whole(tmp_path / "a.zarr")
    np.testing.assert_array_equal(values, SAMPLES.T.reshape(6, 3, 4))
    assert live.all()
    assert conversion.text() == "6 x 3 x 4: 12 traces, 0 missing, 0 dead"
    opened = volume.open(tmp_path / "a.zarr")
    assert opened.axes == ("depth", "inline", "crossline")
    assert opened.attributes["conversion"]["traces"] == 12


def test_blocks_and_runs_of_any_size_give_the_same(
    make_segy: MakeSegy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [(il, xl) for xl in range(70) for il in range(67)]  # crossline-sorted, several shards both ways
    samples = RNG.standard_normal((len(lines), 70), dtype=np.float32)
    monkeypatch.setattr(segy_import, "RUN_BYTES", 9000)
    monkeypatch.setattr(volume, "SHARD_ELEMENTS", 2**18)
    convert(make_segy(lines, samples), tmp_path / "a.zarr")
    np.testing.assert_array_equal(whole(tmp_path / "a.zarr")[0], samples.T.reshape(70, 70, 67).transpose(0, 2, 1))


def test_missing_dead_and_bad_samples_are_counted_and_not_live(make_segy: MakeSegy, tmp_path: Path) -> None:
    kept = [i for i in range(12) if i != 5]
    samples = SAMPLES.copy()
    samples[2] = 0  # silent
    samples[3, 1], samples[3, 4], samples[7, 0] = np.nan, np.inf, -np.inf
    samples[9, 2] = np.nan  # in a trace that its header calls dead
    flags = [2 if i == 9 else 1 for i in kept]
    conversion = convert(make_segy([LINES[i] for i in kept], samples[kept], fields={29: flags}), tmp_path / "a.zarr")
    expected = np.isfinite(samples)
    expected[[2, 5, 9]] = False
    values, live = whole(tmp_path / "a.zarr")
    np.testing.assert_array_equal(live, expected.T.reshape(6, 3, 4))
    np.testing.assert_array_equal(values, np.where(expected, samples, 0).T.reshape(6, 3, 4))
    assert conversion.text() == ("6 x 3 x 4: 11 traces, 1 missing, 2 dead, 3 NaN or infinite samples in 2 traces")


def test_a_fault_attribute_is_known_where_its_traces_are_zero(make_segy: MakeSegy, tmp_path: Path) -> None:
    dips = np.zeros_like(SAMPLES)
    dips[3, 2:4] = 0.4
    path = make_segy(LINES, dips, fields={29: [2 if i == 9 else 1 for i in range(12)]})
    assert convert(path, tmp_path / "a.zarr", silent_is_dead=False).dead == 1
    live = np.ones_like(dips, bool)
    live[9] = False
    np.testing.assert_array_equal(whole(tmp_path / "a.zarr")[1], live.T.reshape(6, 3, 4))


def test_doubles_beyond_float32_are_bad_samples(make_segy: MakeSegy, tmp_path: Path) -> None:
    samples = SAMPLES.astype(np.float64)
    samples[0, 0] = 1e300
    assert convert(make_segy(LINES, samples, code=6), tmp_path / "a.zarr").bad_samples == 1


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_dead_volume_is_refused(make_segy: MakeSegy, tmp_path: Path, value: float) -> None:
    path = make_segy(LINES, np.full((12, 6), value, dtype=np.float32))
    with pytest.raises(FormatError, match="expected at least one live sample, found 6 x 3 x 4: 12 traces, 0 missing"):
        convert(path, tmp_path / "a.zarr")
    assert [entry.name for entry in tmp_path.iterdir()] == ["made.sgy"]


def test_a_line_becomes_an_image(make_segy: MakeSegy, tmp_path: Path) -> None:
    convert(make_segy([(7, 20 - i) for i in range(12)], SAMPLES), tmp_path / "a.zarr", Reading(line=True))
    assert volume.open(tmp_path / "a.zarr").axes == ("depth", "crossline")
    np.testing.assert_array_equal(whole(tmp_path / "a.zarr")[0], SAMPLES[::-1].T)


@pytest.mark.parametrize("code", [5, 3, 16])
def test_labels_keep_silent_traces(make_segy: MakeSegy, tmp_path: Path, code: int) -> None:
    labels = RNG.choice([0, 1, 255], (12, 6)).astype(np.float32)
    labels[4] = 0
    flags = {29: [2 if i == 6 else 1 for i in range(11)]}
    conversion = convert(make_segy(LINES[:11], labels[:11], code=code, fields=flags), tmp_path / "a.zarr", labels=True)
    labels[[6, 11]] = 255
    opened = volume.open(tmp_path / "a.zarr")
    read = opened.read(Region.whole(opened.shape))
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, labels.T.reshape(6, 3, 4))
    assert (conversion.missing, conversion.dead) == (1, 1)


@pytest.mark.parametrize("value", [0.5, 2, -1, np.nan])
def test_other_labels_are_refused(make_segy: MakeSegy, tmp_path: Path, value: float) -> None:
    labels = np.ones((12, 6), dtype=np.float32)
    labels[3, 3] = value
    with pytest.raises(FormatError, match=f"expected labels 0, 1 and 255 .*found the sample {value:g}"):
        convert(make_segy(LINES, labels), tmp_path / "a.zarr", labels=True)
    assert not (tmp_path / "a.zarr").exists()


def test_progress_ends_with_all_traces(make_segy: MakeSegy, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    convert(make_segy(LINES, SAMPLES), tmp_path / "a.zarr", progress=lambda *numbers: told.append(numbers))
    assert told[-1] == (12, 12)


@given(st.permutations(range(20)), st.integers(1, 20), st.integers(1, 30))
def test_runs_cover_every_trace_once(order: list[int], kept: int, longest: int) -> None:
    traces = np.array([trace if trace < kept else -1 for trace in order])
    found = np.full(20, -1)
    for run in runs(traces, segy_import.RUN_BYTES // longest):
        assert run.count <= longest
        found[run.places] = np.arange(run.first, run.first + run.count)
    np.testing.assert_array_equal(found, traces)


def test_a_full_disk_leaves_nothing(make_segy: MakeSegy, tmp_path: Path, with_little_room: Callable[..., str]) -> None:
    path = make_segy(LINES, RNG.standard_normal((12, 20_000), dtype=np.float32))
    message = with_little_room(100_000, convert, path, tmp_path / "a.zarr")
    assert message.startswith(f"{tmp_path / 'a.zarr'}: expected room to write it")
    assert [entry.name for entry in tmp_path.iterdir()] == ["made.sgy"]
