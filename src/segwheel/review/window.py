"""The slideshow in a window. What happens on a click or a key is decided in `slideshow`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pygame
from PIL import Image

from segwheel.errors import FormatError, SegwheelError, ServiceError
from segwheel.formats.picture import FALSE, PREDICTED, Bytes, Color, Window, overlay
from segwheel.formats.tiff import read_image, read_mask
from segwheel.review.slideshow import Slide, Slideshow, write_flagged

Size = tuple[int, int]  # (width, height), pixels

TITLE = "segwheel review"
HELP = "click: flag    space: pause    left/right: step    up/down: mask on/off    Esc: save and exit"
_KEYS: dict[int, Callable[[Slideshow], Slideshow]] = {
    pygame.K_SPACE: Slideshow.pause_toggled,
    pygame.K_RIGHT: Slideshow.next,
    pygame.K_LEFT: Slideshow.previous,
    pygame.K_UP: Slideshow.overlay_toggled,
    pygame.K_DOWN: Slideshow.overlay_toggled,
}
_PREFERRED: Size = (1200, 960)
_SMALLEST: Size = (320, 240)
_BAR_HEIGHT = 56  # of the two status lines, pixels
_BORDER = 4  # frame of a flagged slide, pixels
_NO_SCREEN = "run it where there is a screen, for instance over `ssh -X`"
_INVISIBLE = ("offscreen", "dummy")  # what SDL falls back to where there is no screen
_WAIT = 40  # longest time between two looks at the clock, milliseconds
BAR: Color = (30, 30, 30)
_BLACK: Color = (0, 0, 0)
_PALE: Color = (230, 230, 230)
_DIM: Color = (150, 150, 150)


class Drawing(NamedTuple):
    """A slide at the size of the window, RGB (y, x, 3)."""

    plain: Bytes
    overlaid: Bytes


def draw_slide(slide: Slide, size: Size) -> Drawing:
    """Read a slide and draw it as large as it fits into `size`, keeping its proportions.

    The mask is drawn before the picture is scaled, with an outline that stays visible, so that thin objects and
    narrow gaps between objects are seen as well as the window allows.
    """
    image, mask = read_image(slide.image), read_mask(slide.mask)
    if mask.shape != image.shape:
        raise FormatError(slide.mask, expected=f"a mask of {_by(image.shape)} pixels", found=_by(mask.shape))
    scale = min(size[0] / image.shape[1], size[1] / image.shape[0])
    fitted = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    method = Image.Resampling.BOX if scale < 1 else Image.Resampling.NEAREST
    gray = Window.measure(image).apply(image)
    pictures = (gray, overlay(gray, mask, width=max(1, round(1.5 / scale)), tint=0.2))
    return Drawing(*(np.asarray(Image.fromarray(p).resize(fitted, method).convert("RGB")) for p in pictures))


def _by(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} x {shape[1]}"


class _Drawings:
    """Draws slides beside the window's loop, one ahead in either direction; holds at most three."""

    def __init__(self, slides: Sequence[Slide]) -> None:
        self._slides = slides
        self._worker = ThreadPoolExecutor(1)
        self._futures: dict[tuple[int, Size], Future[Drawing]] = {}

    def get(self, index: int, size: Size) -> Future[Drawing]:
        wanted = [(i, size) for i in (index, index + 1, index - 1) if 0 <= i < len(self._slides)]
        for key in self._futures.keys() - wanted:
            self._futures.pop(key).cancel()
        for key in wanted:
            if key not in self._futures:
                self._futures[key] = self._worker.submit(draw_slide, self._slides[key[0]], size)
        return self._futures[index, size]

    def close(self) -> None:
        self._worker.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class _View:
    """Everything that decides what the window shows: it is drawn again only when this changes."""

    size: Size
    index: int
    overlaid: bool
    status: tuple[str, ...]
    flagged: bool
    ready: bool


class SlideWindow:
    """A window that plays a slideshow and keeps the flagged file current."""

    def __init__(self, show: Slideshow, flagged_path: Path) -> None:
        """Open the window. Raises ServiceError when there is no screen."""
        self.show = show
        self.failures: dict[str, str] = {}  # file name -> why it could not be shown
        self._path = flagged_path
        self._save_problem = ""
        self._drawings = _Drawings(show.slides)
        self._seen: _View | None = None
        try:
            pygame.display.init()
            width, height = pygame.display.get_desktop_sizes()[0]
            preferred = min(_PREFERRED[0], width * 9 // 10), min(_PREFERRED[1], height * 9 // 10)
            self._screen = pygame.display.set_mode(preferred, pygame.RESIZABLE)
        except pygame.error as error:
            raise ServiceError("screen", str(error), hint=_NO_SCREEN) from error
        if pygame.display.get_driver() in _INVISIBLE:
            raise ServiceError("screen", "none found", hint=_NO_SCREEN)
        pygame.font.init()
        pygame.display.set_caption(TITLE)
        self._font = pygame.font.Font(None, 22)

    def run(self) -> None:
        """Play until Esc or until the window is closed. The flagged file is current all the time."""
        write_flagged(self._path, self.show.flagged)
        clock = pygame.time.Clock()
        try:
            while self._handle(pygame.event.wait(_WAIT)):
                ready = self._current().done()
                seconds = clock.tick() / 1000
                if ready:  # a slide's time begins when it is seen
                    self.show = self.show.ticked(seconds)
                self._refresh()
        finally:
            self._drawings.close()
            pygame.quit()
        write_flagged(self._path, self.show.flagged)

    def _handle(self, first: pygame.event.Event) -> bool:
        """Apply what the person did; False when that was to leave."""
        for event in (first, *pygame.event.get()):
            if event.type == pygame.QUIT or (event.type == pygame.KEYDOWN and event.key == pygame.K_ESCAPE):
                return False
            if event.type == pygame.KEYDOWN and event.key in _KEYS:
                self.show = _KEYS[event.key](self.show)
            elif event.type == pygame.MOUSEBUTTONDOWN and event.button == pygame.BUTTON_LEFT:
                self.show = self.show.flag_toggled()
                self._save()
        return True

    def _save(self) -> None:
        """Write the flags. On a full disk the show goes on: the next flag and the exit try again."""
        try:
            write_flagged(self._path, self.show.flagged)
            self._save_problem = ""
        except OSError as error:
            self._save_problem = f"NOT SAVED: {error.strerror}"

    def _current(self) -> Future[Drawing]:
        width, height = self._screen.get_size()
        size = max(_SMALLEST[0], width) - 2 * _BORDER, max(_SMALLEST[1], height) - _BAR_HEIGHT - 2 * _BORDER
        return self._drawings.get(self.show.index, size)

    def _refresh(self) -> None:
        show = self.show
        current = self._current()
        view = _View(
            size=self._screen.get_size(),
            index=show.index,
            overlaid=show.is_overlaid,
            status=self._status(),
            flagged=show.is_flagged,
            ready=current.done(),
        )
        if view == self._seen:
            return
        self._seen = view
        self._screen.fill(_BLACK)
        if view.ready:
            self._draw_slide(current)
        self._draw_status(view)
        pygame.display.flip()

    def _draw_slide(self, current: Future[Drawing]) -> None:
        middle = self._screen.get_width() // 2, (self._screen.get_height() - _BAR_HEIGHT) // 2
        try:
            drawing = current.result()
        except (SegwheelError, OSError) as error:
            self.failures[self.show.slide.name] = str(error)
            self._screen.blit(self._text(str(error), FALSE), (_BORDER * 4, middle[1]))
            return
        pixels = drawing.overlaid if self.show.is_overlaid else drawing.plain
        surface = pygame.image.frombuffer(pixels.tobytes(), pixels.shape[1::-1], "RGB")
        place = surface.get_rect(center=middle)
        if self.show.is_flagged:
            pygame.draw.rect(self._screen, FALSE, place.inflate(2 * _BORDER, 2 * _BORDER))
        self._screen.blit(surface, place)

    def _status(self) -> tuple[str, ...]:
        show = self.show
        words = (
            show.slide.name,
            f"{show.index + 1}/{len(show.slides)}",
            "with mask" if show.is_overlaid else "image",
            "paused" if show.paused else "end" if show.is_over else "",
            self._save_problem,
        )
        return tuple(word for word in words if word)

    def _draw_status(self, view: _View) -> None:
        left, top = 12, self._screen.get_height() - _BAR_HEIGHT
        pygame.draw.rect(self._screen, BAR, (0, top, view.size[0], _BAR_HEIGHT))
        line = self._text("    ".join(view.status), PREDICTED if self._save_problem else _PALE)
        self._screen.blit(line, (left, top + 8))
        if view.flagged:
            mark = self._text("  FLAGGED  ", _BLACK, background=FALSE)
            self._screen.blit(mark, (left + line.get_width() + 16, top + 8))
        self._screen.blit(self._text(HELP, _DIM), (left, top + 32))

    def _text(self, text: str, color: Color, background: Color | None = None) -> pygame.Surface:
        return self._font.render(text, True, color, background)
