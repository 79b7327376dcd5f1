"""What a folder of raw cubes tells about itself: how many samples, how large.

A sample is `<i>.bin`, numbered from 0, with companions `<i>_<attribute>.bin` of the same size; what a refinement takes
are the companions alone. All are little-endian 32-bit floats without a header.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import count
from math import prod
from pathlib import Path

from segwheel.errors import FormatError, InputError, MissingError

_ITEM = 4  # bytes of a value
_SIDES = re.compile(r"(?<!\d)(\d+(?:x\d+)+)(?!\d)")  # 128x128x64, in a folder's name


def _sample(folder: Path, number: int) -> Path:
    """The image of a sample, or in a folder without images its first attribute."""
    return folder / (f"{number}.bin" if (folder / "0.bin").is_file() else f"{number}_rgt.bin")


def require_images(folder: Path) -> None:
    """Raise MissingError without the folder or its `0.bin`."""
    if not folder.is_dir():
        raise MissingError(folder, what="folder")
    if not (folder / "0.bin").is_file():
        raise MissingError(folder / "0.bin", what="cube", hint="samples are called 0.bin, 1.bin, 2.bin, ...")


def count_samples(folder: Path) -> int:
    """Number of samples in a folder.

    Raises MissingError without the folder or a first sample, FormatError when the files differ in size.
    """
    if not _sample(folder, 0).is_file():
        require_images(folder)
    number = next(i for i in count() if not _sample(folder, i).is_file())
    for i in range(number):
        _check_size(_sample(folder, i), count_values(folder))
    return number


def count_values(folder: Path) -> int:
    """Number of values in each sample of a folder."""
    return _sample(folder, 0).stat().st_size // _ITEM


def check_companions(folder: Path, samples: int, attributes: Iterable[str], values: int) -> None:
    """Raise MissingError or FormatError unless every sample has every attribute in `folder`, of `values` values."""
    if not folder.is_dir():
        raise MissingError(folder, what="folder")
    for attribute in attributes:
        for i in range(samples):
            path = folder / f"{i}_{attribute}.bin"
            if not path.is_file():
                raise MissingError(path, what=f"cube ({attribute} of sample {i})")
            _check_size(path, values)


def _check_size(path: Path, values: int) -> None:
    size = path.stat().st_size
    if size != values * _ITEM or not values:
        raise FormatError(path, expected=f"{max(values, 1) * _ITEM} bytes", found=f"{size}")


def guess_side(folder: Path, known: Sequence[int], axes: int) -> int | None:
    """The next side of the samples when the sides `known` are given (n1 first), None where nothing tells.

    A name like `128x128x64` in the path of the folder counts if it fits the size of the files; otherwise all sides
    that are not known are taken to be equal.
    """
    values = count_values(folder)
    for name in reversed(_SIDES.findall(str(folder.absolute()))):
        sides = [int(side) for side in name.split("x")]
        if len(sides) == axes and prod(sides) == values and sides[: len(known)] == list(known):
            return sides[len(known)]
    rest, left = values // prod(known), axes - len(known)
    side = round(rest ** (1 / left))
    return side if prod(known) * side**left == values else None


def check_sides(folder: Path, sides: Sequence[int], axes: int) -> None:
    """Raise InputError unless samples of `folder` can have these first sides, of as many as `axes` in all."""
    values, taken = count_values(folder), prod(sides)
    fits = taken == values if len(sides) == axes else values % taken == 0
    if not fits:
        product = " x ".join(map(str, sides))
        needed = "is not" if len(sides) == axes else "does not divide"
        raise InputError(f"{_sample(folder, 0)} holds {values} values: {product} = {taken} {needed} that number")


def find_folder(root: Path, name: str) -> Path | None:
    """The first folder called `name` with a sample in it, at most three levels below `root`."""
    for depth in range(4):
        found = sorted(root.glob("*/" * depth + f"{name}/0*.bin"))
        if found:
            return found[0].parent
    return None
