"""Cutting training patches out of labelled volumes, and out of generated ones, into patch stores.

A patch is what a network sees at a time: its RGT is put on the scale 0..1, because a network that sees one patch
cannot know where in the volume it lies. Beyond the border of a volume, and wherever the volume is dead, the image of a
patch is 0 and its targets are unlabelled.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from segwheel.axes import Region
from segwheel.domain.intensity import Normalization, measure_volume
from segwheel.domain.manifest import Sample, read_manifest
from segwheel.domain.rgt import rescale
from segwheel.domain.slabs import blocks
from segwheel.domain.synthesis.seismic import TARGETS, SeismicSample
from segwheel.domain.synthesis.volumes import generated_samples
from segwheel.domain.volume_conversion import ANGLES, LABEL
from segwheel.errors import FormatError, ManifestError
from segwheel.formats import volume
from segwheel.formats.patch_store import Patch, write_patches
from segwheel.formats.volume import CHUNK_ELEMENTS, FILL, Volume, require_same_grid
from segwheel.params.volumes import GenerateVolumesParams, VolumePatchParams

TASKS = {"rgt": ("rgt",), "dhr": ("dhr",), "fault": (LABEL, *ANGLES)}
Arrays = dict[str, npt.NDArray[Any]]
Live = npt.NDArray[np.bool_]


def attributes(tasks: Sequence[str], ndim: int) -> tuple[str, ...]:
    """The attributes that the tasks predict in volumes of `ndim` axes: a section has no strike."""
    return tuple(name for task in tasks for name in TASKS[task] if name in TARGETS[ndim])


def cut_volume_patches(
    train_manifest: Path,
    val_manifest: Path,
    data_root: Path,
    output_dir: Path,
    tasks: Sequence[str],
    params: VolumePatchParams,
) -> None:
    """Write `train.zarr` and, where the validation manifest has samples, `val.zarr` to `output_dir`.

    Paths in the manifests start at `data_root`. Generated volumes are cut into as many patches as fit side by side,
    and only trained on. Raises ManifestError when there is nothing to train on, FormatError for labels that do not
    fit their image or label nothing, and for a volume of another number of axes than the patches.
    """
    train, validation = (read_manifest(path, data_root) for path in (train_manifest, val_manifest))
    if not train and params.generated is None:
        raise ManifestError(
            train_manifest,
            expected="labelled volumes to train on",
            found="none",
            hint="patches.generated makes volumes of known truth",
        )
    names = attributes(tasks, len(params.shape))
    cuts = [_SampleCuts(sample, names, params, params.patches_per_volume) for sample in train]
    made = [_GeneratedCuts(params.generated, names, params.shape)] if params.generated else []
    _write(output_dir / "train.zarr", [*cuts, *made], tasks, params)
    if validation:
        cuts = [_SampleCuts(sample, names, params, params.validation_patches_per_volume) for sample in validation]
        _write(output_dir / "val.zarr", cuts, tasks, params)


def _write(
    path: Path, cuts: Sequence[_SampleCuts | _GeneratedCuts], tasks: Sequence[str], params: VolumePatchParams
) -> None:
    names = [name for cut in cuts for name in cut.names]
    attached = {"patch_shape": list(params.shape), "targets": list(tasks), "samples": names, "image_std": 1.0}
    write_patches(path, (patch for cut in cuts for patch in cut), len(names), attached)


@dataclass(frozen=True)
class _GeneratedCuts:
    """Patches of generated volumes, side by side."""

    generated: GenerateVolumesParams
    attributes: tuple[str, ...]
    shape: tuple[int, ...]

    @property
    def names(self) -> list[str]:
        """The volume of each patch."""
        numbers = range(1, self.generated.count + 1)
        return [f"generated {number}" for number in numbers for _ in self._corners()]

    def _corners(self) -> list[tuple[int, ...]]:
        """First elements of the patches in a volume."""
        axes = zip(self.generated.shape, self.shape, strict=True)
        return list(product(*(range(0, n - size + 1, size) for n, size in axes)))

    def __iter__(self) -> Iterator[Patch]:
        for sample in generated_samples(self.generated):
            normalization = Normalization.measure([sample.image])
            for corner in self._corners():
                yield self._patch(sample, Region.at(corner, self.shape).slices, normalization)

    def _patch(self, sample: SeismicSample, part: tuple[slice, ...], normalization: Normalization) -> Patch:
        labels = {name: sample.targets[name][part] for name in self.attributes}
        if LABEL in labels:
            labels[LABEL] = labels[LABEL].astype(np.uint8)
        return finished(sample.image[part], np.ones(self.shape, np.bool_), labels, normalization)


@dataclass(frozen=True)
class _SampleCuts:
    """Patches of a labelled sample, drawn where its labels are."""

    sample: Sample
    attributes: tuple[str, ...]
    params: VolumePatchParams
    count: int

    @property
    def names(self) -> list[str]:
        """The volume of each patch."""
        return [self.sample.basename] * self.count

    def __iter__(self) -> Iterator[Patch]:
        image, labels = self._open()
        normalization = measure_volume(image)
        # A sample's patches do not depend on which other samples there are.
        rng = np.random.default_rng([self.params.seed, zlib.crc32(self.sample.basename.encode())])
        for element in drawn(image, labels, self.count, self.params.positive_ratio, rng):
            region = around(element, self.params.shape, image.shape, rng)
            yield self._patch(image, labels, region, normalization)

    def _open(self) -> tuple[Volume, dict[str, Volume]]:
        """The image and the labels that there are, on one grid."""
        image = volume.open(self.sample.image_path)
        if len(image.shape) != len(self.params.shape):
            expected = f"a volume of {len(self.params.shape)} axes, as patches.shape"
            raise FormatError(image.path, expected=expected, found=image.geometry.text(image.shape))
        wanted = [name for name in self.attributes if name in self.sample.targets]
        labels = {name: volume.open(self.sample.targets[name]) for name in wanted}
        for label in labels.values():
            require_same_grid(image, label)
        return image, labels

    def _patch(
        self, image: Volume, labels: Mapping[str, Volume], region: Region, normalization: Normalization
    ) -> Patch:
        inside = region.intersection(Region.whole(image.shape))
        place, shape = inside.relative_to(region).slices, region.shape
        arrays: Arrays = {}
        for name in self.attributes:
            fill = FILL[np.dtype(np.uint8 if name == LABEL else np.float32)]
            arrays[name] = np.full(shape, fill, np.uint8 if name == LABEL else np.float32)
            if name in labels:
                values, known = labels[name].read_with_live(inside)
                arrays[name][place] = np.where(known, values, fill)
        samples, live = np.zeros(shape, np.float32), np.zeros(shape, np.bool_)
        samples[place], live[place] = image.read_with_live(inside)
        return finished(samples, live, arrays, normalization)


def finished(samples: npt.NDArray[Any], live: Live, labels: Mapping[str, Any], normalization: Normalization) -> Patch:
    """A patch as networks see it: `samples` normalised, `labels` in their units and unlabelled where it is dead.

    RGT covers 0..1 over what is labelled; DHR has the scale of the image; dip and strike are 0 off faults.
    """
    made: Arrays = {}
    for name, values in labels.items():
        if name == LABEL:
            made[name] = np.where(live, values, np.uint8(FILL[np.dtype(np.uint8)]))
        else:
            made[name] = np.where(live, values, np.float32(np.nan))
    if "rgt" in made:
        known = np.isfinite(made["rgt"])
        made["rgt"] = np.where(known, rescale(made["rgt"], known), np.float32(np.nan))
    if "dhr" in made:
        made["dhr"] = made["dhr"] / np.float32(normalization.std)
    for name in set(ANGLES) & made.keys():
        if np.isfinite(made[name]).any():
            made[name] = np.where(made[LABEL] == 0, np.float32(0), made[name])
    return np.where(live, normalization.apply(samples), np.float32(0)), made


def around(element: Sequence[int], size: Sequence[int], length: Sequence[int], rng: np.random.Generator) -> Region:
    """A region of `size` with `element` somewhere in its middle half, inside an array of `length` where it fits.

    Along an axis shorter than the region it reaches beyond both ends.
    """
    start = []
    for at, n, total in zip(element, size, length, strict=True):
        first = at - int(rng.integers(n // 4, n - n // 4))
        start.append(min(max(first, 0), total - n) if total >= n else (total - n) // 2)
    return Region.at(start, size)


def drawn(
    image: Volume, labels: Mapping[str, Volume], count: int, positive_ratio: float, rng: np.random.Generator
) -> list[tuple[int, ...]]:
    """`count` live, labelled elements: a share of `positive_ratio` of faults, the rest anywhere labelled.

    Without faults all are of the second kind. Memory depends on the size of a chunk only. Raises FormatError when
    nothing is labelled.
    """
    parts = list(blocks(Region.whole(image.shape), CHUNK_ELEMENTS))
    counts = np.array([[np.count_nonzero(mask) for mask in _masks(image, labels, part)] for part in parts])
    faults, labelled = counts.sum(axis=0)
    if not labelled:
        raise FormatError(image.path, expected="labels of live voxels", found="none")
    positives = round(count * positive_ratio) if faults else 0
    elements = []
    for kind, wanted in enumerate((positives, count - positives)):
        ends = counts[:, kind].cumsum()
        for rank in rng.integers(max(ends[-1], 1), size=wanted):
            part = parts[int(np.searchsorted(ends, rank, side="right"))]
            mask = _masks(image, labels, part)[kind]
            before = ends[parts.index(part)] - np.count_nonzero(mask)
            place = np.unravel_index(np.flatnonzero(mask)[rank - before], part.shape)
            elements.append(tuple(int(i) + start for i, start in zip(place, part.start, strict=True)))
    return elements


def _masks(image: Volume, labels: Mapping[str, Volume], part: Region) -> tuple[Live, Live]:
    """Where a region is live and a fault, and where it is live and labelled for anything."""
    live = image.live(part)
    known = np.logical_or.reduce([np.zeros_like(live), *(label.live(part) for label in labels.values())])
    fault = labels[LABEL].read(part) == 1 if LABEL in labels else np.zeros_like(live)
    return live & fault, live & known
