from __future__ import annotations

from pathlib import Path

import pytest

from segwheel.domain.folders import apply_splits, find_pairs
from segwheel.errors import FormatError, ManifestError, MissingError


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def test_pairs_are_found_by_name(tmp_path: Path) -> None:
    names = ["a", "b ü", "ж_mask"]
    touch(
        tmp_path, *(f"images/{n}.tif" for n in names), *(f"masks/{n}_mask.tif" for n in names[:2]), "images/.DS_Store"
    )
    pairs, findings = find_pairs(tmp_path)
    assert findings == []
    assert [(p.basename, p.mask_path) for p in pairs] == [
        ("a", tmp_path / "masks/a_mask.tif"),
        ("b ü", tmp_path / "masks/b ü_mask.tif"),
        ("ж_mask", None),
    ]


def test_suffixes_of_all_kinds(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.TIF", "images/b.tiff", "masks/a_mask.tiff", "masks/b_mask.tif")
    pairs, findings = find_pairs(tmp_path)
    assert findings == []
    assert [p.mask_path is None for p in pairs] == [False, False]


@pytest.mark.parametrize(
    ("extra", "left", "said"),
    [
        ("images/a.tiff", ["b"], "expected one file for 'a', found a.tif and a.tiff"),
        ("masks/a_mask.tiff", ["b"], "expected one file for 'a', found a_mask.tif and a_mask.tiff"),
        ("masks/c_mask.tif", ["a", "b"], "images/c.tif: no such image;"),
        ("images/c.png", ["a", "b"], "c.png: expected a file <name>.tif, found .png"),
        ("masks/b.tif", ["a"], "expected a name <name>_mask.tif, found b.tif"),
        ("masks/_mask.tif", ["a", "b"], "part of a file name, found ''"),
    ],
)
def test_what_has_no_place_is_named(tmp_path: Path, extra: str, left: list[str], said: str) -> None:
    touch(tmp_path, "images/a.tif", "images/b.tif", "masks/a_mask.tif", "masks/b_mask.tif", extra)
    pairs, (finding,) = find_pairs(tmp_path)
    assert [p.basename for p in pairs] == left
    assert said in finding.message
    assert finding.status == "error"


def test_no_images(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no such folder"):
        find_pairs(tmp_path)
    (tmp_path / "images").mkdir()
    with pytest.raises(FormatError, match="found an empty folder"):
        find_pairs(tmp_path)


def splits(folder: Path, text: str) -> Path:
    path = folder / "splits.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_split_words(tmp_path: Path) -> None:
    names = "abcdefg"
    pairs, _ = find_pairs(touch(tmp_path, *(f"images/{n}.tif" for n in names)))
    words = ["labelled", "pool", "test", "gap", "", "Train", "val"]
    rows = "".join(f"{n},{word},g{n},0.{i + 1}\n" for i, (n, word) in enumerate(zip(names, words, strict=True)))
    given = apply_splits(pairs, splits(tmp_path, "name,split,group,pixel_size_um\n" + rows))
    assert [p.split for p in given] == ["train", "pool", "test", "unused", "", "train", "val"]
    assert (given[1].group, given[1].pixel_size_um) == ("gb", 0.2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,split\na,pool\n", "found no row for b"),
        ("basename,split\na,pool\nb,pool\nc,pool\n", "found no image for c"),
        ("name,split\na,pool\na,pool\nb,pool\n", "splits.csv:3: expected each name once"),
        ("name,set\na,pool\n", "expected columns split"),
        ("file,split\na,pool\n", "expected a column name or basename"),
        ("name,split,pixel_size_um\na,pool,tiny\nb,pool,1\n", "splits.csv:2: expected a positive pixel_size_um"),
    ],
)
def test_splits_that_do_not_fit(tmp_path: Path, text: str, said: str) -> None:
    pairs, _ = find_pairs(touch(tmp_path, "images/a.tif", "images/b.tif"))
    with pytest.raises(ManifestError) as caught:
        apply_splits(pairs, splits(tmp_path, text))
    assert said in str(caught.value)
