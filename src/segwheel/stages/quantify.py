"""Stage `quantify`: the objects of the predicted masks or the faults of the predicted volumes, measured."""

from __future__ import annotations

from pathlib import Path

from segwheel.domain.fault_tables import quantify_faults
from segwheel.domain.manifest import read_manifest
from segwheel.domain.quantification import object_settings, quantify_folder
from segwheel.formats.files import replacing
from segwheel.params.images import QuantifyParams
from segwheel.params.volumes import VolumeQuantifyParams


def quantify(
    predictions: Path,
    manifest: Path,
    output_dir: Path,
    threshold: float,
    params: QuantifyParams | VolumeQuantifyParams,
) -> int:
    """Measure every predicted sample of `manifest` into `output_dir`, which is replaced whole; returns the objects.

    Faults are voxels of a probability from `threshold` on; masks of images are there already. Without samples, as when
    everything has been corrected, there are no objects.
    """
    samples = read_manifest(manifest)
    with replacing(output_dir) as beside:
        beside.mkdir()
        if isinstance(params, VolumeQuantifyParams):
            return quantify_faults(predictions, samples, beside, threshold, params)
        if not samples:
            return 0
        found = quantify_folder(
            predictions, manifest, beside, settings=object_settings(params), iou_threshold=params.iou_threshold
        )
    return len(found.objects)
