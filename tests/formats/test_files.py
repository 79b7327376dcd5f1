from __future__ import annotations

from pathlib import Path

import pytest

from segwheel.formats.files import content_md5, replacing


def test_a_folder_is_what_its_files_are_called_and_hold(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "deep" / "one").write_text("1")
        (tmp_path / name / "two").write_text("2")
    assert content_md5(tmp_path / "a") == content_md5(tmp_path / "b")
    (tmp_path / "b" / "two").write_text("3")
    assert content_md5(tmp_path / "a") != content_md5(tmp_path / "b")
    (tmp_path / "b" / "two").write_text("2")
    (tmp_path / "b" / "two").rename(tmp_path / "b" / "three")
    assert content_md5(tmp_path / "a") != content_md5(tmp_path / "b")


def _half(path: Path) -> None:
    path.write_text("half")
    raise TypeError


def test_what_is_half_written_is_not_seen(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("before")
    with pytest.raises(TypeError), replacing(tmp_path / "a") as beside:
        _half(beside)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "before"
