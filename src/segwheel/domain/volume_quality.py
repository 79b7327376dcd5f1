"""What is known about the volumes of one sample, and what is odd about them; a chunk in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf, prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from segwheel.axes import Region
from segwheel.domain.quality import Finding
from segwheel.domain.slabs import blocks
from segwheel.errors import FormatError
from segwheel.formats.volume import CHUNK_ELEMENTS, Volume

IMAGE_COLUMNS = ("shape", "live_share", "bad_samples", "min", "max", "image_md5")
LABEL_COLUMNS = ("labelled_voxels", "labelled_share", "fsem_coverage")
_DIGITS = 6


def measure_image(image: Volume) -> dict[str, object]:
    """Shape, share of live voxels, and their range."""
    live, low, high = 0, inf, -inf
    for block in blocks(Region.whole(image.shape), CHUNK_ELEMENTS):
        values, alive = image.read_with_live(block)
        inside = values[alive]
        live += inside.size
        low, high = min(low, float(inside.min(initial=inf))), max(high, float(inside.max(initial=-inf)))
    share = round(live / prod(image.shape), _DIGITS)
    shown = {"min": float(f"{low:.6g}"), "max": float(f"{high:.6g}")}
    return {"shape": " x ".join(map(str, image.shape)), "live_share": share, **shown}


def measure_label(image: Volume, label: Volume) -> dict[str, object]:
    """How many live voxels are labelled, what share that is, and the share of faults among them."""
    live = labelled = faults = 0
    for values, alive in _labels(image, label):
        live += int(np.count_nonzero(alive))
        labelled += int(np.count_nonzero(alive & (values != 255)))
        faults += int(np.count_nonzero(alive & (values == 1)))
    coverage = round(faults / labelled, _DIGITS) if labelled else 0.0
    share = round(labelled / max(live, 1), _DIGITS)
    return {"labelled_voxels": labelled, "labelled_share": share, "fsem_coverage": coverage}


def _labels(image: Volume, label: Volume) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]]:
    for block in blocks(Region.whole(label.shape), CHUNK_ELEMENTS):
        yield label.read(block), image.live(block)


def check_angle(source: Path, angle: Volume) -> None:
    """Raise FormatError (at `source`) for a dip or strike that isn't a part of 180 degrees."""
    for block in blocks(Region.whole(angle.shape), CHUNK_ELEMENTS):
        values = angle.read(block)
        beyond = values[(values < 0) | (values > 1)]
        if beyond.size:
            raise FormatError(source, expected="angles / 180, from 0 to 1", found=f"the value {beyond[0]:g}")


def without_faults(basename: str, source: Path, columns: Mapping[str, object]) -> list[Finding]:
    """A warning about labels that hold no fault anywhere: perhaps another value was meant."""
    if columns["fsem_coverage"]:
        return []
    message = f"{source}: no voxel is labelled as a fault (1); 0 is none, 255 is unlabelled"
    return [Finding(basename, "warning", str(source), message)]
