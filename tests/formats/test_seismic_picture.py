from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from segwheel.formats.geometry import Axis
from segwheel.formats.seismic_picture import View, direction_colors, save_figure, seismic_figure

SHAPE = (12, 16)
ROWS, COLUMNS = Axis("depth", 100, 4, "ms"), Axis("crossline", 875, 2)


def view(**values: np.ndarray) -> View:
    image = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    return View("inline 111", ROWS, COLUMNS, {"image": image, **values})


def angle_view(name: str, degrees: float) -> View:
    fsem = np.zeros(SHAPE, np.float32)
    fsem[:, 5] = 0.9
    return view(fsem=fsem, **{name: np.full(SHAPE, degrees, np.float32)})


def titles(figure: Figure) -> list[str]:
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


def fault_colors(figure: Figure) -> np.ndarray:
    panel = next(axes for axes in figure.axes if axes.get_title().startswith("Faults"))
    return np.asarray(panel.images[-1].get_array())


def test_there_are_panels_for_what_any_view_has() -> None:
    rgt = np.linspace(0, 1, 12, dtype=np.float32)[:, None].repeat(16, axis=1)
    assert titles(seismic_figure([view()])) == ["Image"]
    assert titles(seismic_figure([view(), view(rgt=rgt)])) == ["Image", "RGT contours"]
    assert titles(seismic_figure([angle_view("fstrike", 10)])) == ["Image", "Faults by strike"]
    assert titles(seismic_figure([angle_view("fdip", 10)])) == ["Image", "Faults by dip"]


def test_one_wide_view_has_two_panels_a_row() -> None:
    image = np.random.default_rng(0).standard_normal((8, 40)).astype(np.float32)
    values = {"image": image, "dhr": image, "fsem": np.zeros_like(image)}
    wide, square = (
        View("", ROWS, COLUMNS, values),
        view(dhr=np.ones(SHAPE, np.float32), fsem=np.ones(SHAPE, np.float32)),
    )
    for views, expected in (([wide], [0, 0, 1]), ([square], [0, 0, 0]), ([wide, wide], [0, 0, 0, 1, 1, 1])):
        panels = [axes for axes in seismic_figure(views).axes if axes.get_xlabel()]
        assert [axes.get_subplotspec().rowspan.start for axes in panels] == expected


def test_axes_count_in_the_numbers_of_the_volume() -> None:
    axes = seismic_figure([view()]).axes[0]
    assert axes.images[0].get_extent() == [874, 906, 146, 98]
    assert axes.get_ylabel() == "inline 111\ndepth (ms)"
    assert axes.get_xlabel() == "crossline"


def test_strike_0_and_180_have_one_colour_and_90_another() -> None:
    colors = [fault_colors(seismic_figure([angle_view("fstrike", degrees)]))[0, 5] for degrees in (0.0, 180.0, 90.0)]
    assert colors[0] == pytest.approx(colors[1], abs=0.02)
    assert np.abs(colors[0] - colors[2]).max() > 0.5


def test_only_faults_above_the_threshold_are_painted() -> None:
    one = angle_view("fstrike", 30)
    painted = fault_colors(seismic_figure([one]))[..., 3]
    assert (painted == (one.values["fsem"] >= 0.5)).all()
    assert not fault_colors(seismic_figure([one], threshold=0.95))[..., 3].any()


def test_a_fault_without_a_direction_is_white() -> None:
    fsem = np.ones(SHAPE, np.float32)
    assert (fault_colors(seismic_figure([view(fsem=fsem)])) == 1).all()


def test_the_wheel_turns_once_in_180_degrees() -> None:
    colors = direction_colors()(np.linspace(0, 1, 256))
    steps = np.abs(np.diff(np.concatenate([colors, colors[:1]]), axis=0)).max(axis=1)
    assert steps.max() < 0.05


def test_contours_end_at_faults() -> None:
    rgt = np.linspace(0, 1, 12, dtype=np.float32)[:, None].repeat(16, axis=1)
    fsem = np.zeros(SHAPE, np.float32)
    fsem[:, 8] = 1
    figure = seismic_figure([view(rgt=rgt, fsem=fsem)])
    panel = next(axes for axes in figure.axes if axes.get_title() == "RGT contours")
    (contours,) = panel.collections
    across = [vertex[0] for path in contours.get_paths() for vertex in path.vertices]
    assert across
    at = COLUMNS.number(8)
    assert min(abs(x - at) for x in across) == pytest.approx(COLUMNS.step)


@pytest.mark.parametrize("nothing", ["image", "rgt"])
def test_nothing_to_draw_is_drawn_as_nothing(tmp_path: Path, nothing: str) -> None:
    dead = np.full(SHAPE, np.nan, np.float32)
    save_figure(tmp_path / "a.png", seismic_figure([view(**{nothing: dead})]))
    assert Image.open(tmp_path / "a.png").width > 100
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
