"""`segwheel correct`: corrected masks in, as labels of the next iteration."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer


def correct(
    flywheel: Annotated[str, typer.Argument(help="Name of the flywheel.")],
    folder: Annotated[
        Path | None,
        typer.Argument(
            help="Folder with corrected <name>_mask.tif, of volumes <name>_<axis>_<index>_mask.tif "
            "(inline, crossline or depth, counted from 0): 0, 255, and 128 for not judged."
        ),
    ] = None,
    simulate: Annotated[
        int,
        typer.Option(
            help="Instead of a folder: take the hidden truth of so many images or slices of the queue.", min=0
        ),
    ] = 0,
    annotator: Annotated[str | None, typer.Option(help="Who corrected.", show_default="your login name")] = None,
    commit: Annotated[bool, typer.Option("--commit", help="Make the git commit as well.")] = False,
) -> None:
    """Take corrected masks in; `dvc repro` then trains on them."""
    from segwheel.integrations import corrections, dvc

    if (folder is None) == (simulate == 0):
        raise typer.BadParameter("give a folder of masks, or --simulate COUNT")
    root = Path()
    if folder is None:
        typer.echo("SIMULATED ANNOTATOR: the masks are the hidden truth of the data set, nobody looked at them.")
        masks, who = corrections.simulated(root, flywheel, simulate), annotator or "simulated"
    else:
        masks, who = corrections.from_folder(root, flywheel, folder), annotator or getpass.getuser()
    taken = corrections.take_in(root, flywheel, masks, who, dvc.add)
    for one in taken:
        place = f" {one.axis} {one.index}" if one.axis else ""
        typer.echo(f"{one.basename}{place}: {one.outcome}, {_changed(one.pixels_changed)}")
    paths = [Path("data") / flywheel / name for name in ("corrections.csv", "corrections.dvc", ".gitignore")]
    message = f"{flywheel}: {len(taken)} corrections of iteration {taken[0].iteration}" if taken else ""
    if commit and taken:
        dvc.commit(root, [path for path in paths if path.exists()], message)
    elif taken:
        typer.echo(f'next: git add {" ".join(map(str, paths))} && git commit -m "{message}" && dvc repro')


def _changed(pixels: int | None) -> str:
    return "nothing was predicted" if pixels is None else f"{pixels} pixels changed"
