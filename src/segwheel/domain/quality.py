"""What is known about one sample's files, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from segwheel.errors import FormatError, PartialError, SegwheelError
from segwheel.formats.files import content_md5
from segwheel.formats.tiff import FOREGROUND, UNLABELLED, label_from_file_values, read_image, read_mask_values, remark

IMAGE_COLUMNS = ("height", "width", "dtype", "min", "max", "p01", "p99", "image_md5")
MASK_COLUMNS = ("mask_coverage", "object_count", "mask_md5")
FINDING_COLUMNS = ("basename", "status", "file", "message")

_NEIGHBOURS = np.ones((3, 3), dtype=bool)  # 8-connectivity


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with (status "error") or odd about (status "warning") a sample."""

    basename: str
    status: str
    file: str
    message: str  # one line that names the file

    def row(self) -> dict[str, object]:
        return {"basename": self.basename, "status": self.status, "file": self.file, "message": self.message}


@dataclass(frozen=True)
class Checked:
    """The quality columns of one sample, empty where a file could not be read, and what was found."""

    columns: dict[str, object]
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class ValidationResult:
    """What was looked at: a manifest row for each sound sample, and everything found."""

    rows: list[dict[str, object]]
    findings: list[Finding]
    total: int  # samples looked at

    def raise_for_errors(self, action: str) -> None:
        """Raise PartialError when samples were left out."""
        raise_for_errors(action, self.findings, self.total)


def error(basename: str, problem: SegwheelError, path: Path) -> Finding:
    """A finding that keeps the sample out of the manifest."""
    return Finding(basename, "error", str(path), str(problem))


def check_sample(basename: str, image_path: Path, mask_path: Path | None, *, may_be_empty: bool = False) -> Checked:
    """Read a sample's files and measure them.

    With `may_be_empty` a mask without foreground is fine: a person looked and there was nothing.
    """
    columns: dict[str, object] = {}
    findings: list[Finding] = []
    shape: tuple[int, ...] | None = None
    try:
        image = read_image(image_path)
        shape = image.shape
        columns |= measure_image(image) | {"image_md5": content_md5(image_path)}
    except SegwheelError as problem:
        findings.append(error(basename, problem, image_path))
    if mask_path is not None:
        try:
            values = read_mask_values(mask_path)
            label = label_from_file_values(mask_path, values)
            _check_label(mask_path, label, shape, may_be_empty=may_be_empty)
            columns |= measure_label(label) | {"mask_md5": content_md5(mask_path)}
            if message := remark(mask_path, values):
                findings.append(Finding(basename, "warning", str(mask_path), message))
        except SegwheelError as problem:
            findings.append(error(basename, problem, mask_path))
    return Checked(columns, tuple(findings))


def measure_image(image: npt.NDArray[Any]) -> dict[str, object]:
    """Size, type and intensity range of an image (y, x); `p01` and `p99` are the 1st and 99th percentile."""
    p01, p99 = np.percentile(image, [1, 99])
    height, width = image.shape
    intensities = {"min": image.min(), "max": image.max(), "p01": p01, "p99": p99}
    rounded = {name: float(f"{value:.6g}") for name, value in intensities.items()}
    return {"height": height, "width": width, "dtype": str(image.dtype), **rounded}


def measure_label(label: npt.NDArray[np.uint8]) -> dict[str, object]:
    """Foreground as a fraction of the labelled pixels, and the number of 8-connected objects, of a label array."""
    foreground = label == FOREGROUND
    labelled = int((label != UNLABELLED).sum())
    coverage = float(foreground.sum()) / labelled if labelled else 0.0
    _, objects = ndimage.label(foreground, structure=_NEIGHBOURS)
    return {"mask_coverage": round(coverage, 6), "object_count": int(objects)}


def repeated_images(rows: Iterable[dict[str, object]]) -> list[Finding]:
    """Warnings about images of the same content under several names: they could stand in training and test."""
    first: dict[object, dict[str, object]] = {}
    findings = []
    for row in rows:
        other = first.setdefault(row["image_md5"], row)
        if other is not row:
            message = f"{row['image_path']}: the same content as {other['image_path']}"
            findings.append(Finding(str(row["basename"]), "warning", str(row["image_path"]), message))
    return findings


def raise_for_errors(action: str, findings: Iterable[Finding], total: int) -> None:
    """Raise PartialError when a finding is an error; `total` counts the samples that were looked at."""
    failures = {finding.basename: finding.message for finding in findings if finding.status == "error"}
    if failures:
        raise PartialError(action, failures, total)


def _check_label(
    path: Path, label: npt.NDArray[np.uint8], shape: tuple[int, ...] | None, *, may_be_empty: bool
) -> None:
    if shape is not None and label.shape != shape:
        expected = f"a mask as large as its image, {_size(shape)}"
        raise FormatError(path, expected=expected, found=_size(label.shape))
    if (label == UNLABELLED).all():
        raise FormatError(path, expected="labelled pixels", found="a mask that is unlabelled everywhere")
    if not may_be_empty and not (label == FOREGROUND).any():
        raise FormatError(path, expected="foreground pixels", found="an all-empty mask")


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(str(n) for n in shape) + " (height x width)"
