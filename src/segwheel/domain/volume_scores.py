"""How well the attributes of a volume are predicted where they are labelled, a block in memory at a time.

Scores are those of `domain.faults` and `domain.rgt`, over live, labelled voxels; only their sums outlive a block.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite, nan

import numpy as np
import numpy.typing as npt

from segwheel.axes import Region
from segwheel.domain.faults import Moments, Nearby, mean_normal_error
from segwheel.domain.orientation import ANGLE_NAMES, HALF_TURN, unweighted
from segwheel.domain.overlap import Counts, pixel_overlap
from segwheel.domain.patching import UNLABELLED
from segwheel.domain.slabs import blocks
from segwheel.formats.volume import Volume

FloatArray = npt.NDArray[np.float32]
Volumes = Mapping[str, Volume]

BLOCK_ELEMENTS = 2**21  # 128 x 128 x 128


def score_volume(predicted: Volumes, labels: Volumes, threshold: float, tolerance: int) -> dict[str, float]:
    """Scores by their names in `domain.scores.VOLUMES`, without those that nothing is labelled for.

    A voxel is predicted a fault from `threshold` on; `tolerance` is in voxels. All volumes lie on one grid.
    """
    found: dict[str, float] = {}
    both = predicted.keys() & labels.keys()
    if "fsem" in both:
        found |= _fault_scores(predicted, labels, threshold, tolerance)
    if "rgt" in both:
        found |= _rgt_scores(predicted["rgt"], labels["rgt"])
    if "dhr" in both:
        found |= _dhr_scores(predicted["dhr"], labels["dhr"])
    return {name: value for name, value in found.items() if isfinite(value)}


def _fault_scores(predicted: Volumes, labels: Volumes, threshold: float, tolerance: int) -> dict[str, float]:
    counts, nearby, degrees, judged_faults, anything = Counts(0, 0, 0), Nearby(0, 0, 0, 0), 0.0, 0, False
    for block, around in _labelled_blocks(labels["fsem"], [tolerance] * len(labels["fsem"].shape)):
        inside = block.relative_to(around).slices
        probability, live = predicted["fsem"].read_with_live(around)
        truth = np.where(live, labels["fsem"].read(around), np.uint8(UNLABELLED))
        found, judged = probability >= threshold, truth != UNLABELLED
        anything |= bool(judged[inside].any())
        counts += pixel_overlap(found[inside], truth[inside])
        nearby += Nearby.count(found & judged, (truth == 1), tolerance, inside)
        error, count = _normal_error(predicted, labels, block, probability[inside], truth[inside] == 1)
        degrees, judged_faults = degrees + error, judged_faults + count
    if not anything:
        return {}
    return {
        "fault_dice": counts.f1,
        "tolerant_iou": nearby.iou,
        "normal_error": degrees / judged_faults if judged_faults else nan,
    }


def _normal_error(
    predicted: Volumes, labels: Volumes, block: Region, probability: FloatArray, faults: npt.NDArray[np.bool_]
) -> tuple[float, int]:
    """Sum of the angles between predicted and true normals in degrees, and the number of fault voxels with both."""
    names = ANGLE_NAMES[len(block.shape)]
    if not faults.any() or not all(name in predicted and name in labels for name in names):
        return 0.0, 0
    found = [unweighted(predicted[name].read(block), probability) for name in names]
    true = []
    for name in names:
        values, labelled = labels[name].read_with_live(block)
        faults = faults & labelled
        true.append(np.float32(HALF_TURN) * values)
    count = int(np.count_nonzero(faults))
    strikes = (found[1], true[1]) if len(names) > 1 else (None, None)
    error = mean_normal_error(found[0], strikes[0], true[0], strikes[1], faults)
    return (error * count, count) if count else (0.0, 0)


def _rgt_scores(predicted: Volume, label: Volume) -> dict[str, float]:
    error, voxels, falls, steps = 0.0, 0, 0, 0
    above = [1] + [0] * (len(label.shape) - 1)  # the step down to a block's first row belongs to the block
    for block, around in _labelled_blocks(label, above):
        inside = block.relative_to(around).slices
        found, live = predicted.read_with_live(around)
        true, labelled = label.read_with_live(around)
        known = live & labelled
        error += float(np.abs(found - true)[inside][known[inside]].sum(dtype=np.float64))
        voxels += int(np.count_nonzero(known[inside]))
        last = inside[0].stop
        down = (known[1:] & known[:-1])[: last - 1]
        falls += int(np.count_nonzero((np.diff(found, axis=0) < 0)[: last - 1] & down))
        steps += int(np.count_nonzero(down))
    return {"rgt_mae": error / voxels if voxels else nan, "rgt_decreasing": falls / steps if steps else nan}


def _dhr_scores(predicted: Volume, label: Volume) -> dict[str, float]:
    moments = Moments()
    for block, _ in _labelled_blocks(label, [0] * len(label.shape)):
        found, live = predicted.read_with_live(block)
        true, labelled = label.read_with_live(block)
        known = live & labelled
        moments += Moments.of(found[known], true[known])
    return {"dhr_snr": moments.signal_to_noise, "dhr_correlation": moments.correlation}


def _labelled_blocks(label: Volume, margin: list[int]) -> Iterator[tuple[Region, Region]]:
    """Blocks in which anything is labelled, each with the block and up to `margin` elements around it."""
    for block in blocks(Region.whole(label.shape), BLOCK_ELEMENTS):
        if label.live(block).any():
            start = (max(0, a - m) for a, m in zip(block.start, margin, strict=True))
            stop = (min(n, b + m) for b, m, n in zip(block.stop, margin, label.shape, strict=True))
            yield block, Region(tuple(start), tuple(stop))
