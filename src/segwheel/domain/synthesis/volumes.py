"""Generated volumes of a flywheel: samples with known truth, as volumes on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from segwheel.domain.folders import Pair
from segwheel.domain.index import Entry, entry
from segwheel.domain.splits import POOL, TEST, TRAIN
from segwheel.domain.synthesis.cubes import SeismicSet
from segwheel.domain.synthesis.recipe import RECIPES
from segwheel.domain.synthesis.seismic import SeismicSample
from segwheel.formats.volume import write_array
from segwheel.params.volumes import GenerateVolumesParams


def generated_samples(params: GenerateVolumesParams) -> Iterator[SeismicSample]:
    """The samples one after the other; each depends on the parameters and its number alone."""
    wanted = SeismicSet(params.shape, params.seed, RECIPES[params.recipe], refinement=False)
    return (wanted.sample(number)[0] for number in range(params.count))


def write_generated(folder: Path, params: GenerateVolumesParams) -> list[Entry]:
    """Write `<name>/image.zarr` and `<name>/<attribute>.zarr` for each sample; gives the entries of an index there.

    A quarter is labelled, a quarter for testing, the rest the pool.
    """
    entries = []
    for split, (number, sample) in zip(_splits(params.count), enumerate(generated_samples(params)), strict=True):
        home = folder / f"volume_{number + 1:0{len(str(params.count))}d}"
        arrays: dict[str, npt.NDArray[Any]] = {
            "image": sample.image,
            **sample.targets,
            "fsem": sample.fsem.astype(np.uint8),
        }
        paths = {name: home / f"{name}.zarr" for name in arrays}
        for name, values in arrays.items():
            write_array(paths[name], values)
        image = paths.pop("image")
        entries.append(entry(Pair(home.name, image, paths, split=split), folder, {}))
    return entries


def _splits(count: int) -> list[str]:
    labelled, test = max(1, count // 4), count // 4
    return [TRAIN] * labelled + [POOL] * (count - labelled - test) + [TEST] * test
