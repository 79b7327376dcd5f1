"""Volumes are taken in as they are, with what is wrong named, and labelled by corrected slices."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import segyio

from segwheel.axes import Region
from segwheel.domain import index
from segwheel.domain.corrections import Correction, write_corrections
from segwheel.domain.folders import Pair
from segwheel.domain.quality import ValidationResult
from segwheel.domain.volume_files import RawReading, find_volumes
from segwheel.domain.volume_patches import cut_volume_patches
from segwheel.errors import FormatError, ManifestError, MissingError, PartialError
from segwheel.formats import raw_cube, volume
from segwheel.formats.files import content_md5
from segwheel.formats.patch_store import open_patches
from segwheel.formats.tiff import write_mask
from segwheel.params.sections import SplitParams
from segwheel.params.volumes import GenerateVolumesParams, VolumeIngestParams, VolumePatchParams
from segwheel.stages.ingest import ingest
from segwheel.stages.split import split

SHAPE = (12, 10, 11)
IMPORTED = VolumeIngestParams(generate=None)
RNG = np.random.default_rng(0)


def noise(shape: tuple[int, ...] = SHAPE) -> np.ndarray[Any, Any]:
    return RNG.normal(2, 3, shape).astype(np.float32)


def table(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return {row["basename"]: row for row in csv.DictReader(file)}


def whole(path: str | Path) -> np.ndarray[Any, Any]:
    opened = volume.open(Path(path))
    return opened.read(Region.whole(opened.shape))


class Flywheel:
    """A flywheel of volumes in the working directory, without DVC."""

    def __init__(self, home: Path) -> None:
        self.home, self.raw = home, home / "raw"
        for folder in ("volumes", "labels"):
            (self.raw / folder).mkdir(parents=True)
        self.splits: dict[str, str] = {}
        self.corrections: list[Correction] = []

    def add(self, name: str, split: str = "", **arrays: np.ndarray[Any, Any]) -> None:
        self.splits[name] = split
        for what, values in arrays.items():
            folder, ending = ("volumes", "") if what == "image" else ("labels", f"_{what}")
            np.save(self.raw / folder / f"{name}{ending}.npy", values)

    def correct(self, name: str, axis: str, number: int | None, label: np.ndarray[Any, Any], **changes: Any) -> None:
        values: dict[str, Any] = {
            "basename": name, "axis": axis, "index": number, "mask_path": "", "mask_md5": "", "annotator": "me",
            "corrected_at": f"2026-01-01T00:00:{len(self.corrections):02}+00:00", "lead_time_s": None,
            "outcome": "edited", "model_version": "", "pixels_changed": 3, "iteration": 1,
        }  # fmt: skip
        path = self.home / "corrections" / Correction(**values).mask_name
        write_mask(path, label)
        values |= {"mask_path": f"corrections/{path.name}", "mask_md5": content_md5(path)}
        self.corrections.append(Correction(**(values | changes)))

    def write_index(self, reading: RawReading | None = None) -> None:
        pairs, findings = find_volumes(self.raw)
        assert findings == []
        given = [Pair(one.basename, one.image_path, one.labels, split=self.splits[one.basename]) for one in pairs]
        details = (reading or RawReading()).details()
        index.write_index(self.home / "index.csv", [index.entry(pair, self.home, details) for pair in given])

    def ingest(self, reading: RawReading | None = None, params: VolumeIngestParams = IMPORTED) -> ValidationResult:
        if not (self.home / "index.csv").exists():
            self.write_index(reading)
        write_corrections(self.home / "corrections.csv", self.corrections)
        names = ("index.csv", "corrections.csv", "samples", "all.csv", "qc.csv")
        return ingest(*(self.home / name for name in names), params)  # type: ignore[arg-type]

    def rows(self) -> dict[str, dict[str, str]]:
        return table(self.home / "all.csv")


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Flywheel:
    monkeypatch.chdir(tmp_path)
    return Flywheel(Path("data/survey"))


def faults() -> np.ndarray[Any, Any]:
    return (RNG.random(SHAPE) > 0.8).astype(np.uint8)


def test_files_of_every_kind_become_volumes(wheel: Flywheel, shared_data: Path) -> None:
    seen = noise()
    wheel.add("npy", "train", image=seen.astype(np.float64), rgt=noise(), fsem=faults())
    raw_cube.write(wheel.raw / "volumes" / "raw.bin", seen)
    raw_cube.write(wheel.raw / "labels" / "raw_fsem.bin", faults().astype(np.float32))
    volume.write_array(wheel.raw / "volumes" / "zarr.zarr", seen)
    shutil.copy(shared_data / "seismic/segy/segyio/small.sgy", wheel.raw / "volumes" / "segy.sgy")
    wheel.splits |= {"raw": "train", "zarr": "", "segy": ""}
    result = wheel.ingest(RawReading(shape=SHAPE))
    result.raise_for_errors("ingest")
    rows = wheel.rows()
    for name in ("npy", "raw", "zarr"):
        np.testing.assert_array_equal(whole(rows[name]["image_path"]), seen)
    assert rows["segy"]["shape"] == "50 x 5 x 5"
    assert rows["npy"]["image_path"] == "data/survey/samples/npy/image.zarr"
    assert rows["raw"]["fsem_path"] == "data/survey/samples/raw/fsem.zarr"
    assert whole(rows["raw"]["fsem_path"]).dtype == np.uint8
    assert (rows["npy"]["rgt_path"], rows["npy"]["dhr_path"]) == ("data/survey/samples/npy/rgt.zarr", "")
    assert (rows["npy"]["labelled_share"], rows["npy"]["live_share"]) == ("1.0", "1.0")
    assert rows["segy"]["image_md5"] == content_md5(wheel.raw / "volumes" / "segy.sgy")


def segy(path: Path, values: np.ndarray[Any, Any], first_inline: int = 1) -> None:
    """Write [depth, inline, crossline] as a SEG-Y file."""
    spec = segyio.spec()
    spec.sorting, spec.format, spec.samples = 2, 5, range(0, 4 * values.shape[0], 4)
    spec.ilines = range(first_inline, first_inline + values.shape[1])
    spec.xlines = range(1, 1 + values.shape[2])
    with segyio.create(path, spec) as file:
        for number, trace in enumerate(values.reshape(len(values), -1).T):
            file.header[number] = {
                189: first_inline + number // values.shape[2], 193: 1 + number % values.shape[2],
            }  # fmt: skip
            file.trace[number] = np.ascontiguousarray(trace, dtype=np.float32)


def test_labels_in_segy_are_background_where_traces_are_zero(wheel: Flywheel) -> None:
    seen, label = noise(), faults()
    label[:, :4], label[2, 0, 0] = 0, 255
    for name in ("a", "b"):
        wheel.splits[name] = "train"
        segy(wheel.raw / "volumes" / f"{name}.sgy", seen, 100)
    segy(wheel.raw / "labels" / "a_fsem.sgy", label, 100)
    segy(wheel.raw / "labels" / "b_fsem.sgy", label, 101)
    (finding, *_) = wheel.ingest().findings
    np.testing.assert_array_equal(whole(wheel.rows()["a"]["fsem_path"]), label)
    assert list(wheel.rows()) == ["a"]
    assert "raw/labels/b_fsem.sgy: expected the grid of data/survey/raw/volumes/b.sgy" in finding.message
    assert "inline 101..110" in finding.message


def test_labels_without_a_geometry_lie_on_their_image(wheel: Flywheel) -> None:
    segy(wheel.raw / "volumes" / "a.sgy", noise(), 100)
    wheel.add("a", "train", fsem=faults(), rgt=noise())
    wheel.ingest().raise_for_errors("ingest")
    row = wheel.rows()["a"]
    image, *labels = (volume.open(Path(row[f"{name}_path"])) for name in ("image", "fsem", "rgt"))
    assert all(label.geometry.axes == image.geometry.axes for label in labels)
    assert image.geometry.axes[1].first == 100


def test_truth_of_the_pool_is_kept_and_not_named(wheel: Flywheel) -> None:
    for name in ("pool", "unused", "train"):
        wheel.add(name, name, image=noise(), fsem=faults(), rgt=noise())
    wheel.ingest().raise_for_errors("ingest")
    rows = wheel.rows()
    assert {name for name, row in rows.items() if row["fsem_path"] or row["rgt_path"]} == {"train"}
    assert not any(rows["pool"][column] for column in ("labelled_voxels", "fsem_coverage"))
    hidden = {one.basename: one for one in index.read_index(wheel.home / "samples" / "index.csv")}["pool"]
    assert set(hidden.labels) == {"rgt", "fsem"}
    assert (wheel.home / "samples" / hidden.labels["fsem"].path).is_dir()


def test_corrected_slices_label_a_pool_volume(wheel: Flywheel) -> None:
    wheel.add("a", "pool", image=noise(), fsem=faults())
    first, second = (RNG.choice(np.array([0, 1, 255], np.uint8), size=shape) for shape in ((12, 11), (10, 11)))
    wheel.correct("a", "inline", 3, first)
    wheel.correct("a", "depth", 5, second, iteration=2)
    result = wheel.ingest()
    result.raise_for_errors("ingest")
    row = wheel.rows()["a"]
    expected = np.full(SHAPE, 255, np.uint8)
    expected[:, 3] = first
    expected[5] = np.where(second == 255, expected[5], second)
    np.testing.assert_array_equal(whole(row["fsem_path"]), expected)
    assert (row["split"], row["corrected"], row["corrected_slices"]) == ("train", "2", "2")
    assert int(row["labelled_voxels"]) == (expected != 255).sum()
    (finding,) = result.findings
    assert finding.status == "warning"
    assert "a_depth_5_mask.tif" in finding.message
    assert "differ from data/survey/corrections/a_inline_3_mask.tif" in finding.message


def test_a_correction_overrides_imported_labels_and_a_test_stays_a_test(wheel: Flywheel) -> None:
    given = faults()
    wheel.add("a", "test", image=noise(), fsem=given)
    wheel.correct("a", "crossline", 10, 1 - given[:, :, 10])
    wheel.ingest().raise_for_errors("ingest")
    row = wheel.rows()["a"]
    given[:, :, 10] = 1 - given[:, :, 10]
    np.testing.assert_array_equal(whole(row["fsem_path"]), given)
    assert (row["split"], row["labelled_share"]) == ("test", "1.0")


def test_corrected_voxels_are_what_patches_are_made_of(wheel: Flywheel) -> None:
    seen = noise()
    wheel.add("a", "pool", image=seen)
    label = RNG.integers(0, 2, (12, 11)).astype(np.uint8)
    wheel.correct("a", "inline", 6, label)
    wheel.ingest().raise_for_errors("ingest")
    ratios = SplitParams(seed=0, train_ratio=0.6, val_ratio=0.2, test_ratio=0.2)
    assert split(wheel.home / "all.csv", Path("splits"), ratios).counts == {"train": 1, "pool": 1}
    params = {"shape": SHAPE, "patches_per_volume": 2, "validation_patches_per_volume": 1, "positive_ratio": 0.5}
    values = VolumePatchParams.model_validate(params | {"generated": None, "seed": 1})
    cut_volume_patches(Path("splits/train.csv"), Path("splits/val.csv"), Path(), Path("patches"), ["fault"], values)
    patch, targets = open_patches(Path("patches/train.zarr"))[0]
    np.testing.assert_allclose(patch, (seen - seen.mean()) / seen.std(), atol=1e-4)
    expected = np.full(SHAPE, 255, np.uint8)
    expected[:, 6] = label
    np.testing.assert_array_equal(targets["fsem"], expected)


def test_a_section_goes_the_same_way(wheel: Flywheel) -> None:
    wheel.add("line", "pool", image=noise((20, 30)))
    label = RNG.integers(0, 2, (20, 30)).astype(np.uint8)
    wheel.correct("line", "", None, label)
    wheel.ingest().raise_for_errors("ingest")
    row = wheel.rows()["line"]
    np.testing.assert_array_equal(whole(row["fsem_path"]), label)
    assert (row["shape"], row["split"], row["labelled_share"]) == ("20 x 30", "train", "1.0")


def test_bad_samples_are_counted_and_silent_traces_are_dead(wheel: Flywheel) -> None:
    seen = noise()
    seen[3, 4, 5], seen[0, 0, 0] = np.nan, np.inf
    seen[:, 9] = 0
    wheel.add("a", image=seen)
    result = wheel.ingest()
    result.raise_for_errors("ingest")
    (finding,) = result.findings
    assert finding.message == "data/survey/raw/volumes/a.npy: 2 NaN or infinite samples, which count as dead"
    row = wheel.rows()["a"]
    assert row["bad_samples"] == "2"
    assert float(row["live_share"]) == pytest.approx(0.9 - 2 / seen.size, abs=1e-6)
    assert not volume.open(Path(row["image_path"])).live(Region((0, 9, 0), (12, 10, 11))).any()


def dead(wheel: Flywheel) -> None:
    np.save(wheel.raw / "volumes" / "a.npy", np.zeros(SHAPE))


def truncated(wheel: Flywheel) -> None:
    path = wheel.raw / "volumes" / "a.npy"
    path.write_bytes(path.read_bytes()[:-100])


def truncated_cube(wheel: Flywheel) -> None:
    (wheel.raw / "volumes" / "a.npy").unlink()
    (wheel.raw / "volumes" / "a.bin").write_bytes(bytes(100))


def another_geometry(wheel: Flywheel) -> None:
    np.save(wheel.raw / "labels" / "a_fsem.npy", np.zeros((12, 10, 10)))


def a_section_for_a_volume(wheel: Flywheel) -> None:
    np.save(wheel.raw / "labels" / "a_fsem.npy", np.zeros((12, 10)))


def other_values(wheel: Flywheel) -> None:
    np.save(wheel.raw / "labels" / "a_fsem.npy", np.full(SHAPE, 2.0))


def nothing_labelled(wheel: Flywheel) -> None:
    np.save(wheel.raw / "labels" / "a_fsem.npy", np.full(SHAPE, 255.0))


def degrees(wheel: Flywheel) -> None:
    np.save(wheel.raw / "labels" / "a_fdip.npy", np.full(SHAPE, 75.0))


def no_labels(wheel: Flywheel) -> None:
    (wheel.raw / "labels" / "a_fsem.npy").unlink()


@pytest.mark.parametrize(
    ("spoil", "file", "said"),
    [
        (dead, "volumes/a.npy", "expected at least one live sample, found 0 NaN or infinite, the rest zeros"),
        (truncated, "volumes/a.npy", "expected a NumPy array"),
        (truncated_cube, "volumes/a.bin", "expected 12 x 10 x 11 float32 samples = 5280 bytes, found 100 bytes"),
        (another_geometry, "labels/a_fsem.npy", "expected the grid of data/survey/raw/volumes/a.npy"),
        (a_section_for_a_volume, "labels/a_fsem.npy", "expected the grid of data/survey/raw/volumes/a.npy"),
        (other_values, "labels/a_fsem.npy", "expected labels 0, 1 and 255 (unlabelled), found the value 2"),
        (nothing_labelled, "labels/a_fsem.npy", "found labels that are unlabelled everywhere"),
        (degrees, "labels/a_fdip.npy", "expected angles / 180, from 0 to 1, found the value 75"),
        (no_labels, "volumes/a.npy", "expected labels, its split is train, found none"),
    ],
)
def test_a_spoilt_sample_is_named_and_left_out(
    wheel: Flywheel, spoil: Callable[[Flywheel], None], file: str, said: str
) -> None:
    for name in ("a", "b"):
        wheel.add(name, "train", image=noise(), fsem=faults())
    spoil(wheel)
    result = wheel.ingest(RawReading(shape=SHAPE))
    (finding,) = result.findings
    assert finding.message.startswith(f"data/survey/raw/{file}: ")
    assert said in finding.message
    assert list(wheel.rows()) == ["b"]
    assert [path.name for path in (wheel.home / "samples").iterdir() if path.is_dir()] == ["b"]
    with pytest.raises(PartialError, match=r"ingest: 1 of 2 failed \(a\)"):
        result.raise_for_errors("ingest")


def test_changed_content_is_an_error_of_that_sample(wheel: Flywheel) -> None:
    for name in ("a", "b"):
        wheel.add(name, image=noise())
    wheel.write_index()
    wheel.add("a", image=noise())
    (finding,) = wheel.ingest().findings
    assert "a.npy: expected MD5" in finding.message
    assert list(wheel.rows()) == ["b"]


def test_labels_without_a_fault_are_doubted(wheel: Flywheel) -> None:
    wheel.add("a", "train", image=noise(), fsem=np.where(faults(), 255, 0))
    result = wheel.ingest()
    result.raise_for_errors("ingest")
    assert "no voxel is labelled as a fault (1)" in result.findings[0].message


@pytest.mark.parametrize(
    ("axis", "number", "shape", "said"),
    [
        ("inline", 10, (12, 11), "expected inline 0 to 9, found index 10"),
        ("inline", 2, (12, 10), "expected a mask of (12, 11), as inline 2, found (12, 10)"),
        ("", None, (12, 11), "expected a slice across depth or inline or crossline, found no axis"),
    ],
)
def test_slices_that_do_not_fit(
    wheel: Flywheel, axis: str, number: int | None, shape: tuple[int, int], said: str
) -> None:
    wheel.add("a", "pool", image=noise())
    wheel.correct("a", axis, number, np.zeros(shape, np.uint8))
    (finding,) = wheel.ingest().findings
    assert finding.message.startswith("data/survey/corrections/a_")
    assert said in finding.message


def test_files_that_are_not_on_disk(wheel: Flywheel) -> None:
    wheel.add("a", "pool", image=noise())
    wheel.correct("a", "inline", 1, np.zeros((12, 11), np.uint8))
    (wheel.home / "corrections" / "a_inline_1_mask.tif").unlink()
    with pytest.raises(MissingError, match=r"no such file; `dvc pull data/survey/corrections\.dvc`"):
        wheel.ingest()
    (wheel.raw / "volumes" / "a.npy").unlink()
    with pytest.raises(MissingError, match=r"a\.npy: no such file; `dvc pull data/survey/raw\.dvc`"):
        wheel.ingest()


def test_a_stranger_is_not_corrected(wheel: Flywheel) -> None:
    wheel.add("a", image=noise())
    wheel.correct("b", "inline", 1, np.zeros((12, 11), np.uint8))
    with pytest.raises(ManifestError, match="expected corrections of samples of this flywheel, found b"):
        wheel.ingest()
    assert not (wheel.home / "samples").exists()


def test_a_generated_flywheel(wheel: Flywheel) -> None:
    index.write_index(wheel.home / "index.csv", [])
    with pytest.raises(ManifestError, match="expected samples, found no row"):
        wheel.ingest()
    made = GenerateVolumesParams(count=4, shape=(16, 12, 14), recipe="published", seed=3)
    wheel.ingest(params=VolumeIngestParams(generate=made)).raise_for_errors("ingest")
    rows = wheel.rows()
    before = content_md5(wheel.home / "samples")
    assert [row["split"] for row in rows.values()] == ["train", "pool", "pool", "test"]
    assert [bool(row["fstrike_path"]) for row in rows.values()] == [True, False, False, True]
    truth = whole(wheel.home / "samples" / "volume_2" / "fsem.zarr")
    wheel.correct("volume_2", "inline", 5, truth[:, 5])
    wheel.ingest(params=VolumeIngestParams(generate=made)).raise_for_errors("ingest")
    row = wheel.rows()["volume_2"]
    np.testing.assert_array_equal(whole(row["fsem_path"])[:, 5], truth[:, 5])
    assert (row["split"], row["rgt_path"], row["corrected_slices"]) == ("train", "", "1")
    shutil.rmtree(wheel.home / "samples" / "volume_2" / "corrected.zarr")
    assert content_md5(wheel.home / "samples") == before


def test_a_generated_section_has_no_strike(wheel: Flywheel) -> None:
    index.write_index(wheel.home / "index.csv", [])
    made = GenerateVolumesParams(count=1, shape=(32, 48), recipe="field", seed=3)
    wheel.ingest(params=VolumeIngestParams(generate=made)).raise_for_errors("ingest")
    (row,) = wheel.rows().values()
    assert (row["split"], bool(row["fdip_path"]), row["fstrike_path"]) == ("train", True, "")


def test_what_is_in_a_folder(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="volumes: no such folder"):
        find_volumes(tmp_path)
    (tmp_path / "volumes").mkdir()
    with pytest.raises(FormatError, match="expected volumes named <name> with one of .sgy"):
        find_volumes(tmp_path)
    (tmp_path / "labels").mkdir()
    for name in ("volumes/a.sgy", "volumes/a_b.npy", "labels/a_b_fsem.zarr", "labels/a_rgt.sgy", "volumes/.hidden"):
        (tmp_path / name).touch()
    pairs, findings = find_volumes(tmp_path)
    assert ([(one.basename, list(one.labels)) for one in pairs], findings) == ([("a", ["rgt"]), ("a_b", ["fsem"])], [])
    for name in ("volumes/notes.txt", "volumes/a.npy", "labels/a_mask.npy", "labels/c_fsem.npy"):
        (tmp_path / name).touch()
    _, findings = find_volumes(tmp_path)
    said = " ".join(finding.message for finding in findings)
    for words in ("notes.txt: expected one of", "found a.npy and a.sgy", "found a_mask", "found c_fsem"):
        assert words in said
    assert [one.basename for one in find_volumes(tmp_path / "volumes" / "a.sgy")[0]] == ["a"]
