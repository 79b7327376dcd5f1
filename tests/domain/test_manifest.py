from __future__ import annotations

from pathlib import Path

import pytest

from segwheel.domain.manifest import COLUMNS, read_manifest, read_table, write_manifest
from segwheel.errors import ManifestError, MissingError

HEADER = "basename,image_path,mask_path,group,split,pixel_size_um\n"


def manifest(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "all.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_rows_become_samples(tmp_path: Path) -> None:
    path = manifest(tmp_path, HEADER + "a,images/a.tif,masks/a_mask.tif,g,train,0.5\nß ü,images/ß ü.tif,,,pool,\n")
    first, second = read_manifest(path, tmp_path)
    assert first.image_path == tmp_path / "images/a.tif"
    assert first.targets == {"mask": tmp_path / "masks/a_mask.tif"}
    assert (first.group, first.split, first.pixel_size_um) == ("g", "train", 0.5)
    assert (second.basename, second.image_path) == ("ß ü", tmp_path / "images/ß ü.tif")
    assert (second.targets, second.group, second.pixel_size_um) == ({}, "ß ü", None)


def test_two_columns_are_enough_and_the_working_directory_is_the_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (sample,) = read_manifest(manifest(tmp_path, "image_path,basename\na.tif,a\n"))
    assert sample.image_path == tmp_path / "a.tif"
    assert sample.image_path.is_absolute()


def test_several_targets(tmp_path: Path) -> None:
    path = manifest(tmp_path, "basename,image_path,fault_path,rgt_path\na,a.zarr,f.zarr,\n")
    (sample,) = read_manifest(path, tmp_path, targets=("fault", "rgt"))
    assert sample.targets == {"fault": tmp_path / "f.zarr"}


@pytest.mark.parametrize("path", ["../a.tif", "images/../../a.tif", "/etc/a.tif"])
@pytest.mark.parametrize("column", ["image_path", "mask_path"])
def test_a_path_that_leaves_the_root_is_refused(tmp_path: Path, path: str, column: str) -> None:
    cells = {"image_path": "a.tif", "mask_path": "m.tif"} | {column: path}
    file = manifest(tmp_path, HEADER + f"a,{cells['image_path']},{cells['mask_path']},,,\n")
    with pytest.raises(ManifestError, match=r"all\.csv:2: expected a path inside the data root .*found ") as caught:
        read_manifest(file, tmp_path)
    assert path in str(caught.value)


def test_an_absolute_path_inside_the_root_is_fine(tmp_path: Path) -> None:
    (sample,) = read_manifest(manifest(tmp_path, HEADER + f"a,{tmp_path}/a.tif,,,,\n"), tmp_path)
    assert sample.image_path == tmp_path / "a.tif"


def test_a_link_inside_the_root_is_not_followed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "cached.tif").write_bytes(b"")
    (root / "a.tif").symlink_to(tmp_path / "cached.tif")
    (sample,) = read_manifest(manifest(tmp_path, HEADER + "a,a.tif,,,,\n"), root)
    assert sample.image_path == root / "a.tif"


@pytest.mark.parametrize("basename", ["", ".hidden", "../a", "a/b", "a\\b"])
def test_a_basename_that_cannot_be_a_file_name_is_refused(tmp_path: Path, basename: str) -> None:
    with pytest.raises(ManifestError, match="part of a file name"):
        read_manifest(manifest(tmp_path, HEADER + f"{basename},a.tif,,,,\n"), tmp_path)


def test_missing_columns_are_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="expected columns image_path,mask_path, found columns basename,path"):
        read_manifest(manifest(tmp_path, "basename,path\na,b\n"), tmp_path, targets=("mask",))
    with pytest.raises(ManifestError, match="found an empty file"):
        read_manifest(manifest(tmp_path, ""), tmp_path)


def test_a_short_row_has_no_image(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"all\.csv:3: expected an image_path"):
        read_manifest(manifest(tmp_path, HEADER + "a,a.tif,,,,\nb\n"), tmp_path)


def test_a_repeated_basename_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"all\.csv:3: expected each basename once, found 'a' again"):
        read_manifest(manifest(tmp_path, HEADER + "a,a.tif,,,,\na,b.tif,,,,\n"), tmp_path)


@pytest.mark.parametrize("size", ["0", "-1", "nan", "inf", "small"])
def test_a_pixel_size_is_positive(tmp_path: Path, size: str) -> None:
    with pytest.raises(ManifestError, match=f"positive pixel_size_um, found '{size}'"):
        read_manifest(manifest(tmp_path, HEADER + f"a,a.tif,,,,{size}\n"), tmp_path)


def test_a_missing_manifest_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingError):
        read_manifest(tmp_path / "all.csv")


def test_spreadsheets_may_have_written_it(tmp_path: Path) -> None:
    path = tmp_path / "all.csv"
    path.write_bytes(b"\xef\xbb\xbfbasename,image_path\r\n a , a.tif \r\n")
    assert read_table(path, ("basename",)) == [(2, {"basename": "a", "image_path": "a.tif"})]
    path.write_bytes("basename,image_path\nä,b".encode("latin-1"))
    with pytest.raises(ManifestError, match="UTF-8"):
        read_table(path, ())


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "all.csv"
    write_manifest(path, [{"basename": 'a, "b"', "image_path": "x y.tif"}, {"basename": "c", "extra": None}])
    assert [row for _, row in read_table(path, ())] == [
        {"basename": 'a, "b"', "image_path": "x y.tif", "extra": ""},
        {"basename": "c", "image_path": "", "extra": ""},
    ]


def test_no_rows_still_make_a_header(tmp_path: Path) -> None:
    write_manifest(tmp_path / "all.csv", [])
    assert (tmp_path / "all.csv").read_text() == ",".join(COLUMNS) + "\n"
    assert read_manifest(tmp_path / "all.csv") == []
