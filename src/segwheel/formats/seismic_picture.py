"""Figures of slices of seismic volumes: image, DHR, contours of RGT, and faults in the colour of their direction.

A figure goes to a PNG with `save_figure`, and with `rendered` to where arrays are shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.projections.polar import PolarAxes

from segwheel.formats.files import replacing
from segwheel.formats.geometry import Axis
from segwheel.formats.picture import Window
from segwheel.formats.space import writing

Floats = npt.NDArray[np.float32]

WIDTH, WIDEST = 3.0, 5.0  # inches of a panel that is as high as wide, and of a flat one
FLATTEST, TALLEST = 0.3, 1.3  # height over width
FOLDED = 0.6  # flatter than this, one view has two panels a row
CONTOURS = 24
DEAD = "#d9d9e8"  # where there is no image
HALF_TURN = 180.0
DPI = 200
_PERCENTILES = (1.0, 99.0)  # amplitudes beyond are black and white, as interpreters have it


@dataclass(frozen=True)
class View:
    """One slice of an image and its attributes, each [rows, columns] and NaN where nothing is known.

    `values` holds `image`, and any of `dhr`, `rgt` (0..1), `fsem` (probability), `fdip` and `fstrike` (degrees).
    """

    title: str
    rows: Axis
    columns: Axis
    values: Mapping[str, Floats]

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top in the numbers of the axes, half an element around the outer ones."""
        height, width = self.values["image"].shape
        return (
            *(self.columns.number(i) for i in (-0.5, width - 0.5)),
            *(self.rows.number(i) for i in (height - 0.5, -0.5)),
        )  # type: ignore[return-value]


def seismic_figure(views: Sequence[View], threshold: float = 0.5) -> Figure:
    """A row of panels for each view: the image, and DHR, RGT and faults as far as any view has them.

    One wide view alone has two panels a row. Faults are where `fsem` is at least `threshold`. They have the colour of
    their strike or, in a section (no view has `fstrike`), of their dip; the wheel beside them has the same colour where
    it points in the same direction.
    """
    names = {name for view in views for name in view.values}
    angle = "fstrike" if "fstrike" in names else "fdip"
    panels = ["image", *(name for name in ("dhr", "rgt", "fsem") if name in names)]
    heights = [float(np.clip(np.divide(*view.values["image"].shape), FLATTEST, TALLEST)) for view in views]
    width = float(np.clip(WIDTH / np.sqrt(np.mean(heights)), WIDTH, WIDEST))
    legend = [WIDTH * 0.35 / width] if {"rgt", "fsem"} & names else []
    folded = len(views) == 1 and heights[0] < FOLDED
    columns = min(2, len(panels)) if folded else len(panels)
    heights *= ceil(len(panels) / columns)  # of the rows
    figure = Figure(figsize=(width * (columns + sum(legend)), width * sum(heights) + 0.8), layout="constrained")
    widths = [*[1.0] * columns, *legend]
    grid = figure.add_gridspec(len(heights), len(widths), width_ratios=widths, height_ratios=heights)
    grays = {name: _window([view.values[name] for view in views if name in view.values]) for name in ("image", "dhr")}
    for number, (view, name) in enumerate(product(views, panels)):
        row, column = divmod(number, columns)
        axes = figure.add_subplot(grid[row, column])
        if number < len(panels):
            axes.set_title(_TITLES.get(name) or f"Faults by {angle[1:]}", fontsize=10)
        _draw(axes, view, name, angle, grays, threshold)
        _label(axes, view, first=not column)
    if legend:
        _draw_legend(figure.add_subplot(grid[:, -1]), angle, names)
    return figure


def save_figure(path: Path, figure: Figure) -> None:
    """Save as PNG, atomically."""
    with writing(path), replacing(path) as beside:
        figure.savefig(beside, format="png", dpi=DPI)


def rendered(figure: Figure) -> npt.NDArray[np.uint8]:
    """The figure as an RGB image (y, x, 3), for a screen."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.array(canvas.buffer_rgba())[..., :3]  # type: ignore[no-untyped-call]


_TITLES = {"image": "Image", "dhr": "DHR", "rgt": "RGT contours"}


def direction_colors() -> ListedColormap:
    """Colours of 0 to 180 degrees, the same at both ends. All are bright, so that they stand out over gray."""
    turn = np.linspace(0, 2 * np.pi, 256, endpoint=False)
    thirds = turn[:, None] - 2 * np.pi * np.array([0, 1, 2]) / 3
    return ListedColormap(np.clip(0.56 + 0.56 * np.cos(thirds), 0, 1), name="direction")


def _window(values: Sequence[Floats]) -> Window | None:
    """One window for all views, so that rows can be compared."""
    return Window.measure(np.concatenate([one.ravel() for one in values]), _PERCENTILES) if values else None


def _draw(axes: Axes, view: View, name: str, angle: str, grays: Mapping[str, Window | None], threshold: float) -> None:
    axes.set_facecolor(DEAD)
    under = "dhr" if name == "dhr" else "image"
    window = grays[under]
    if window and under in view.values:
        gray: dict[str, Any] = {"cmap": "gray", "vmin": window.low, "vmax": window.high}
        axes.imshow(view.values[under], extent=view.extent, aspect="auto", interpolation="antialiased", **gray)
    if name == "rgt" and "rgt" in view.values:
        _draw_contours(axes, view, threshold)
    if name == "fsem" and "fsem" in view.values:
        _draw_faults(axes, view, angle, threshold)


def _draw_contours(axes: Axes, view: View, threshold: float) -> None:
    """Horizons end at faults, where RGT jumps."""
    rgt = view.values["rgt"]
    if "fsem" in view.values:
        rgt = np.where(view.values["fsem"] >= threshold, np.float32(np.nan), rgt)
    if min(rgt.shape) < 2 or not np.isfinite(rgt).any():
        return
    places = [
        axis.first + axis.step * np.arange(n) for axis, n in zip((view.rows, view.columns), rgt.shape, strict=True)
    ]
    levels = np.linspace(0, 1, CONTOURS + 2)[1:-1]
    axes.contour(*reversed(places), rgt, levels=levels, cmap="turbo", vmin=0, vmax=1, linewidths=0.9)


def _draw_faults(axes: Axes, view: View, angle: str, threshold: float) -> None:
    """A fault whose direction isn't known is white."""
    fault = view.values["fsem"] >= threshold
    degrees = np.nan_to_num(view.values.get(angle, np.zeros(fault.shape, np.float32)))
    colors = direction_colors()(np.mod(degrees / HALF_TURN, 1.0))
    if angle not in view.values:
        colors[..., :3] = 1
    colors[..., 3] = fault
    axes.imshow(colors, extent=view.extent, aspect="auto", interpolation="nearest")


def _label(axes: Axes, view: View, *, first: bool) -> None:
    axes.tick_params(labelsize=7, labelleft=first)
    axes.set_xlabel(_named(view.columns), fontsize=8)
    if first:
        axes.set_ylabel(f"{view.title}\n{_named(view.rows)}", fontsize=8)


def _named(axis: Axis) -> str:
    return f"{axis.name} ({axis.unit})" if axis.unit else axis.name


def _draw_legend(axes: Axes, angle: str, names: set[str]) -> None:
    """The colour of every direction as it lies in the picture, and the scale of RGT."""
    axes.set_axis_off()
    if "fsem" in names and angle in names:
        wheel = axes.inset_axes((0.0, 0.62, 1.0, 0.3), projection="polar")
        assert isinstance(wheel, PolarAxes)
        wheel.set_theta_zero_location("E")
        wheel.set_theta_direction(-1)  # rows of a picture grow downwards
        turn = np.linspace(0, 2 * np.pi, 361)
        colors = direction_colors()(np.mod(np.rad2deg(turn[:-1] + turn[1]) / HALF_TURN, 1.0))
        wheel.bar(turn[:-1], 0.45, width=turn[1], bottom=0.55, color=colors, align="edge", antialiased=False)
        wheel.set(ylim=(0, 1), yticks=[], xticks=np.deg2rad([0, 45, 90, 135]))
        wheel.tick_params(labelsize=6, pad=-2)
        wheel.grid(visible=False)
        wheel.spines["polar"].set_visible(False)
        wheel.text(0, 0, angle[1:], ha="center", va="center", fontsize=8)
    if "rgt" in names:
        scale = axes.inset_axes((0.15, 0.08, 0.2, 0.42))
        scale.imshow(np.linspace(0, 1, 256)[:, None], cmap="turbo", aspect="auto", extent=(0, 1, 1, 0))
        scale.set_xticks([])
        scale.yaxis.tick_right()
        scale.tick_params(labelsize=7)
        scale.set_title("RGT", fontsize=8)
