"""Take docs/pictures/label_studio_image.png and label_studio_slice.png: the labelling page while somebody corrects.

python docs/pictures/label_studio.py
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from playwright.sync_api import sync_playwright

REPOSITORY = Path(__file__).parents[2]
sys.path[:0] = [str(REPOSITORY / "tests" / "integrations" / "label_studio")]

from label_studio_page import TaskPage, logged_in  # noqa: E402
from label_studio_wheel import ENVIRONMENT, VOLUMES, Wheel, free_port  # noqa: E402

from segwheel.domain.synthesis.cells import cell_images  # noqa: E402
from segwheel.domain.synthesis.recipe import RECIPES  # noqa: E402
from segwheel.domain.synthesis.seismic import generate  # noqa: E402
from segwheel.integrations.label_studio import server  # noqa: E402

FOLDER = Path(__file__).parent
PAGE = (1280, 860)  # pixels
SHAPE, CROSSLINE = (160, 256, 24), 12
FEW_FAULTS = replace(
    RECIPES["published"], faults=(2, 3), dip=(60.0, 75.0), strike=(0.0, 15.0), noise=(0.05, 0.15), displacement=(6, 14)
)


def cells(wheel: Wheel) -> None:
    """An image whose prediction lacks a corner."""
    (image,) = cell_images(1, 320, seed=5)
    predicted = image.mask == 1
    predicted[200:, 200:] = False
    wheel.add_image("field 3", predicted, image=image.pixels)
    wheel.push()


def faults(wheel: Wheel) -> None:
    """A slice whose prediction lacks the upper part of a fault."""
    sample = generate(SHAPE, FEW_FAULTS, 3)
    predicted = sample.fsem.copy()
    predicted[:80, 130:] = 0
    wheel.add_volume("survey", sample.image, predicted)
    wheel.add_slice("survey", "crossline", CROSSLINE)
    wheel.push()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        credentials = server.start(root, port=free_port(), environment=ENVIRONMENT, tell=print)
        microscopy = Wheel(root, "microscopy", credentials)
        seismic = Wheel(root, "seismic", credentials, settings=VOLUMES)
        try:
            cells(microscopy)
            faults(seismic)
            with sync_playwright() as driver, logged_in(driver, credentials, root / "profile", PAGE) as page:
                for wheel, name, line in (
                    (microscopy, "image", [(250, 282), (264, 296), (272, 284), (260, 278)]),
                    (seismic, "slice", [(6, 150), (78, 180)]),
                ):
                    with credentials.client() as client:
                        (task,) = wheel.tasks(client).values()
                    opened = TaskPage(page, credentials.url, task)
                    opened.paint(*line)
                    opened.picture(FOLDER / f"label_studio_{name}.png")
        finally:
            server.stop(root)


if __name__ == "__main__":
    main()
