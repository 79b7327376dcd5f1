"""Stage `patches`: training patches of the labelled samples, one patch store per split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segwheel.domain.patch_cutting import cut_patches
from segwheel.domain.volume_patches import cut_volume_patches
from segwheel.formats.files import replacing
from segwheel.params.images import PatchParams
from segwheel.params.volumes import VolumePatchParams


def patches(
    splits_dir: Path, output_dir: Path, targets: Sequence[str], params: PatchParams | VolumePatchParams
) -> None:
    """Cut patches of `train.csv` and `val.csv` in `splits_dir` into stores in `output_dir`, which is replaced whole."""
    train, val = splits_dir / "train.csv", splits_dir / "val.csv"
    with replacing(output_dir) as beside:
        if isinstance(params, VolumePatchParams):
            cut_volume_patches(train, val, Path(), beside, targets, params)
        else:
            cut_patches(train, val, Path(), beside, targets, params)
