from __future__ import annotations

from pathlib import Path

import pytest

from segwheel.domain.manifest import read_manifest, read_table, write_manifest
from segwheel.errors import InputError, ManifestError, MissingError
from segwheel.params.sections import SplitParams
from segwheel.stages.split import split

PARAMS = SplitParams(seed=42, train_ratio=0.6, val_ratio=0.2, test_ratio=0.2)


def row(name: str, mask: bool = True, **more: object) -> dict[str, object]:
    return {
        "basename": name, "image_path": f"{name}.tif", "mask_path": f"{name}_mask.tif" if mask else "",
        "group": "", "split": "", "mask_coverage": len(name) / 10 if mask else None, "extra": "kept",
    } | more  # fmt: skip


def names(folder: Path) -> dict[str, set[str]]:
    return {
        name: {cells["basename"] for _, cells in read_table(folder / f"{name}.csv", ())}
        for name in ("train", "val", "test", "pool")
    }


def test_each_split_has_its_rows(tmp_path: Path) -> None:
    rows = [*(row(f"s{i}") for i in range(6)), row("p", mask=False), row("u", split="unused"), row("c", split="train")]
    write_manifest(tmp_path / "all.csv", rows)
    result = split(tmp_path / "all.csv", tmp_path, PARAMS)
    assert result.counts == {"train": 5, "val": 1, "test": 1, "pool": 1, "unused": 1}
    written = names(tmp_path)
    assert written["pool"] == {"p"}
    assert "c" in written["train"]
    assert sum(map(len, written.values())) == 8
    (_, cells), *_ = read_table(tmp_path / "train.csv", ())
    assert (cells["split"], cells["extra"]) == ("train", "kept")
    assert len(read_manifest(tmp_path / "train.csv", tmp_path, targets=("mask",))) == 5


def test_an_existing_test_set_is_honoured(tmp_path: Path) -> None:
    write_manifest(tmp_path / "all.csv", [row(f"s{i}") for i in range(6)])
    split(tmp_path / "all.csv", tmp_path, PARAMS)
    test = names(tmp_path)["test"]
    write_manifest(tmp_path / "all.csv", [row(f"s{i}") for i in range(30)])
    split(tmp_path / "all.csv", tmp_path, PARAMS.model_copy(update={"seed": 7}))
    assert names(tmp_path)["test"] == test
    assert len(names(tmp_path)["train"]) == 22


def test_a_test_image_that_is_gone_cannot_come_back_as_a_training_image(tmp_path: Path) -> None:
    write_manifest(tmp_path / "all.csv", [row(f"s{i}") for i in range(6)])
    split(tmp_path / "all.csv", tmp_path, PARAMS)
    before, (tested,) = (tmp_path / "test.csv").read_bytes(), names(tmp_path)["test"]
    write_manifest(tmp_path / "all.csv", [row(f"s{i}") for i in range(6) if f"s{i}" != tested])
    with pytest.raises(ManifestError, match=f"every member of the test set in .*, found no {tested}"):
        split(tmp_path / "all.csv", tmp_path, PARAMS)
    assert (tmp_path / "test.csv").read_bytes() == before


def test_the_same_again_writes_the_same(tmp_path: Path) -> None:
    write_manifest(tmp_path / "all.csv", [row(f"s{i}") for i in range(9)])
    written = []
    for folder in ("one", "two"):
        split(tmp_path / "all.csv", tmp_path / folder, PARAMS)
        written.append({path.name: path.read_bytes() for path in (tmp_path / folder).iterdir()})
    assert written[0] == written[1]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([row("a"), row("a")], "all.csv:3: expected each basename once"),
        ([row("a"), row("b", split="training")], "all.csv:3: expected a split"),
        ([row("a", mask=False, split="train")], "expected labels of each sample in training, found none for a"),
        ([row("a", mask_coverage="much")], "expected a number as mask_coverage of a"),
        ([], "expected samples, found no row"),
        ([{"basename": "a", "image_path": "a.tif"}], "expected columns mask_coverage or fsem_coverage"),
    ],
)
def test_manifests_that_cannot_be_split(tmp_path: Path, rows: list[dict[str, object]], said: str) -> None:
    write_manifest(tmp_path / "all.csv", rows)
    with pytest.raises(ManifestError) as caught:
        split(tmp_path / "all.csv", tmp_path / "out", PARAMS)
    assert said in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_no_manifest_and_no_sense(tmp_path: Path) -> None:
    with pytest.raises(MissingError):
        split(tmp_path / "all.csv", tmp_path, PARAMS)
    write_manifest(tmp_path / "all.csv", [row("a")])
    with pytest.raises(InputError, match="split ratios"):
        split(tmp_path / "all.csv", tmp_path, PARAMS.model_copy(update={"val_ratio": 0.5}))


def test_a_volume_labelled_in_part_trains_and_waits(tmp_path: Path) -> None:
    def volume(name: str, share: object, **more: object) -> dict[str, object]:
        cells = {"fsem_path": f"{name}.zarr" if share else "", "labelled_share": share, "fsem_coverage": ""}
        return {"basename": name, "image_path": "i.zarr", "rgt_path": "", "split": ""} | cells | more

    rows = [
        volume("whole", 1.0, split="train"),
        volume("part", 0.02, split="train"),
        volume("none", ""),
        volume("tested", 0.5, split="test"),
        volume("rgt", "", rgt_path="t.zarr", split="val"),
    ]
    write_manifest(tmp_path / "all.csv", rows)
    assert split(tmp_path / "all.csv", tmp_path, PARAMS).counts == {"train": 2, "val": 1, "test": 1, "pool": 3}
    written = names(tmp_path)
    assert written["train"] == {"whole", "part"}
    assert written["pool"] == {"part", "none", "rgt"}
    assert written["test"] == {"tested"}
