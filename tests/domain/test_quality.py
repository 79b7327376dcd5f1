from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import tifffile

from segwheel.domain.quality import check_sample, measure_image, measure_label, raise_for_errors, repeated_images
from segwheel.errors import PartialError
from segwheel.formats.files import content_md5

IMAGE = np.random.default_rng(1).integers(0, 1000, (40, 30), dtype=np.uint16)
MASK = np.zeros((40, 30), np.uint8)
MASK[5:10, 5:10] = 255
MASK[10:12, 10:12] = 255  # touches at a corner: the same object
MASK[30, 20] = 255


def files(folder: Path, image: np.ndarray = IMAGE, mask: np.ndarray = MASK) -> tuple[Path, Path]:
    tifffile.imwrite(folder / "a.tif", image)
    tifffile.imwrite(folder / "a_mask.tif", mask)
    return folder / "a.tif", folder / "a_mask.tif"


def test_a_sound_sample_is_measured(tmp_path: Path) -> None:
    image, mask = files(tmp_path)
    checked = check_sample("a", image, mask)
    assert checked.findings == ()
    columns = checked.columns
    assert (columns["height"], columns["width"], columns["dtype"]) == (40, 30, "uint16")
    assert (columns["min"], columns["max"]) == (IMAGE.min(), IMAGE.max())
    assert columns["p01"] == pytest.approx(np.percentile(IMAGE, 1), rel=1e-5)
    assert columns["mask_coverage"] == pytest.approx(30 / 1200)
    assert columns["object_count"] == 2
    assert columns["image_md5"] == content_md5(image)
    assert columns["mask_md5"] == content_md5(mask)


def test_unlabelled_pixels_do_not_count_for_coverage() -> None:
    label = np.array([[0, 1, 255, 255]], np.uint8)
    assert measure_label(label) == {"mask_coverage": 0.5, "object_count": 1}


def test_a_constant_image_has_a_range() -> None:
    assert measure_image(np.full((3, 4), 7, np.uint8))["p99"] == 7


@pytest.mark.parametrize(
    ("image", "mask", "found"),
    [
        (IMAGE, MASK[:, :20], "expected a mask as large as its image, 40 x 30 .*found 40 x 20"),
        (IMAGE, np.full((40, 30), 7, np.uint8), "found values 7"),
        (IMAGE, np.zeros((40, 30), np.uint8), "an all-empty mask"),
        (IMAGE, np.full((40, 30), 128, np.uint8), "unlabelled everywhere"),
        (np.where(MASK, np.nan, 1.0), MASK, "30 NaN or infinite pixels"),
    ],
)
def test_what_is_wrong_is_one_error(tmp_path: Path, image: np.ndarray, mask: np.ndarray, found: str) -> None:
    (finding,) = check_sample("a", *files(tmp_path, image, mask)).findings
    assert finding.status == "error"
    assert "a" in finding.file
    with pytest.raises(PartialError, match=r"check: 1 of 3 failed \(a\)") as caught:
        raise_for_errors("check", [finding], 3)
    assert re.search(found, caught.value.failures["a"])


def test_both_files_are_looked_at(tmp_path: Path) -> None:
    image, mask = files(tmp_path, mask=np.full((40, 30), 3, np.uint8))
    image.write_bytes(image.read_bytes()[:500])
    assert len(check_sample("a", image, mask).findings) == 2


def test_zero_and_one_is_said(tmp_path: Path) -> None:
    (finding,) = check_sample("a", *files(tmp_path, mask=MASK // 255)).findings
    assert finding.status == "warning"
    assert "values 0 and 1" in finding.message
    raise_for_errors("check", [finding], 1)


def test_a_looked_at_mask_may_be_empty(tmp_path: Path) -> None:
    image, mask = files(tmp_path, mask=np.zeros((40, 30), np.uint8))
    checked = check_sample("a", image, mask, may_be_empty=True)
    assert checked.findings == ()
    assert checked.columns["object_count"] == 0


def test_the_same_content_twice_is_a_warning() -> None:
    rows: list[dict[str, object]] = [
        {"basename": name, "image_path": f"{name}.tif", "image_md5": md5}
        for name, md5 in [("a", "1"), ("b", "2"), ("c", "1")]
    ]
    (finding,) = repeated_images(rows)
    assert (finding.basename, finding.status) == ("c", "warning")
    assert finding.message == "c.tif: the same content as a.tif"
