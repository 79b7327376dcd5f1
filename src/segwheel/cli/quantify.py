"""Verbs that turn predicted masks into measurements."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from segwheel.cli.intake import failures_told

if TYPE_CHECKING:
    from segwheel.domain.quantification import Quantified

PredMaskDir = Annotated[Path, typer.Option(help="Folder with <image>_pred_mask.tif, or <image>_mask.tif.")]
OutputDir = Annotated[Path, typer.Option(help="Where the tables, labels and plots go.")]
PixelSize = Annotated[
    float | None,
    typer.Option(help="Pixel size (um) of images whose size the manifest doesn't give.", min=1e-9, show_default=False),
]
MinObjectArea = Annotated[int, typer.Option(help="Smaller objects (pixels) are dropped.", min=0)]
MaxHoleArea = Annotated[int, typer.Option(help="Holes up to this area (pixels) are filled.", min=0)]
CONNECTIVITIES: dict[str, Literal[4, 8]] = {"4": 4, "8": 8}
ConnectivityOption = Annotated[Literal["4", "8"], typer.Option(help="Neighbours of a pixel of an object.")]
Separation = Annotated[
    Literal["none", "distance", "probability", "distance_output"],
    typer.Option(help="What touching objects are separated by; the last two read the maps beside the masks."),
]
SeedSmoothing = Annotated[
    float | None,
    typer.Option(help="Smoothing (pixels) before seeds are sought.", min=0, show_default="fits the separation"),
]
SeedDepth = Annotated[
    float | None,
    typer.Option(
        help="How much a peak rises above the pass to a higher one, as a fraction of its height.",
        min=0,
        max=0.99,
        show_default="fits the separation",
    ),
]
Background = Annotated[
    bool, typer.Option("--background-objects", help="The objects are what the masks leave out, as between membranes.")
]


def quantify_objects(
    pred_mask_dir: PredMaskDir,
    output_dir: OutputDir,
    gt_manifest: Annotated[
        Path | None, typer.Option(help="Manifest with mask_path, and labels_path for instance numbers.")
    ] = None,
    data_root: Annotated[
        Path | None, typer.Option(help="Where the manifest's paths start.", show_default="working directory")
    ] = None,
    min_object_area: MinObjectArea = 100,
    iou_threshold: Annotated[
        float, typer.Option(help="IoU from which a predicted object is a true one.", min=0.01, max=1)
    ] = 0.5,
    pixel_size: PixelSize = None,
    separation: Separation = "distance",
    seed_smoothing: SeedSmoothing = None,
    seed_depth: SeedDepth = None,
    max_hole_area: MaxHoleArea = 0,
    connectivity: ConnectivityOption = "8",
    background_objects: Background = False,
) -> None:
    """Separate, measure and count the objects of predicted masks; with truth, score them."""
    from segwheel.domain.objects import SEEDS, ObjectSettings
    from segwheel.domain.quantification import quantify_folder

    smoothing, depth = SEEDS[separation]
    settings = ObjectSettings(
        method=separation,
        smoothing=smoothing if seed_smoothing is None else seed_smoothing,
        depth=depth if seed_depth is None else seed_depth,
        min_area=min_object_area,
        max_hole_area=max_hole_area,
        connectivity=CONNECTIVITIES[connectivity],
        background=background_objects,
    )
    with failures_told():
        found = quantify_folder(
            pred_mask_dir,
            gt_manifest,
            output_dir,
            settings=settings,
            iou_threshold=iou_threshold,
            pixel_size_um=pixel_size,
            data_root=data_root,
        )
    _report(found, output_dir)


def extract_metrics(
    pred_mask_dir: PredMaskDir,
    output_dir: OutputDir,
    min_object_area: MinObjectArea = 100,
    pixel_size: PixelSize = None,
    separation: Separation = "distance",
    seed_smoothing: SeedSmoothing = None,
    seed_depth: SeedDepth = None,
    max_hole_area: MaxHoleArea = 0,
    connectivity: ConnectivityOption = "8",
    background_objects: Background = False,
) -> None:
    """Separate, measure and count the objects of masks, without any truth."""
    quantify_objects(
        pred_mask_dir,
        output_dir,
        min_object_area=min_object_area,
        pixel_size=pixel_size,
        separation=separation,
        seed_smoothing=seed_smoothing,
        seed_depth=seed_depth,
        max_hole_area=max_hole_area,
        connectivity=connectivity,
        background_objects=background_objects,
    )


def _report(found: Quantified, output_dir: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("group", "images", "objects", "evaluated", "Dice", "object F1")
    for row in found.summary.to_dict("records"):
        scores = [_interval(row, name) for name in ("dice", "object_f1")]
        table.add_row(*(str(row[name]) for name in ("group", "images", "objects", "evaluated")), *scores)
    console = Console()
    console.print(table)
    if found.unpredicted:
        console.print(f"note: no prediction for {', '.join(found.unpredicted)}", markup=False, soft_wrap=True)
    console.print(f"{output_dir}: {len(found.objects)} objects", markup=False, highlight=False, soft_wrap=True)


def _interval(row: dict[Hashable, Any], name: str) -> str:
    """A mean with its 95 % interval, empty without one."""
    mean, low, high = (row.get(name + end, float("nan")) for end in ("", "_low", "_high"))
    if mean != mean:
        return ""
    return f"{mean:.3f}" if low != low else f"{mean:.3f} ({low:.3f} to {high:.3f})"
