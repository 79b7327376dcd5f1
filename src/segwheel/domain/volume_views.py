"""Slices of volumes and their attributes, ready to be drawn."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from segwheel.axes import Region
from segwheel.domain.orientation import unweighted
from segwheel.domain.volume_files import Raw
from segwheel.domain.volume_slices import find_slice
from segwheel.formats.geometry import Geometry
from segwheel.formats.seismic_picture import Floats, View
from segwheel.formats.volume import require_same_grid

IMAGE = "image"
_DIRECTIONS = ("fdip", "fstrike")


def cut(volumes: Mapping[str, Raw], axis: str, index: int | None) -> View:
    """The slice at array `index` of `axis` ("" and None: a whole section) through an image and its attributes.

    `volumes` holds `image` and any attributes in the published units; dip and strike may be weighted with the fault
    probability, as networks give them. One slice of each is in memory.
    Raises FormatError for a slice that isn't there and for an attribute on another grid than the image.
    """
    image = volumes[IMAGE]
    for other in volumes.values():
        require_same_grid(image, other)
    across = find_slice(image, axis, index).across
    rows, columns = (one for number, one in enumerate(image.geometry.axes) if number != across)
    values = {name: _values(one, axis, index) for name, one in volumes.items()}
    for name in set(_DIRECTIONS) & set(values):
        values[name] = unweighted(values[name], values.get("fsem", np.ones_like(values[name])))
    title = "" if across is None else f"{axis} {image.geometry.axes[across].number(index or 0):g}"
    return View(title, rows, columns, values)


def views(volumes: Mapping[str, Raw], indices: Mapping[str, int]) -> list[View]:
    """A slice across every axis of a volume, lateral ones first, through its middle where `indices` names no other.

    A section is one view. Raises as `cut` does, and for an index of an axis that isn't there.
    """
    image = volumes[IMAGE]
    depth, *lateral = middle = {axis: n // 2 for axis, n in zip(image.geometry.names, image.shape, strict=True)}
    if len(lateral) == 1 and not indices:
        return [cut(volumes, "", None)]
    wanted = middle | dict(indices)
    return [cut(volumes, axis, wanted.pop(axis)) for axis in (*lateral, depth, *(set(indices) - set(middle)))]


def views_of_arrays(values: Mapping[str, Floats]) -> list[View]:
    """`views` of an image and its attributes in memory, NaN where nothing is known."""
    return views({name: _Held(name, one) for name, one in values.items()}, {})


class _Held:
    """An array as something that slices are cut from."""

    def __init__(self, name: str, values: Floats) -> None:
        self.path, self._values = Path(name), values
        self.shape, self.geometry = values.shape, Geometry.plain(values.ndim)

    def read(self, region: Region) -> Floats:
        return self._values[region.slices]

    def live(self, region: Region) -> npt.NDArray[np.bool_]:
        return np.isfinite(self.read(region))


def _values(one: Raw, axis: str, index: int | None) -> Floats:
    place = find_slice(one, axis, index)
    values, live = one.read(place.region), one.live(place.region)
    known: Floats = np.where(live, values, np.nan).astype(np.float32).reshape(place.shape)
    return known
