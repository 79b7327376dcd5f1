"""A folder of generated seismic samples in the published layout of raw cubes.

    recipe.json                            what the samples are made of
    data/<i>.bin                           image
    data/<i>_{rgt,dhr,fsem,fdip,fstrike}.bin      damaged attributes, inputs of the refinement (on request)
    target/<i>_{rgt,dhr,fsem,fdip,fstrike}.bin    exact attributes; a section has no fstrike

Sample `i` depends on the recipe, the shape, the seed and `i` alone: a folder can be continued or made longer, by any
number of processes, and is the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from segwheel.domain.synthesis.corruption import corrupted
from segwheel.domain.synthesis.fields import FloatArray
from segwheel.domain.synthesis.recipe import SeismicRecipe
from segwheel.domain.synthesis.seismic import TARGETS, SeismicSample, check_shape, generate
from segwheel.errors import FormatError
from segwheel.formats import raw_cube
from segwheel.formats.files import write_json

NOTE = "recipe.json"


@dataclass(frozen=True)
class SeismicSet:
    """Which samples a folder holds: all of one `shape`, numbered from 0."""

    shape: tuple[int, ...]
    seed: int
    recipe: SeismicRecipe
    refinement: bool = True  # damaged attributes beside the images

    def sample(self, number: int) -> tuple[SeismicSample, dict[str, FloatArray]]:
        """Sample `number` and its damaged attributes (empty without `refinement`)."""
        made = generate(self.shape, self.recipe, np.random.default_rng([self.seed, number, 0]))
        if not self.refinement:
            return made, {}
        return made, corrupted(made, np.random.default_rng([self.seed, number, 1]), self.recipe)

    def files(self, number: int) -> list[str]:
        """Names within the folder of the files of sample `number`."""
        names = TARGETS[len(self.shape)]
        damaged = [f"data/{number}_{name}.bin" for name in names] if self.refinement else []
        return [f"data/{number}.bin", *damaged, *(f"target/{number}_{name}.bin" for name in names)]

    def note(self) -> dict[str, Any]:
        """What `recipe.json` says."""
        described: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return described


def write_set(folder: Path, wanted: SeismicSet, count: int, workers: int = 1) -> Iterator[int]:
    """Write samples 0 to `count` - 1 and yield the number of each when it is on disk.

    Samples that are there already, whole, are left as they are. Raises InputError for a shape that cannot be and
    FormatError for a folder that holds something else, or samples of another set.
    """
    check_shape(wanted.shape)
    _claim(folder, wanted)
    write = partial(_write_sample, folder, wanted)
    if workers == 1:
        yield from map(write, range(count))
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(write, range(count))


def _claim(folder: Path, wanted: SeismicSet) -> None:
    """Write the note of a new folder, or see that the folder's note says the same."""
    path = folder / NOTE
    if not path.is_file():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise FormatError(folder, expected="a new or empty folder, or one of this command", found="something else")
        write_json(path, wanted.note())
        return
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise FormatError(path, expected="JSON", found=str(error)) from error
    if found != wanted.note():
        differing = [
            key for key, value in wanted.note().items() if not isinstance(found, dict) or found.get(key) != value
        ]
        raise FormatError(
            path,
            expected="samples of the same shape, seed and recipe",
            found=f"another {' and '.join(differing) or 'version'}",
            hint="choose another folder",
        )


def _write_sample(folder: Path, wanted: SeismicSet, number: int) -> int:
    size = prod(wanted.shape) * raw_cube.DTYPE.itemsize
    paths = [folder / name for name in wanted.files(number)]
    if not all(path.is_file() and path.stat().st_size == size for path in paths):
        made, damaged = wanted.sample(number)
        arrays = [made.image, *damaged.values(), *made.targets.values()]
        for path, values in zip(paths, arrays, strict=True):
            raw_cube.write(path, values)
    return number
