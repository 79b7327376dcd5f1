from __future__ import annotations

import re
import shutil
import subprocess
from base64 import b64decode
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segwheel.errors import FormatError, MissingError
from segwheel.formats.picture import FALSE, save_png
from segwheel.review.report import QUEUE_SHOWN, THUMBNAIL, write_report


class Page(HTMLParser):
    """What a browser would find in the page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.text: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.cells: list[str] = []
        self._tag = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag = tag
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if self._tag in ("td", "th"):
            self.cells[-1] += data.strip()

    @property
    def pictures(self) -> list[Image.Image]:
        sources = [value or "" for tag, name, value in self.attributes if (tag, name) == ("img", "src")]
        return [Image.open(BytesIO(b64decode(source.removeprefix("data:image/png;base64,")))) for source in sources]


def picture(path: Path, height: int = 30, width: int = 40) -> Path:
    save_png(path, np.broadcast_to(np.array(FALSE, dtype=np.uint8), (height, width, 3)).copy())
    return path


def report(path: Path, **changes: object) -> Page:
    arguments = {"title": "t", "metrics": {}, "per_image": [], "pictures": [], "queue": [], **changes}
    write_report(path, **arguments)  # type: ignore[arg-type]
    return Page(path)


def test_page_holds_its_numbers_and_pictures(tmp_path: Path) -> None:
    page = report(
        tmp_path / "new" / "report.html",
        title="cells, iteration 2",
        metrics={"dice": 0.912345, "images": 10, "loss": float("nan")},
        per_image=[{"basename": "a", "dice": "0.91234", "tp": "12", "image_path": "x/a.tif"}, {"basename": "b"}],
        pictures=[picture(tmp_path / "loss_plot.png"), picture(tmp_path / "worst_b.png")],
        queue=[
            {"rank": "1", "basename": "c", "axis": "inline", "index": "7", "score": "0.51", "reason": "unsure",
             "picture_path": str(picture(tmp_path / "c.png"))},
            {"rank": "2", "basename": "d", "axis": "", "index": "", "score": "", "reason": "", "picture_path": ""},
        ],
    )  # fmt: skip
    text = " ".join(page.text)
    for words in (
        "cells, iteration 2",
        "0.9123",
        "10",
        "\N{EN DASH}",
        "loss plot",
        "worst b",
        "c inline 7",
        "0.51 unsure",
        "d",
    ):
        assert words in text
    assert page.cells == ["basename", "dice", "tp", "a", "0.9123", "12", "b", "", ""]
    assert [image.getpixel((3, 3)) for image in page.pictures] == [FALSE] * 3
    assert list((tmp_path / "new").iterdir()) == [tmp_path / "new" / "report.html"]


def test_nothing_is_loaded_from_anywhere(tmp_path: Path) -> None:
    page = report(tmp_path / "a.html", pictures=[picture(tmp_path / "a.png")], queue=[{"basename": "x"}])
    links = [value or "" for _, name, value in page.attributes if name in ("src", "href", "srcset", "data", "action")]
    assert len(links) == 1
    assert links[0].startswith("data:")
    assert not re.search(r"url\(|@import|<script", (tmp_path / "a.html").read_text())
    assert ("meta", "http-equiv", "Content-Security-Policy") in page.attributes


def test_names_are_text_and_never_markup(tmp_path: Path) -> None:
    bad = "<script>alert(1)</script>\"'&"
    page = report(
        tmp_path / "a.html",
        title=bad,
        metrics={bad: 1.0},
        per_image=[{bad: bad}],
        pictures=[picture(tmp_path / '"><b>x.png')],
        queue=[{"rank": bad, "basename": bad, "axis": bad, "index": bad, "score": bad, "reason": bad}],
    )
    assert {tag for tag, _, _ in page.attributes} <= {"html", "meta", "div", "img"}
    assert "<script" not in (tmp_path / "a.html").read_text()
    assert bad in page.text


def test_large_pictures_are_reduced_and_long_queues_end_in_a_table(tmp_path: Path) -> None:
    large = picture(tmp_path / "a.png", 300, 1500)
    row = {"basename": "x", "picture_path": str(large)}
    page = report(tmp_path / "a.html", queue=[{**row, "rank": str(i)} for i in range(QUEUE_SHOWN + 3)])
    assert [image.size for image in page.pictures] == [(THUMBNAIL, THUMBNAIL // 5)] * QUEUE_SHOWN
    assert page.cells[-2:] == ["x", str(QUEUE_SHOWN + 2)]


def test_pictures_that_cannot_be_shown_are_named_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"gone\.png: no such picture"):
        report(tmp_path / "a.html", pictures=[tmp_path / "gone.png"])
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    with pytest.raises(FormatError, match=r"bad\.png: expected a picture"):
        report(tmp_path / "a.html", queue=[{"basename": "x", "picture_path": str(tmp_path / "bad.png")}])
    assert not (tmp_path / "a.html").exists()


def test_an_empty_report_says_so_and_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    page = report(tmp_path / "a.html")
    assert page.text.count("none") == 4
    report(tmp_path / "b.html")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_a_browser_shows_it(tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium (Debian: apt-get install chromium)")
    report(tmp_path / "a.html", metrics={"dice": 0.9}, pictures=[picture(tmp_path / "a.png", 200, 300)])
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--window-size=900,900"]
    profile, shot = f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={tmp_path / 'shot.png'}"
    subprocess.run(
        [browser, *flags, profile, shot, (tmp_path / "a.html").as_uri()], check=True, capture_output=True, timeout=120
    )
    with Image.open(tmp_path / "shot.png") as image:
        pixels = np.asarray(image.convert("RGB"))
    assert (np.abs(pixels.astype(int) - FALSE).max(axis=-1) <= 8).sum() > 40000


def test_errors_say_that_less_is_better(tmp_path: Path) -> None:
    page = report(
        tmp_path / "report.html",
        metrics={"fault_dice": 0.5, "rgt_mae": 0.02},
        per_image=[{"basename": "a", "fault_dice": "0.5", "rgt_mae": "0.02", "dhr_snr": ""}],
    )
    assert [value for tag, name, value in page.attributes if (tag, name) == ("span", "title")] == ["less is better"] * 2
    assert page.cells[:4] == ["basename", "fault_dice", "rgt_mae", "dhr_snr"]
