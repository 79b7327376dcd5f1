"""Draw docs/pictures/seismic_samples.png: what `segwheel synth seismic` makes.

python docs/pictures/seismic_samples.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from segwheel.domain.synthesis.recipe import RECIPES
from segwheel.domain.synthesis.seismic import SeismicSample, generate

OUTPUT = Path(__file__).with_suffix(".png")
SECTION, SECTION_SEED = (192, 640), 0
CUBES = (("published", 1), ("field", 9))  # recipe and seed of each row
EDGE = 128


def grey(axes: Axes, values: npt.NDArray[np.float32], title: str) -> None:
    """Seismic amplitudes, cut at the 99th percentile as interpreters do."""
    limit = float(np.quantile(np.abs(values), 0.99))
    axes.imshow(values, cmap="gray", vmin=-limit, vmax=limit, interpolation="bilinear", aspect="auto")
    axes.set_title(title, fontsize=9)
    axes.set_xticks([])
    axes.set_yticks([])


def over(axes: Axes, values: npt.NDArray[np.float32], shown: npt.NDArray[np.bool_], high: float) -> None:
    """An angle / 180 in colour where it is `shown`."""
    coloured = np.ma.masked_where(~shown, values * 180)
    axes.imshow(coloured, cmap="hsv", vmin=0, vmax=high, interpolation="nearest", aspect="auto", alpha=0.9)


def contours(axes: Axes, rgt: npt.NDArray[np.float32]) -> None:
    axes.imshow(rgt, cmap="turbo", interpolation="nearest", aspect="auto")
    axes.contour(rgt, levels=np.linspace(0, 1, 26), colors="black", linewidths=0.4)


def draw_section(row: list[Axes]) -> None:
    recipe = replace(RECIPES["field"], faults=(8, 14), conjugate_share=1.0)
    sample = generate(SECTION, recipe, SECTION_SEED)
    grey(row[0], sample.image, "field recipe, section with conjugate faults: image")
    grey(row[1], sample.image, "faults coloured by dip")
    over(row[1], sample.fdip, sample.fsem > 0, 180)


def draw_cube(row: list[Axes], sample: SeismicSample, name: str) -> None:
    cut = np.s_[:, :, EDGE // 3]
    grey(row[0], sample.image[cut], f"{name} recipe, cube: image")
    grey(row[1], sample.dhr[cut], "DHR")
    grey(row[2], sample.dhr[cut], "RGT, 25 contours")
    contours(row[2], sample.rgt[cut])
    grey(row[3], sample.image[cut], "faults coloured by strike")
    over(row[3], sample.fstrike[cut], sample.fsem[cut] > 0, 180)
    level = EDGE // 2
    grey(row[4], sample.image[level], "depth slice")
    over(row[4], sample.fstrike[level], sample.fsem[level] > 0, 180)


def main() -> None:
    figure = plt.figure(figsize=(12.5, 8.2), layout="constrained")
    top, *bottom = figure.subfigures(1 + len(CUBES), 1, height_ratios=[1, *[1.05] * len(CUBES)])
    draw_section(list(top.subplots(1, 2)))
    for part, (name, seed) in zip(bottom, CUBES, strict=True):
        draw_cube(list(part.subplots(1, 5)), generate((EDGE,) * 3, RECIPES[name], seed), name)
    figure.savefig(OUTPUT, dpi=90)
    Image.open(OUTPUT).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(OUTPUT, optimize=True)
    print(f"{OUTPUT}: {OUTPUT.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
