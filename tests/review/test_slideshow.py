from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segwheel.errors import FormatError, MissingError
from segwheel.review import slideshow
from segwheel.review.slideshow import Slide, Slideshow


def show_of(*names: str, duration: float = 3.0, flagged: tuple[str, ...] = ()) -> Slideshow:
    slides = tuple(Slide(Path(name), Path(name.replace(".tif", "_pred_mask.tif"))) for name in names)
    return Slideshow(slides, duration, flagged)


def test_image_for_half_of_the_time_then_mask_then_the_next() -> None:
    show = show_of("a.tif", "b.tif")
    assert not show.ticked(1.4).is_overlaid
    assert show.ticked(1.5).is_overlaid
    assert show.ticked(2.9).slide.name == "a.tif"
    turned = show.ticked(2.9).ticked(0.2)
    assert turned.slide.name == "b.tif"
    assert not turned.is_overlaid


def test_a_long_gap_turns_one_slide_only() -> None:
    assert show_of("a.tif", "b.tif", "c.tif").ticked(3600).slide.name == "b.tif"


def test_the_last_slide_stays_with_its_mask() -> None:
    show = show_of("a.tif", "b.tif").ticked(3)
    assert not show.is_over
    show = show.ticked(10).ticked(10)
    assert (show.slide.name, show.is_overlaid, show.is_over) == ("b.tif", True, True)


def test_pause_stops_the_clock() -> None:
    show = show_of("a.tif", "b.tif").ticked(1).pause_toggled()
    assert show.ticked(100) == show
    assert show.pause_toggled().ticked(0.6).is_overlaid


def test_steps_begin_with_the_image_and_stop_at_the_ends() -> None:
    show = show_of("a.tif", "b.tif").ticked(2)
    assert show.previous() == show
    following = show.next()
    assert (following.slide.name, following.is_overlaid) == ("b.tif", False)
    assert following.next() == following
    assert following.previous().slide.name == "a.tif"


def test_steps_keep_the_mask_while_paused() -> None:
    show = show_of("a.tif", "b.tif").pause_toggled()
    assert not show.next().is_overlaid
    assert show.overlay_toggled().next().is_overlaid


def test_overlay_is_switched_both_ways() -> None:
    show = show_of("a.tif").overlay_toggled()
    assert show.is_overlaid
    assert not show.overlay_toggled().is_overlaid


def test_flags_keep_their_order_and_names_from_elsewhere() -> None:
    show = show_of("a.tif", "b.tif", flagged=("elsewhere.tif", "b.tif"))
    assert not show.is_flagged
    show = show.flag_toggled()
    assert show.flagged == ("elsewhere.tif", "b.tif", "a.tif")
    assert show.next().is_flagged
    assert show.next().flag_toggled().flagged == ("elsewhere.tif", "a.tif")


@given(st.lists(st.sampled_from(["next", "previous", "flag_toggled", "pause_toggled", "overlay_toggled", 0.7, 9.0])))
def test_any_use_keeps_a_slide_and_flags_once(actions: list[str | float]) -> None:
    show = show_of("a.tif", "b.tif", "c.tif")
    for action in actions:
        show = getattr(show, action)() if isinstance(action, str) else show.ticked(action)
        assert show.slide in show.slides
        assert 0 <= show.elapsed <= show.duration
        assert len(set(show.flagged)) == len(show.flagged)


def folders(tmp_path: Path, images: list[str], masks: list[str]) -> tuple[Path, Path]:
    for folder, names in (("images", images), ("masks", masks)):
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / name).touch()
    return tmp_path / "images", tmp_path / "masks"


def test_slides_are_pairs_sorted_by_name(tmp_path: Path) -> None:
    images = ["b.tif", "Zelle 2 ä.tiff", "a.tif", "notes.txt", "new.tif"]
    masks = ["a_pred_mask.tif", "b_pred_mask.tif", "Zelle 2 ä_pred_mask.tif", "old_pred_mask.tif"]
    slides, without = slideshow.find_slides(*folders(tmp_path, images, masks))
    assert [slide.name for slide in slides] == ["Zelle 2 ä.tiff", "a.tif", "b.tif"]
    assert slides[1].mask == tmp_path / "masks" / "a_pred_mask.tif"
    assert without == ["new.tif"]


def test_missing_folders_images_and_predictions_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"nowhere: no such folder of images"):
        slideshow.find_slides(tmp_path / "nowhere", tmp_path)
    images, masks = folders(tmp_path, [], [])
    with pytest.raises(MissingError, match=r"no such image"):
        slideshow.find_slides(images, masks)
    (images / "a.tif").touch()
    with pytest.raises(MissingError, match=r"a_pred_mask.tif: no such predicted mask"):
        slideshow.find_slides(images, masks)


def test_a_name_of_two_lines_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="fit on a line"):
        slideshow.find_slides(*folders(tmp_path, ["a\nb.tif"], []))


def test_flagged_file_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "flagged.txt"
    assert slideshow.read_flagged(path) == ()
    slideshow.write_flagged(path, ("b ü.tif", "a.tif"))
    assert path.read_bytes() == "b ü.tif\na.tif\n".encode()
    assert slideshow.read_flagged(path) == ("b ü.tif", "a.tif")
    slideshow.write_flagged(path, ())
    assert path.read_bytes() == b""


def test_flagged_file_of_another_editor_is_read(tmp_path: Path) -> None:
    path = tmp_path / "flagged.txt"
    path.write_bytes(b"\xef\xbb\xbfa.tif\r\n\r\nb.tif\r\na.tif")
    assert slideshow.read_flagged(path) == ("a.tif", "b.tif")


def test_flagged_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "flagged.txt"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FormatError, match="a text file"):
        slideshow.read_flagged(path)
