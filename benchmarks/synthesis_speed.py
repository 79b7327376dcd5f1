"""How fast seismic samples are generated, on one core.

    OMP_NUM_THREADS=1 python benchmarks/synthesis_speed.py [--edge 128] [--repeats 5]

Times are processor time of all threads together, so that neither a busy machine nor a second core counts. The
reference generator's time is a figure for one 128^3 sample of the same kind, not measured here.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from time import process_time

import numpy as np
from scipy import ndimage

from segwheel.domain.synthesis.corruption import corrupted
from segwheel.domain.synthesis.fields import smoothed
from segwheel.domain.synthesis.recipe import RECIPES, SeismicRecipe
from segwheel.domain.synthesis.seismic import generate

REFERENCE_SECONDS = 19.0
WANTED_SECONDS = 1.0


def seconds(call: Callable[[int], object], repeats: int) -> float:
    """Median processor time of one call, after one to warm up."""
    call(0)
    times = []
    for number in range(1, repeats + 1):
        start = process_time()
        call(number)
        times.append(process_time() - start)
    return median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edge", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    cube, repeats = (options.edge,) * 3, options.repeats

    def making(recipe: SeismicRecipe) -> float:
        return seconds(lambda seed: generate(cube, recipe, seed), repeats)

    published = RECIPES["published"]
    usual, plain, most = making(published), *(making(replace(published, faults=(n, n))) for n in (0, 12))
    listric = making(replace(published, faults=(12, 12), listric_share=1.0))
    field = making(RECIPES["field"])
    sample = generate(cube, published, 0)
    damage = seconds(lambda seed: corrupted(sample, seed), repeats)

    print(f"image and targets of {options.edge}^3, median of {repeats}, seconds of one core")
    print(
        f"  published recipe      {usual:6.2f}   {WANTED_SECONDS / usual:5.1f} x the wanted one a second, "
        f"{REFERENCE_SECONDS / usual:5.0f} x the reference generator"
    )
    print(f"  no faults             {plain:6.2f}")
    print(f"  12 faults             {most:6.2f}   {most / plain:5.1f} x without faults")
    print(f"  12 listric faults     {listric:6.2f}   {listric / most:5.1f} x planar ones")
    print(f"  field recipe          {field:6.2f}   {field / usual:5.1f} x published")
    print(f"  damaged targets       {damage:6.2f}   {damage / usual:5.1f} x the sample")

    noise = np.random.default_rng(0).standard_normal(cube, np.float32)
    by_matrix = seconds(lambda _: smoothed(noise, [5.0] * 3), repeats)
    by_scipy = seconds(lambda _: ndimage.gaussian_filter(noise, 5.0), repeats)
    print(f"smoothing (5 voxels)    {by_matrix:6.2f}   {by_scipy / by_matrix:5.1f} x scipy.ndimage")


if __name__ == "__main__":
    main()
