"""`predict_full`: masks and probabilities of the full images of a manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from segwheel.cli.intake import failures_told
from segwheel.cli.quantify import CONNECTIVITIES, ConnectivityOption


def predict_full(
    checkpoint: Annotated[Path, typer.Option(help="Trained model; it knows its network and normalisation.")],
    manifest: Annotated[Path, typer.Option(help="CSV with basename, image_path and, where known, mask_path.")],
    output_dir: Annotated[Path, typer.Option(help="Folder for the predictions.")],
    tile_size: Annotated[int, typer.Option(help="Side of a tile (pixels).", min=32)] = 256,
    overlap: Annotated[
        float, typer.Option(help="Share of a tile that neighbours have in common.", min=0, max=0.9)
    ] = 0.25,
    threshold: Annotated[float, typer.Option(help="Probability from which a pixel is foreground.", min=0, max=1)] = 0.5,
    min_object_area: Annotated[int, typer.Option(help="Smaller components (pixels) are dropped.", min=0)] = 100,
    fill_holes: Annotated[int, typer.Option(help="Holes up to this area (pixels) are filled.", min=0)] = 0,
    connectivity: ConnectivityOption = "8",
    data_root: Annotated[Path, typer.Option(help="Where the manifest's paths start.")] = Path(),
    test_time_augmentation: Annotated[
        Literal["none", "flips", "dihedral"], typer.Option(help="Average over flipped, or flipped and turned, images.")
    ] = "none",
) -> None:
    """Write <image>_pred_mask.tif, <image>_pred_prob.tif and, where truth is known, pixel_metrics.csv."""
    from rich.progress import track

    from segwheel.domain.manifest import read_manifest
    from segwheel.learning.checkpoint import load_model
    from segwheel.learning.inference import DEFAULTS
    from segwheel.learning.prediction import write_predictions

    samples = read_manifest(manifest, data_root)
    changes = {
        "tile_size": tile_size,
        "overlap": overlap,
        "threshold": threshold,
        "min_object_area": min_object_area,
        "fill_holes": fill_holes,
        "connectivity": CONNECTIVITIES[connectivity],
        "test_time_augmentation": test_time_augmentation,
    }
    progress = track(samples, description="predicting")
    with failures_told():
        write_predictions(load_model(checkpoint), progress, output_dir, DEFAULTS.model_copy(update=changes))
    typer.echo(f"{output_dir}: {len(samples)} images predicted")
