"""Look at predictions and flag those that need correction."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer


def review_predictions(
    image_dir: Annotated[Path, typer.Option(help="Folder of images, <name>.tif.")],
    pred_mask_dir: Annotated[Path, typer.Option(help="Folder of predicted masks, <name>_pred_mask.tif.")],
    display_duration: Annotated[
        float, typer.Option(min=0.1, help="Seconds for each image: half without, half with its mask.")
    ] = 3.0,
    output_flagged: Annotated[
        Path, typer.Option(help="Text file of flagged images, one file name a line; continued if it is there.")
    ] = Path("flagged.txt"),
) -> None:
    """Show predictions one after the other and note which are flagged.

    Left click flags or unflags, space pauses, left and right step, up and down switch the mask on and off, Esc saves
    and exits. Every flag is on disk at once: nothing is lost when the window is closed.
    """
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    from rich.console import Console

    from segwheel.errors import PartialError
    from segwheel.review.slideshow import Slideshow, find_slides, read_flagged
    from segwheel.review.window import SlideWindow

    console = Console(highlight=False, soft_wrap=True, markup=False)
    slides, without = find_slides(image_dir, pred_mask_dir)
    if without:
        console.print(f"{len(without)} images have no prediction and are left out: {', '.join(without)}")
    window = SlideWindow(Slideshow(tuple(slides), display_duration, read_flagged(output_flagged)), output_flagged)
    window.run()
    flagged = sum(slide.name in window.show.flagged for slide in slides)
    console.print(f"{flagged} of {len(slides)} images flagged, written to {output_flagged}")
    if window.failures:
        for problem in window.failures.values():
            console.print(problem)
        raise PartialError("review", window.failures, len(slides))
