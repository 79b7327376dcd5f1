from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from segwheel.domain.manifest import write_manifest
from segwheel.domain.objects import ObjectSettings
from segwheel.domain.quantification import quantify_folder
from segwheel.errors import ManifestError, MissingError, PartialError
from segwheel.formats.tiff import write_float, write_mask

SETTINGS = ObjectSettings(method="none", min_area=20)


def squares(*corners: tuple[int, int], side: int = 10) -> np.ndarray:
    mask = np.zeros((60, 80), np.uint8)
    for y, x in corners:
        mask[y : y + side, x : x + side] = 1
    return mask


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two predictions with truth (one of two objects found; both found), one without, one with an empty mask."""
    masks = {
        "a": (squares((5, 5), (30, 60)), squares((5, 5), (40, 5))),
        "b ü": (squares((5, 5), (5, 40)), squares((5, 5), (6, 40))),
        "empty": (squares(), squares()),
    }
    rows = []
    for name, (predicted, truth) in masks.items():
        write_mask(tmp_path / f"pred/{name}_pred_mask.tif", predicted)
        write_mask(tmp_path / f"masks/{name}_mask.tif", truth)
        group = "one" if name == "a" else "two"
        row = {"basename": name, "image_path": "x.tif", "mask_path": f"masks/{name}_mask.tif", "group": group}
        rows.append(row | {"pixel_size_um": "0.5" if name == "a" else ""})
    write_mask(tmp_path / "pred/extra_pred_mask.tif", squares((5, 5), (30, 60), (30, 5)))
    write_manifest(tmp_path / "all.csv", rows)
    return tmp_path


def run(folder: Path, **options: object) -> pd.DataFrame:
    options = {"settings": SETTINGS, "data_root": folder} | options
    quantify_folder(folder / "pred", folder / "all.csv", folder / "out", **options)  # type: ignore[arg-type]
    return pd.read_csv(folder / "out/instance_eval.csv").set_index("basename")


def test_every_table_is_written_and_agrees(folder: Path) -> None:
    scores = run(folder)
    objects = pd.read_csv(folder / "out/all_objects.csv")
    assert objects.groupby("basename").size().to_dict() == {"a": 2, "b ü": 2, "extra": 3}
    for name, part in objects.groupby("basename"):
        alone = pd.read_csv(folder / f"out/per_image/{name}_objects.csv")
        assert alone["area"].tolist() == part["area"].tolist() == [100] * len(part)
        labels = tifffile.imread(folder / f"out/labels/{name}_labels.tif")
        assert np.unique(labels).tolist() == [0, *alone["object"]]
    assert len(pd.read_csv(folder / "out/per_image/empty_objects.csv")) == 0
    assert scores.loc["a", ["tp", "fp", "fn"]].tolist() == [1, 1, 1]
    assert scores.loc["a", ["f1", "mean_matched_iou", "pixel_dice"]].tolist() == [0.5, 1, 0.5]
    assert scores.loc["b ü", "mean_matched_iou"] == pytest.approx((1 + 90 / 110) / 2)
    assert scores.loc["empty", ["f1", "pixel_dice", "pixel_iou"]].tolist() == [1, 1, 1]
    assert (folder / "out/plots/summary_plots.png").read_bytes().startswith(b"\x89PNG")


def test_the_summary_is_over_all_and_over_groups(folder: Path) -> None:
    scores = run(folder)
    summary = pd.read_csv(folder / "out/summary.csv", keep_default_na=False).set_index("group")
    assert summary["images"].to_dict() == {"all": 4, "one": 1, "two": 2, "": 1}
    assert summary["evaluated"].to_dict() == {"all": 3, "one": 1, "two": 2, "": 0}
    assert float(summary.loc["all", "object_f1"]) == pytest.approx(scores["f1"].mean())
    assert float(summary.loc["all", "object_f1_low"]) < 0.5 < float(summary.loc["all", "object_f1_high"])
    assert summary.loc["one", "object_f1_low"] == ""


def test_pixel_sizes_come_from_the_manifest_and_then_from_the_option(folder: Path) -> None:
    run(folder, pixel_size_um=2.0)
    area = pd.read_csv(folder / "out/all_objects.csv").groupby("basename")["area_um2"].first()
    assert area.to_dict() == {"a": 25, "b ü": 400, "extra": 400}


def test_without_truth_there_are_measurements_only(folder: Path) -> None:
    run(folder)
    found = quantify_folder(folder / "pred", None, folder / "out", settings=SETTINGS)
    assert len(found.objects) == 7
    assert not (folder / "out/instance_eval.csv").exists()  # the earlier one is of another run
    assert "object_f1" not in pd.read_csv(folder / "out/summary.csv")
    assert (folder / "out/plots/summary_plots.png").stat().st_size > 1000


def test_masks_by_their_own_names_are_measured_too(folder: Path) -> None:
    assert quantify_folder(folder / "masks", None, folder / "out", settings=SETTINGS).objects["basename"].nunique() == 2


def test_instance_numbers_are_the_truth_where_there_are_any(folder: Path) -> None:
    truth = squares((5, 5), (30, 60))
    truth[30:, 60:65] *= 2  # two cells, 50 pixels each, where the mask shows one
    tifffile.imwrite(folder / "labels.tif", truth + squares((5, 5)) * 8)
    row = {"basename": "a", "image_path": "x.tif", "mask_path": "masks/a_mask.tif", "labels_path": "labels.tif"}
    write_manifest(folder / "all.csv", [row])
    assert run(folder).loc["a", ["tp", "fp", "fn"]].tolist() == [2, 0, 1]


def test_unlabelled_pixels_judge_nothing(folder: Path) -> None:
    truth = squares((5, 5))
    truth[25:] = 255
    write_mask(folder / "masks/a_mask.tif", truth)
    assert run(folder).loc["a", ["tp", "fp", "fn", "pixel_dice"]].tolist() == [1, 0, 0, 1]


def test_the_threshold_counts(folder: Path) -> None:
    assert run(folder, iou_threshold=0.9).loc["b ü", ["tp", "fp", "fn"]].tolist() == [1, 1, 1]


def test_objects_of_the_background(folder: Path) -> None:
    walls = squares((0, 39), side=2)
    walls[:, 39:41] = 1
    write_mask(folder / "pred/a_pred_mask.tif", walls)
    write_mask(folder / "masks/a_mask.tif", walls)
    scores = run(folder, settings=ObjectSettings(method="none", min_area=20, background=True))
    assert scores.loc["a", ["tp", "fp", "fn"]].tolist() == [2, 0, 0]


def test_a_map_beside_the_mask_separates(folder: Path) -> None:
    for path in folder.glob("pred/*"):
        path.unlink()
    joined = squares((5, 5), (5, 15))
    dip = np.where(np.abs(np.arange(80) - 14.5) < 2, 0.1, 0.9)
    write_mask(folder / "pred/a_pred_mask.tif", joined)
    write_float(folder / "pred/a_pred_dist.tif", joined * dip)
    write_mask(folder / "masks/a_mask.tif", squares((5, 5), (5, 16)))
    settings = ObjectSettings(method="distance_output", min_area=20)
    assert run(folder, settings=settings).loc["a", ["tp", "fp", "fn"]].tolist() == [2, 0, 0]
    with pytest.raises(PartialError, match="1 of 1 failed"):
        run(folder, settings=ObjectSettings(method="probability", min_area=20))


def test_bad_images_are_named_after_the_others_are_done(folder: Path) -> None:
    write_mask(folder / "masks/a_mask.tif", np.zeros((10, 10), np.uint8))
    (folder / "pred/extra_pred_mask.tif").write_bytes(b"II*\0")
    with pytest.raises(PartialError, match=r"2 of 4 failed \(a, extra\)") as caught:
        run(folder)
    assert "masks/a_mask.tif: expected the size of the prediction" in caught.value.failures["a"]
    assert pd.read_csv(folder / "out/instance_eval.csv")["basename"].tolist() == ["b ü", "empty"]


def test_truth_without_prediction_is_told(folder: Path) -> None:
    (folder / "pred/a_pred_mask.tif").unlink()
    found = quantify_folder(folder / "pred", folder / "all.csv", folder / "out", settings=SETTINGS, data_root=folder)
    assert found.unpredicted == ("a",)


def test_what_cannot_be_meant_is_refused(folder: Path) -> None:
    with pytest.raises(MissingError, match=r"\*_pred_mask\.tif: no such mask"):
        quantify_folder(folder / "nowhere", None, folder / "out", settings=SETTINGS)
    write_manifest(folder / "all.csv", [{"basename": "other", "image_path": "x.tif", "mask_path": "m.tif"}])
    with pytest.raises(ManifestError, match=r"expected rows for the predicted images, as a, found other"):
        run(folder)
    assert not (folder / "out").exists()
