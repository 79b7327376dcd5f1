"""The slideshow of predictions as plain data: what is shown, when it moves on, what is flagged. Draws nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from segwheel.errors import FormatError, MissingError
from segwheel.formats.files import write_text

PREDICTION = "_pred_mask.tif"  # follows the name of the image
_IMAGES = (".tif", ".tiff")


@dataclass(frozen=True)
class Slide:
    """An image and the mask that was predicted for it."""

    image: Path
    mask: Path

    @property
    def name(self) -> str:
        """What stands in the flagged file: the file name of the image."""
        return self.image.name


@dataclass(frozen=True)
class Slideshow:
    """One moment of the slideshow. Every change gives a new moment.

    A slide is shown for `duration` seconds, the first half as it is and the second half with its mask. The last slide
    stays. `flagged` holds file names in the order of flagging, also names that belong to no slide here.
    """

    slides: tuple[Slide, ...]
    duration: float
    flagged: tuple[str, ...] = ()
    index: int = 0
    elapsed: float = 0.0
    paused: bool = False

    @property
    def slide(self) -> Slide:
        return self.slides[self.index]

    @property
    def is_flagged(self) -> bool:
        return self.slide.name in self.flagged

    @property
    def is_overlaid(self) -> bool:
        """Whether the mask is shown over the image."""
        return self.elapsed >= self.duration / 2

    @property
    def is_over(self) -> bool:
        """Whether the last slide has had its time."""
        return self.index == len(self.slides) - 1 and self.elapsed >= self.duration

    def ticked(self, seconds: float) -> Slideshow:
        """After `seconds`; however long that was, at most one slide is turned, so that none is skipped unseen."""
        elapsed = self.elapsed + seconds
        if self.paused or elapsed < self.duration:
            return self if self.paused else replace(self, elapsed=elapsed)
        if self.index == len(self.slides) - 1:
            return replace(self, elapsed=self.duration)
        return replace(self, index=self.index + 1, elapsed=0.0)

    def next(self) -> Slideshow:
        return self._at(self.index + 1)

    def previous(self) -> Slideshow:
        return self._at(self.index - 1)

    def _at(self, index: int) -> Slideshow:
        """Another slide from its beginning; while paused with the mask, as a person who compares masks wants it."""
        if not 0 <= index < len(self.slides):
            return self
        elapsed = self.duration / 2 if self.paused and self.is_overlaid else 0.0
        return replace(self, index=index, elapsed=elapsed)

    def overlay_toggled(self) -> Slideshow:
        """The other half of the same slide, from its beginning."""
        return replace(self, elapsed=0.0 if self.is_overlaid else self.duration / 2)

    def pause_toggled(self) -> Slideshow:
        return replace(self, paused=not self.paused)

    def flag_toggled(self) -> Slideshow:
        name = self.slide.name
        others = tuple(flagged for flagged in self.flagged if flagged != name)
        return replace(self, flagged=others if self.is_flagged else (*others, name))


def find_slides(image_dir: Path, mask_dir: Path) -> tuple[list[Slide], list[str]]:
    """Images that have a prediction, sorted by name, and the file names of the images that have none.

    Raises MissingError when a folder is missing, there is no image, or none has a prediction; FormatError for a file
    name that could not stand on a line of the flagged file.
    """
    for folder, what in ((image_dir, "folder of images"), (mask_dir, "folder of predicted masks")):
        if not folder.is_dir():
            raise MissingError(folder, what=what)
    images = sorted(path for path in image_dir.iterdir() if path.suffix.lower() in _IMAGES)
    if not images:
        raise MissingError(image_dir / "*.tif", what="image")
    slides, without = [], []
    for image in images:
        if not image.name.isprintable():
            raise FormatError(image_dir, expected="file names that fit on a line of text", found=ascii(image.name))
        mask = mask_dir / (image.stem + PREDICTION)
        if mask.is_file():
            slides.append(Slide(image, mask))
        else:
            without.append(image.name)
    if not slides:
        hint = f"a prediction is called <image>{PREDICTION}"
        raise MissingError(mask_dir / (images[0].stem + PREDICTION), what="predicted mask", hint=hint)
    return slides, without


def read_flagged(path: Path) -> tuple[str, ...]:
    """The names in a flagged file, one a line, each once; none when there is no file.

    Raises FormatError when it is no UTF-8 text.
    """
    if not path.exists():
        return ()
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (UnicodeDecodeError, IsADirectoryError) as error:
        raise FormatError(path, expected="a text file with a file name on each line", found=str(error)) from error
    return tuple(dict.fromkeys(name for line in lines if (name := line.rstrip("\r"))))


def write_flagged(path: Path, flagged: Iterable[str]) -> None:
    """Write one name a line, atomically. An empty file says that somebody looked and flagged nothing."""
    write_text(path, "".join(f"{name}\n" for name in flagged))
