from __future__ import annotations

import numpy as np
import pytest

from segwheel.domain.measure import COLUMNS, measure_objects

Y, X = np.mgrid[:100, :120]
DISC = np.hypot(Y - 40, X - 50) < 20.5
ELLIPSE = ((Y - 80) / 10) ** 2 + ((X - 70) / 30) ** 2 < 1


def test_a_disc_is_round() -> None:
    (row,) = measure_objects(DISC.astype(int)).to_dict("records")
    assert row["area"] == DISC.sum()
    assert row["equivalent_diameter"] == pytest.approx(41, rel=0.01)
    assert row["major_axis"] == pytest.approx(41, rel=0.02)
    assert row["minor_axis"] == pytest.approx(41, rel=0.02)
    assert row["perimeter"] == pytest.approx(2 * np.pi * 20, rel=0.05)
    assert row["eccentricity"] < 0.1
    assert row["circularity"] > 0.93
    assert (row["centroid_y"], row["centroid_x"]) == (40, 50)
    assert [row[f"bbox_{name}"] for name in ("y_start", "x_start", "y_stop", "x_stop")] == [20, 30, 61, 71]


def test_an_ellipse_has_its_axes() -> None:
    (row,) = measure_objects(ELLIPSE.astype(int)).to_dict("records")
    assert row["major_axis"] == pytest.approx(60, rel=0.03)
    assert row["minor_axis"] == pytest.approx(20, rel=0.03)
    assert row["eccentricity"] == pytest.approx(np.sqrt(1 - 1 / 9), rel=0.01)
    assert row["circularity"] < 0.75


def test_a_pixel_size_adds_micrometres() -> None:
    pixels, both = (measure_objects(DISC.astype(int), size) for size in (None, 0.5))
    assert list(pixels.columns) == list(COLUMNS)
    assert list(both.columns[: len(COLUMNS)]) == list(COLUMNS)
    assert both["area_um2"][0] == pixels["area"][0] / 4
    places = ("centroid_y", "centroid_x", "bbox_y_start", "bbox_x_start", "bbox_y_stop", "bbox_x_stop")
    for name in ("perimeter", "equivalent_diameter", "major_axis", "minor_axis", *places):
        assert both[f"{name}_um"][0] == pixels[name][0] / 2


def test_every_label_has_its_row_and_no_object_no_row() -> None:
    labels = DISC.astype(int)
    labels[ELLIPSE] = 7
    assert measure_objects(labels)["object"].tolist() == [1, 7]
    empty = measure_objects(np.zeros((5, 5), int), 0.5)
    assert len(empty) == 0
    assert set(COLUMNS) < set(empty.columns)


def test_a_single_pixel_has_no_circularity() -> None:
    labels = np.zeros((5, 5), int)
    labels[2, 2] = 1
    assert np.isnan(measure_objects(labels)["circularity"][0])
