"""Stage `predict`: what the model says about the samples that nobody has labelled yet, or only in part."""

from __future__ import annotations

from pathlib import Path

from segwheel.domain.manifest import read_manifest
from segwheel.formats.files import replacing
from segwheel.learning.checkpoint import load_model
from segwheel.learning.multitask_checkpoint import load_multitask
from segwheel.learning.prediction import write_predictions
from segwheel.learning.volume_prediction import write_volume_predictions
from segwheel.params.images import PredictParams
from segwheel.params.volumes import VolumePredictParams
from segwheel.progress import NamedProgress, no_progress


def predict(
    checkpoint: Path,
    manifest: Path,
    output_dir: Path,
    work_dir: Path,
    params: PredictParams | VolumePredictParams,
    progress: NamedProgress = no_progress,
) -> int:
    """Predict every sample of `manifest` into `output_dir`, which is replaced whole; returns how many there were.

    Images become masks and probabilities, volumes a folder of attributes each. A stopped prediction of volumes goes
    on from what it left in `work_dir`. Raises PartialError when images could not be used; the folder is then as it was.
    """
    samples = read_manifest(manifest)
    if isinstance(params, VolumePredictParams):
        write_volume_predictions(load_multitask(checkpoint), samples, output_dir, work_dir, params, progress)
        return len(samples)
    model = load_model(checkpoint)
    with replacing(output_dir) as beside:
        write_predictions(model, samples, beside, params)
    return len(samples)
