"""Cutting training patches out of labelled samples into patch stores."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from segwheel.domain.intensity import Normalization
from segwheel.domain.manifest import Sample, read_manifest
from segwheel.domain.objects import border_target, distance_target
from segwheel.domain.patching import UNLABELLED, centred, cut, patch_centres, unlabelled
from segwheel.domain.resolution import resampled, resampled_label, training_shape
from segwheel.errors import FormatError, ManifestError
from segwheel.formats.patch_store import Patch, write_patches
from segwheel.formats.tiff import read_image, read_mask
from segwheel.params.images import PatchParams

Targets = dict[str, npt.NDArray[Any]]


def cut_patches(
    train_manifest: Path,
    val_manifest: Path | None,
    data_root: Path,
    output_dir: Path,
    targets: Sequence[str],
    params: PatchParams,
) -> None:
    """Write `train.zarr` and, where the validation manifest has samples, `val.zarr` to `output_dir`.

    Paths in the manifests start at `data_root`. The normalisation is measured on the training samples and stored
    with both. Raises ManifestError when there is nothing to train on or a training sample has no mask, FormatError
    when a mask does not fit its image.
    """
    train = _labelled(train_manifest, data_root)
    if not train:
        raise ManifestError(train_manifest, expected="labelled samples to train on", found="none")
    normalization = Normalization.measure(_image(sample, params) for sample in train)
    validation = _labelled(val_manifest, data_root) if val_manifest else []
    counts = {"train": params.patches_per_image, "val": params.validation_patches_per_image}
    for split, samples in (("train", train), ("val", validation)):
        if samples:
            _write(output_dir / f"{split}.zarr", samples, counts[split], targets, params, normalization)


def _labelled(manifest: Path, data_root: Path) -> list[Sample]:
    samples = read_manifest(manifest, data_root, targets=["mask"])
    for sample in samples:
        if "mask" not in sample.targets:
            raise ManifestError(
                manifest, expected="a mask for every training sample", found=f"none for {sample.basename}"
            )
    return samples


def _write(
    path: Path,
    samples: list[Sample],
    per_sample: int,
    targets: Sequence[str],
    params: PatchParams,
    normalization: Normalization,
) -> None:
    attributes = {
        "patch_size": params.patch_size,
        "pixel_size_um": params.pixel_size_um,
        "normalization": asdict(normalization),
        "samples": [sample.basename for sample in samples for _ in range(per_sample)],
    }
    cuts = (patch for sample in samples for patch in _cuts(sample, per_sample, targets, params, normalization))
    write_patches(path, cuts, per_sample * len(samples), attributes)


def _image(sample: Sample, params: PatchParams) -> npt.NDArray[Any]:
    image = read_image(sample.image_path)
    shape = training_shape(image.shape, sample.pixel_size_um, params.pixel_size_um)
    return image if shape == image.shape else resampled(image, shape)


def _cuts(
    sample: Sample, count: int, targets: Sequence[str], params: PatchParams, normalization: Normalization
) -> Iterator[Patch]:
    raw, mask = read_image(sample.image_path), read_mask(sample.targets["mask"])
    if raw.shape != mask.shape:
        raise FormatError(
            sample.targets["mask"], expected=f"a mask of {raw.shape}, as its image", found=f"{mask.shape}"
        )
    image = normalization.apply(_image(sample, params))
    labels = label_targets(resampled_label(mask, image.shape), targets)
    # A sample's patches do not depend on which other samples there are.
    rng = np.random.default_rng([params.seed, zlib.crc32(sample.basename.encode())])
    stored = params.patch_size + 2 * round(params.max_jitter * params.patch_size)
    for centre in patch_centres(
        labels["mask"], params.patch_size, count, params.positive_ratio, params.negative_threshold, rng
    ):
        region = centred(centre, stored)
        yield cut(image, region), {name: cut(array, region, unlabelled(array)) for name, array in labels.items()}


DERIVED: dict[str, Callable[[npt.NDArray[np.bool_]], npt.NDArray[Any]]] = {
    "distance": distance_target,
    "border": border_target,
}


def label_targets(mask: npt.NDArray[np.uint8], targets: Sequence[str]) -> Targets:
    """Target arrays of a label array: the mask itself, and what is derived from it.

    A derived target is unlabelled (NaN) where the mask is.
    """
    made: Targets = {}
    for name in targets:
        if name == "mask":
            made[name] = mask
        else:
            made[name] = np.where(mask == UNLABELLED, np.nan, DERIVED[name](mask == 1)).astype(np.float32)
    return made
