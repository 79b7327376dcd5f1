from __future__ import annotations

import ctypes
import ctypes.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import segwheel
from segwheel.errors import FormatError
from segwheel.formats.picture import FALSE, PREDICTED, Color
from segwheel.formats.tiff import write_image, write_mask
from segwheel.review.slideshow import Slide
from segwheel.review.window import BAR, draw_slide

COMMAND = [sys.executable, "-c", "import typer; from segwheel.cli.review import review_predictions as r; typer.run(r)"]
ENV = {**os.environ, "PYTHONPATH": str(Path(segwheel.__file__).parents[1])}
PATIENCE = 30  # seconds


class Screen:
    """A virtual screen whose pixels can be read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        read, write = os.pipe()
        arguments = ["-displayfd", str(write), "-screen", "0", "640x480x24", "-fbdir", str(folder)]
        self._server = subprocess.Popen(["Xvfb", *arguments], pass_fds=[write], stderr=subprocess.DEVNULL)
        os.close(write)
        with os.fdopen(read) as pipe:
            self.name = f":{pipe.readline().strip()}"

    def shows(self, color: Color) -> bool:
        raw = (self._folder / "Xvfb_screen0").read_bytes()
        header = np.frombuffer(raw[:100], ">u4")  # X window dump: sizes of the header and of its colour table
        pixels = np.frombuffer(raw, np.uint8, 640 * 480 * 4, offset=int(header[0] + 12 * header[19])).reshape(-1, 4)
        return bool((pixels[:, 2::-1] == np.array(color, dtype=np.uint8)).all(axis=1).any())

    def close(self) -> None:
        self._server.terminate()
        self._server.wait(PATIENCE)


class Review:
    """A running review_predictions, used with a real mouse pointer and real keys."""

    def __init__(self, screen: Screen, folder: Path, flagged: Path, duration: float) -> None:
        self.flagged = flagged
        self._env = {**ENV, "DISPLAY": screen.name, "SDL_VIDEODRIVER": "x11"}
        options = ["--image-dir", folder / "images", "--pred-mask-dir", folder / "masks", "--output-flagged", flagged]
        self.process = subprocess.Popen(
            [*COMMAND, *map(str, options), "--display-duration", str(duration)],
            env=self._env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        until(lambda: screen.shows(BAR) and self._window() != "")

    def _window(self) -> str:
        return self._xdotool("search", "--onlyvisible", "--pid", str(self.process.pid))

    def _xdotool(self, *arguments: str) -> str:
        done = subprocess.run(["xdotool", *arguments], env=self._env, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    def key(self, *names: str) -> None:
        self._xdotool("key", *names)

    def click(self, button: int = 1) -> None:
        self._xdotool("mousemove", "300", "200", "click", str(button))

    def resize(self, width: int, height: int) -> None:
        self._xdotool("windowsize", self._window(), str(width), str(height))

    def close_window(self) -> None:
        """Ask the window to close, as the button in its title bar does."""
        close_window(self._env["DISPLAY"], int(self._window()))

    def names(self) -> list[str]:
        return self.flagged.read_text(encoding="utf-8").splitlines()

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out, err


class _ClientMessage(ctypes.Structure):
    """XClientMessageEvent of Xlib with 32-bit data, padded to the size of an XEvent."""

    _fields_ = (
        ("type", ctypes.c_int), ("serial", ctypes.c_ulong), ("send_event", ctypes.c_int), ("display", ctypes.c_void_p),
        ("window", ctypes.c_ulong), ("message_type", ctypes.c_ulong), ("format", ctypes.c_int),
        ("data", ctypes.c_long * 5), ("padding", ctypes.c_long * 24),
    )  # fmt: skip


def close_window(display: str, window: int) -> None:
    library = ctypes.CDLL(ctypes.util.find_library("X11"))
    library.XOpenDisplay.restype = ctypes.c_void_p
    library.XInternAtom.restype = ctypes.c_ulong
    server = ctypes.c_void_p(library.XOpenDisplay(display.encode()))
    protocols, delete = (library.XInternAtom(server, name, 0) for name in (b"WM_PROTOCOLS", b"WM_DELETE_WINDOW"))
    message = _ClientMessage(type=33, window=window, message_type=protocols, format=32)
    message.data[0] = delete
    library.XSendEvent(server, ctypes.c_ulong(window), 0, ctypes.c_long(0), ctypes.byref(message))
    library.XCloseDisplay(server)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE} s"
        time.sleep(0.03)


@pytest.fixture(scope="module")
def screen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screen]:
    for program in ("Xvfb", "xdotool"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed (Debian: apt-get install xvfb xdotool)")
    virtual = Screen(tmp_path_factory.mktemp("screen"))
    yield virtual
    virtual.close()


@pytest.fixture
def start(screen: Screen, tmp_path: Path) -> Iterator[Callable[..., Review]]:
    started: list[Review] = []

    def begin(duration: float = 600) -> Review:
        started.append(Review(screen, tmp_path, tmp_path / "out" / "flagged.txt", duration))
        return started[-1]

    yield begin
    for review in started:
        review.process.kill()
        review.process.communicate()


def write_slides(folder: Path, *names: str) -> None:
    image = np.random.default_rng(0).choice(np.array([2000, 9000], dtype=np.uint16), (30, 40))  # shown black and white
    label = np.zeros(image.shape, dtype=np.uint8)
    label[10:20, 10:30] = 1
    for name in names:
        write_image(folder / "images" / f"{name}.tif", image)
        write_mask(folder / "masks" / f"{name}_pred_mask.tif", label)


def test_plays_by_itself_and_writes_an_empty_file(screen: Screen, start: Callable[..., Review], tmp_path: Path) -> None:
    write_slides(tmp_path, "a", "b")
    review = start(duration=1.0)
    until(lambda: screen.shows(PREDICTED))
    until(lambda: not screen.shows(PREDICTED))
    until(lambda: screen.shows(PREDICTED))
    time.sleep(0.7)
    review.click()
    until(lambda: review.names() == ["b.tif"])
    review.click()
    review.key("Escape")
    code, out, err = review.end()
    assert (code, err) == (0, "")
    assert "0 of 2 images flagged" in out
    assert review.flagged.read_bytes() == b""


def test_flags_survive_a_kill_and_a_closed_window(screen: Screen, start: Callable[..., Review], tmp_path: Path) -> None:
    write_slides(tmp_path, "a", "b", "c ä")
    review = start()
    review.click()
    until(lambda: screen.shows(FALSE))
    assert review.names() == ["a.tif"]
    review.key("Right")
    review.click(button=3)
    review.click()
    until(lambda: review.names() == ["a.tif", "b.tif"])
    review.key("Right", "Right", "Left", "Left")
    review.click()
    until(lambda: review.names() == ["b.tif"])
    review.key("Right", "Right")
    review.click()
    until(lambda: review.names() == ["b.tif", "c ä.tif"])
    review.process.kill()
    assert review.end()[0] == -9
    assert [path.name for path in review.flagged.parent.iterdir()] == ["flagged.txt"]

    review = start()
    review.click()
    until(lambda: review.names() == ["b.tif", "c ä.tif", "a.tif"])
    review.resize(400, 300)
    review.key("Right", "Up")
    until(lambda: screen.shows(PREDICTED))
    assert screen.shows(FALSE)
    review.close_window()
    code, out, err = review.end()
    assert (code, err) == (0, "")
    assert "3 of 3 images flagged" in out
    assert review.names() == ["b.tif", "c ä.tif", "a.tif"]


def test_space_pauses(start: Callable[..., Review], tmp_path: Path) -> None:
    write_slides(tmp_path, *(f"{i:03}" for i in range(60)))
    review = start(duration=0.4)
    review.key("space")
    review.click()
    until(lambda: review.flagged.exists() and len(review.names()) == 1)
    time.sleep(1)
    review.click()
    until(lambda: review.names() == [])
    review.key("space")
    time.sleep(1)
    review.click()
    until(lambda: len(review.names()) == 1)
    review.key("Escape")
    assert review.end()[0] == 0


def test_what_cannot_be_read_or_saved_is_said_and_the_show_goes_on(
    screen: Screen, start: Callable[..., Review], tmp_path: Path
) -> None:
    write_slides(tmp_path, "a", "b")
    (tmp_path / "images" / "a.tif").write_bytes(b"II*\0 and nothing else")
    review = start()
    until(lambda: screen.shows(FALSE))  # the message
    review.key("Right")
    until(lambda: not screen.shows(FALSE))
    shutil.rmtree(review.flagged.parent)
    review.flagged.parent.touch()
    review.click()
    until(lambda: screen.shows(PREDICTED))  # the warning that nothing was saved
    review.flagged.parent.unlink()
    review.key("Escape")
    code, out, err = review.end()
    assert code == 1
    assert "a.tif: expected a TIFF" in out
    assert "PartialError: review: 1 of 2 failed (a.tif)" in err
    assert review.names() == ["b.tif"]


def test_no_screen_is_one_line(tmp_path: Path) -> None:
    write_slides(tmp_path, "a")
    env = {name: value for name, value in ENV.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    options = ["--image-dir", tmp_path / "images", "--pred-mask-dir", tmp_path / "masks"]
    done = subprocess.run(
        [*COMMAND, *map(str, options)], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 1
    assert "ServiceError: screen: " in done.stderr
    assert not (tmp_path / "flagged.txt").exists()


@pytest.mark.parametrize(("size", "fitted"), [((400, 200), (200, 400)), ((100, 300), (50, 100)), ((10, 10), (5, 10))])
def test_slides_fit_and_keep_their_proportions(tmp_path: Path, size: tuple[int, int], fitted: tuple[int, int]) -> None:
    write_image(tmp_path / "a.tif", np.linspace(-2, 5, 40 * 80, dtype=np.float32).reshape(40, 80))
    label = np.zeros((40, 80), dtype=np.uint8)
    label[:, :3] = 1
    write_mask(tmp_path / "a_pred_mask.tif", label)
    drawing = draw_slide(Slide(tmp_path / "a.tif", tmp_path / "a_pred_mask.tif"), size)
    assert drawing.plain.shape == drawing.overlaid.shape == (*fitted, 3)
    assert drawing.plain.min() < 25
    assert drawing.plain.max() > 230
    assert (drawing.plain[:, fitted[1] // 2 :] == drawing.overlaid[:, fitted[1] // 2 :]).all()
    assert (drawing.plain[:, 0] != drawing.overlaid[:, 0]).any(axis=-1).all()


def test_a_mask_of_another_size_names_both(tmp_path: Path) -> None:
    write_slides(tmp_path, "a")
    write_mask(tmp_path / "masks" / "a_pred_mask.tif", np.zeros((30, 41), dtype=np.uint8))
    slide = Slide(tmp_path / "images" / "a.tif", tmp_path / "masks" / "a_pred_mask.tif")
    with pytest.raises(FormatError, match=r"a_pred_mask.tif: expected a mask of 30 x 40 pixels, found 30 x 41"):
        draw_slide(slide, (100, 100))
