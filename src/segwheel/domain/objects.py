"""From a mask to objects: connected components, hole filling, minimum area, separation of touching objects.

Images have axes (y, x). Masks are boolean, instance labels are int32 with 0 for background and the objects
numbered from 1 without gaps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.morphology import local_maxima, reconstruction
from skimage.segmentation import relabel_sequential, watershed

from segwheel.params.sections import Connectivity

Mask = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.int32]
Surface = npt.NDArray[np.float32]
Method = Literal["none", "distance", "probability", "distance_output"]

# Smoothing and depth that recover most annotated cells of real phase contrast from a small network's predictions.
SEEDS: dict[Method, tuple[float, float]] = {
    "none": (0.0, 0.0),
    "distance": (1.0, 0.4),
    "probability": (3.0, 0.1),
    "distance_output": (2.0, 0.3),
}


@dataclass(frozen=True)
class ObjectSettings:
    """How a mask becomes objects.

    `method` says what touching objects are separated by:

    * none: connected components as they are;
    * distance: the distance to the mask's boundary, in pixels;
    * probability: the predicted foreground probability;
    * distance_output: the predicted distance map of a second output channel (see `distance_target`).

    `smoothing` is the standard deviation (pixels) of the Gaussian that the map is smoothed with before seeds are
    sought. `depth` says how much a peak must rise above the pass to a higher peak to be an object of its own: a
    fraction of the peak's own height, 0 to below 1, whatever the unit of the map, so that one value serves small
    and large objects.
    """

    method: Method = "distance"
    smoothing: float = 1.0
    depth: float = 0.4
    min_area: int = 100  # pixels; smaller objects are dropped
    max_hole_area: int = 0  # pixels; enclosed background up to this area is filled, 0 fills nothing
    connectivity: Connectivity = 8
    background: bool = False  # the objects are what the mask leaves out, as cells between membranes

    def __post_init__(self) -> None:
        assert 0 <= self.depth < 1, f"depth {self.depth} is no fraction"
        assert self.smoothing >= 0, f"negative smoothing {self.smoothing}"


def label_objects(mask: Mask, settings: ObjectSettings, predicted: Surface | None = None) -> Labels:
    """Instance labels (y, x) of the objects of a predicted mask.

    `predicted` is the map that `settings.method` asks for, of the mask's shape, in 0..1; None for the others.
    """
    if settings.background:
        mask = ~mask
        predicted = None if predicted is None else 1 - predicted
    mask = fill_holes(mask, settings.max_hole_area, settings.connectivity)
    labels = components(mask, settings.connectivity)
    if settings.method != "none":
        labels = _separate(labels, _surface(mask, settings, predicted), settings)
    return drop_small(labels, settings.min_area)


def components(mask: Mask, connectivity: int = 8) -> Labels:
    """Connected components of a mask (y, x); `connectivity` is 8 (all neighbours) or 4."""
    labels = np.zeros(mask.shape, dtype=np.int32)
    ndimage.label(mask, ndimage.generate_binary_structure(mask.ndim, _rank(connectivity)), output=labels)
    return labels


def fill_holes(mask: Mask, max_area: int, connectivity: int = 8) -> Mask:
    """Fill enclosed background of at most `max_area` pixels.

    Background has the other connectivity than the objects (4 for 8), else a diagonal line would enclose nothing.
    """
    if max_area == 0:
        return mask
    holes = ndimage.binary_fill_holes(mask, ndimage.generate_binary_structure(mask.ndim, 3 - _rank(connectivity)))
    labels = components(holes & ~mask, 12 - connectivity)
    area = np.bincount(labels.ravel())
    return mask | ((labels > 0) & (area[labels] <= max_area))


def drop_small(labels: npt.NDArray[Any], min_area: int) -> Labels:
    """Remove objects of fewer than `min_area` pixels; the others are numbered from 1 in the same order."""
    area = np.bincount(labels.ravel(), minlength=1)
    kept = area >= min_area
    kept[0] = False
    numbers = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    renumbered: Labels = numbers[labels]
    return renumbered


def _rank(connectivity: int) -> int:
    return {4: 1, 8: 2}[connectivity]


def _surface(mask: Mask, settings: ObjectSettings, predicted: Surface | None) -> Surface:
    """The map whose peaks are the objects' middles, smoothed."""
    if settings.method == "distance":
        surface = boundary_distance(mask)
    else:
        assert predicted is not None, f"method {settings.method} needs a predicted map"
        assert predicted.shape == mask.shape, f"map of shape {predicted.shape}, mask of shape {mask.shape}"
        surface = np.where(mask, predicted, np.float32(0))
    return surface if settings.smoothing == 0 else ndimage.gaussian_filter(surface, settings.smoothing)


def _separate(labels: Labels, surface: Surface, settings: ObjectSettings) -> Labels:
    """Split each component where its surface has several peaks, by a seeded watershed.

    Fragments below the minimum area are given back to their neighbours instead of being cut off and dropped.
    """
    separated = labels.copy()
    count = int(labels.max(initial=0))
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        inside = labels[box] == number
        seeds = peaks(np.where(inside, surface[box], np.float32(0)), inside, settings.depth)
        parts = _flood(surface[box], seeds, inside, settings.min_area)
        extra = int(parts.max()) - 1
        if extra > 0:
            separated[box][inside] = np.where(parts == 1, number, parts + count - 1)[inside]
            count += extra
    return separated


def _flood(surface: Surface, seeds: Labels, inside: Mask, min_area: int) -> Labels:
    """Watershed basins of the seeds; seeds with a basin below `min_area` are dropped while larger ones remain."""
    if seeds.max() < 2:
        return inside.astype(np.int32)
    parts: Labels = watershed(-surface, seeds, mask=inside, connectivity=2)
    large = np.bincount(parts.ravel()) >= min_area
    large[0] = True
    if large[1:].any() and not large.all():
        seeds = relabel_sequential(np.where(large[seeds], seeds, 0))[0]
        parts = watershed(-surface, seeds, mask=inside, connectivity=2)
    return parts


def peaks(surface: Surface, inside: Mask, depth: float) -> Labels:
    """Seeds: the regional maxima of a surface that rise above the pass to a higher one by `depth` of their height.

    They are the h-maxima of the logarithm of the surface, with h = -log(1 - depth) (Soille, Morphological Image
    Analysis, 2003, chapter 6: regional maxima of the reconstruction of f - h under f).
    """
    floor = max(float(surface.max()), 1e-6) * 1e-3
    height = np.where(inside, np.log(np.maximum(surface, floor)), np.log(floor) - 1)
    if depth > 0:
        height = reconstruction(height + np.log1p(-depth), height, method="dilation")
    return components(local_maxima(height, connectivity=2) & inside)


def boundary_distance(mask: Mask) -> Surface:
    """Euclidean distance of each foreground pixel to the nearest background pixel, in pixels; 0 in background.

    Beyond the image lies no background: an object that the image border cuts goes on there. A mask without any
    background is as far from it as the image is long.
    """
    if mask.all():
        return np.full(mask.shape, max(mask.shape), dtype=np.float32)
    return ndimage.distance_transform_edt(mask).astype(np.float32)


def cut_touching(labels: npt.NDArray[Any]) -> Mask:
    """The mask of instance labels in which touching objects are separated by a gap of two pixels.

    Pixels with a pixel of another object among their eight neighbours become background, on both sides.
    """
    size = (3,) * labels.ndim
    highest = ndimage.maximum_filter(labels, size)
    foreground: Mask = labels > 0
    lowest = ndimage.minimum_filter(np.where(foreground, labels, highest.max(initial=0) + 1), size)
    inner: Mask = foreground & (highest == lowest)
    return inner


def distance_target(mask: Mask) -> Surface:
    """What a second output channel learns: the distance to the object's boundary over its greatest, in 0..1.

    Objects are the components (8) of the mask, so touching ones must be apart in it, as `cut_touching` makes them.
    Every object peaks at 1, whatever its size; background is 0.
    """
    distance = boundary_distance(mask)
    labels = components(mask)
    peak = ndimage.maximum(distance, labels, np.arange(labels.max(initial=0) + 1))
    peak = np.asarray(peak, dtype=np.float32)
    peak[0] = 1
    return distance / peak[labels]


def border_target(mask: Mask, width: int = 3) -> Mask:
    """The seams between objects: pixels with two objects (components, 8) within `width` pixels, in or outside.

    Distance is counted along the longer axis (a square neighbourhood).
    """
    size = (2 * width + 1,) * mask.ndim
    labels = components(mask)
    highest = ndimage.maximum_filter(labels, size)
    beyond = labels.max(initial=0) + 1
    lowest = ndimage.minimum_filter(np.where(mask, labels, beyond), size)
    seams: Mask = (highest != lowest) & (lowest < beyond)
    return seams
