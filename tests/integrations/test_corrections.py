"""Corrected slices of volumes are taken in with where they came from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from segwheel.domain.corrections import mask_name, parse_mask_name, read_corrections, write_corrections
from segwheel.domain.index import write_index
from segwheel.domain.manifest import write_manifest
from segwheel.errors import FormatError, InputError, MissingError
from segwheel.formats import volume
from segwheel.formats.tiff import read_mask, write_image, write_mask
from segwheel.integrations.corrections import from_folder, simulated, take_in
from segwheel.params.volumes import GenerateVolumesParams, VolumeIngestParams
from segwheel.stages.ingest import ingest

SHAPE = (16, 12, 14)
GENERATED = VolumeIngestParams(generate=GenerateVolumesParams(count=4, shape=SHAPE, recipe="published", seed=0))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data of a generated flywheel, as its ingest stage left them."""
    monkeypatch.chdir(tmp_path)
    home = Path("data/seismic")
    write_index(home / "index.csv", [])
    write_corrections(home / "corrections.csv", [])
    run(home)
    return home


def run(home: Path) -> dict[str, dict[str, object]]:
    manifest = home / "manifest" / "all.csv"
    tables = (home / "index.csv", home / "corrections.csv", home / "samples", manifest, home / "qc.csv")
    result = ingest(*tables, GENERATED)
    result.raise_for_errors("ingest")
    return {str(row["basename"]): row for row in result.rows}


def queue(home: Path, *rows: tuple[str, str, int]) -> None:
    columns = ("basename", "axis", "index")
    write_manifest(home / "queue" / "review_queue.csv", [dict(zip(columns, row, strict=True)) for row in rows])


def test_the_simulated_annotator_gives_the_hidden_slices(home: Path) -> None:
    queue(home, ("volume_2", "inline", 5), ("volume_3", "crossline", 0), ("volume_2", "inline", 9))
    truth = volume.open(home / "samples/volume_2/fsem.zarr")
    everything = truth.read(volume.Region.whole(SHAPE))
    masks = simulated(Path(), "seismic", 2)
    assert list(masks) == [("volume_2", "inline", 5), ("volume_3", "crossline", 0)]
    np.testing.assert_array_equal(masks["volume_2", "inline", 5], everything[:, 5])
    calls = []
    taken = take_in(Path(), "seismic", masks, "simulated", lambda *call: calls.append(call))
    assert calls == [(Path(), home / "corrections")]
    assert read_corrections(home / "corrections.csv") == sorted(taken, key=lambda one: one.basename)
    assert taken[0].mask_path == "corrections/volume_2_inline_5_mask.tif"
    rows = run(home)
    merged = volume.open(Path(str(rows["volume_2"]["fsem_path"])))
    found = merged.read(volume.Region.whole(SHAPE))
    np.testing.assert_array_equal(found[:, 5], everything[:, 5])
    assert (np.delete(found, 5, axis=1) == 255).all()


def test_changes_are_counted_against_the_predicted_probability(home: Path) -> None:
    probability = np.full(SHAPE, 0.2, np.float32)
    probability[3, 5] = 0.9
    volume.write_array(home / "predictions" / "volume_2" / "fsem.zarr", probability)
    label = np.zeros((16, 14), np.uint8)
    label[3, :4], label[7] = 255, 255
    label[9, :2] = 1
    masks = {("volume_2", "inline", 5): label, ("volume_3", "inline", 5): label}
    first, second = take_in(Path(), "seismic", masks, "me", lambda *_: None)
    assert (first.pixels_changed, first.outcome, first.iteration) == (10 + 2, "edited", 1)
    assert second.pixels_changed is None


def test_a_folder_of_slices_is_taken_in(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "corrected"
    label = np.random.default_rng(0).choice(np.array([0, 1, 255], np.uint8), size=(12, 14))
    write_mask(folder / "volume_2_depth_15_mask.tif", label)
    masks = from_folder(Path(), "seismic", folder)
    assert list(masks) == [("volume_2", "depth", 15)]
    take_in(Path(), "seismic", masks, "me", lambda *_: None)
    np.testing.assert_array_equal(read_mask(home / "corrections" / "volume_2_depth_15_mask.tif"), label)


@pytest.mark.parametrize(
    ("name", "shape", "said"),
    [
        ("volume_9_inline_1", (16, 14), "has no image volume_9_inline_1"),
        ("volume_2_trace_1", (16, 14), "has no image volume_2_trace_1"),
        ("volume_2", (16, 14), "expected a slice across depth or inline or crossline, found no axis"),
        ("volume_2_inline_12", (16, 14), "expected inline 0 to 11, found index 12"),
        ("volume_2_inline_1", (14, 16), r"expected a mask of \(16, 14\), as inline 1 of volume_2, found \(14, 16\)"),
    ],
)
def test_slices_that_do_not_fit(home: Path, tmp_path: Path, name: str, shape: tuple[int, int], said: str) -> None:
    write_mask(tmp_path / "in" / f"{name}_mask.tif", np.zeros(shape, np.uint8))
    with pytest.raises(InputError, match=said):
        from_folder(Path(), "seismic", tmp_path / "in")


def test_a_clone_without_the_earlier_corrections_takes_nothing_in(home: Path) -> None:
    """DVC would forget those that are not here."""
    (home / "corrections.dvc").write_text("outs:\n- path: corrections\n  md5: 0.dir\n  nfiles: 2\n")
    queue(home, ("volume_2", "inline", 5))
    with pytest.raises(MissingError, match=r"folder with all of its 2 files \(0 are here\)"):
        take_in(Path(), "seismic", simulated(Path(), "seismic", 1), "me", lambda *_: None)
    assert not (home / "corrections").exists()


def test_nothing_to_take_in(home: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no such corrected mask"):
        from_folder(Path(), "seismic", tmp_path)
    queue(home, ("stranger", "inline", 5))
    with pytest.raises(InputError, match="no hidden truth of stranger"):
        simulated(Path(), "seismic", 1)


def test_an_image_has_no_slices(tmp_path: Path) -> None:
    home = tmp_path / "data" / "cells"
    write_image(home / "a.tif", np.zeros((4, 5), np.uint8))
    write_manifest(home / "manifest" / "all.csv", [{"basename": "a", "image_path": "data/cells/a.tif"}])
    write_mask(tmp_path / "in" / "a_inline_1_mask.tif", np.zeros((4, 5), np.uint8))
    with pytest.raises(FormatError, match=r"expected a mask of a\.tif, which is no volume, found inline 1"):
        from_folder(tmp_path, "cells", tmp_path / "in")


def test_names_of_masks() -> None:
    names = {"a", "a_inline_3", "b"}
    for key in (("a", "", None), ("a", "crossline", 12), ("a_inline_3", "", None), ("a_inline_3", "depth", 0)):
        assert parse_mask_name(mask_name(key), names) == key
    assert parse_mask_name("a_inline_4_mask.tif", names) == ("a", "inline", 4)
    assert parse_mask_name("c_mask.tif", names) is None
