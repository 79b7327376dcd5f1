"""The real labelling page in headless Chromium, used as a person uses it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from segwheel.integrations.label_studio import server

CHROMIUM = Path("/usr/bin/chromium")
# Nothing may be asked of the outside, and a root user has no sandbox.
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
PATIENCE = 240_000  # milliseconds: a busy machine takes its time to load the page
REGION = ".lsf-outliner-item, .lsf-tree__node, [class*=outliner-item]"
Pixel = tuple[float, float]  # (y, x)


@contextmanager
def logged_in(driver: Any, credentials: server.Credentials, profile: Path, size: tuple[int, int]) -> Iterator[Any]:
    """A browser page of the first user; `size` is its width and height."""
    browser = driver.chromium.launch_persistent_context(
        profile,
        executable_path=CHROMIUM,
        headless=True,
        viewport={"width": size[0], "height": size[1]},
        args=FLAGS.split(),
    )
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(f"{credentials.url}/user/login/", wait_until="domcontentloaded")
    page.fill("input[name=email]", server.USER)
    page.fill("input[name=password]", credentials.password)
    page.click("button[type=submit]")
    page.wait_for_url(lambda url: "login" not in url, wait_until="domcontentloaded")
    yield page
    browser.close()


class TaskPage:
    """The labelling page of one task, opened, with its predicted region."""

    def __init__(self, page: Any, url: str, task: dict[str, Any]) -> None:
        self._page, self._width = page, task["data"]["plane"][1]
        project = page.request.get(f"{url}/api/tasks/{task['id']}/").json()["project"]
        page.goto(f"{url}/projects/{project}/data?task={task['id']}", wait_until="domcontentloaded")
        page.get_by_label("Submit current annotation").wait_for()
        page.locator("canvas").first.wait_for()
        # The picture and the predicted region are there once the region is listed and the canvas has its size.
        if any(prediction["result"] for prediction in task["predictions"]):
            page.locator(REGION).first.wait_for()
        page.wait_for_function("() => [...document.images].every(image => image.complete)")
        page.wait_for_timeout(500)

    def paint(self, *line: Pixel) -> None:
        """With the brush of the first label, chosen by its key; again when a busy page did not take it."""
        regions = self._page.locator(REGION)
        before = regions.count()
        while regions.count() == before:
            self._page.keyboard.press("1")
            self._page.wait_for_timeout(200)
            self._drag(line)
            self._page.keyboard.press("Escape")
            self._page.wait_for_timeout(200)

    def erase(self, *line: Pixel) -> None:
        """From the predicted region, chosen in the list; the eraser by its key."""
        self._page.locator(REGION).first.click()
        self._page.keyboard.press("e")
        self._page.wait_for_timeout(200)
        self._drag(line)

    def _drag(self, line: tuple[Pixel, ...]) -> None:
        """Draw a line through pixels of the image with the current tool."""
        box = self._page.locator("canvas").first.bounding_box()
        scale = box["width"] / self._width
        points = [(box["x"] + (x + 0.5) * scale, box["y"] + (y + 0.5) * scale) for y, x in line]
        self._page.mouse.move(*points[0])
        self._page.mouse.down()
        for point in points[1:]:
            self._page.mouse.move(*point, steps=20)
        self._page.mouse.up()
        self._page.wait_for_timeout(300)

    def picture(self, path: Path) -> None:
        self._page.screenshot(path=path)

    def submit(self) -> None:
        with self._page.expect_response(
            lambda answer: answer.request.method == "POST" and "/annotations" in answer.url
        ) as answered:
            self._page.get_by_label("Submit current annotation").click()
        assert answered.value.status == 201
