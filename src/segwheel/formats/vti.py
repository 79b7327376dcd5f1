"""VTK image data (.vti) for ParaView, written without VTK.

One point array of float32, raw and appended. VTK's x axis is the last axis of the volume (crossline), y the one
before it (inline) and z depth, upwards: samples are written from the deepest to the shallowest and the origin
lies at minus the greatest depth, so that the picture is the right way up and every z is the negative depth.
Lengths along x and y are those of the map, in a frame of its own that is not turned to north.
"""

from __future__ import annotations

import struct
from math import prod
from pathlib import Path
from xml.sax.saxutils import quoteattr

from segwheel.formats.files import replacing
from segwheel.formats.flat import write_flat
from segwheel.formats.space import writing
from segwheel.formats.volume import Readable
from segwheel.progress import Progress, no_progress

_ITEMSIZE = 4


def write_volume(path: Path, volume: Readable, name: str, progress: Progress = no_progress) -> None:
    """Write a volume of two or three axes as the point array `name`, atomically, a block in memory at a time."""
    with writing(path), replacing(path) as beside, beside.open("wb") as file:
        file.write(_header(volume, name).encode())
        file.write(struct.pack("<Q", prod(volume.shape) * _ITEMSIZE))
        write_flat(file, volume, tuple(range(len(volume.shape))), reverse=(0,), progress=progress)
        file.write(b"\n</AppendedData>\n</VTKFile>\n")


def _header(volume: Readable, name: str) -> str:
    depth, *lateral = zip(volume.shape, volume.geometry.spacing(), strict=True)
    # VTK always has three axes; one that is not there is one point thick.
    x, y = [*reversed(lateral), (1, 1.0)][:2]
    axis = volume.geometry.axes[0]
    extent = " ".join(f"0 {n - 1}" for n, _ in (x, y, depth))
    spacing = " ".join(repr(float(step)) for _, step in (x, y, depth))
    origin = f"0.0 0.0 {-float(axis.number(volume.shape[0] - 1))!r}"
    return f"""<?xml version="1.0"?>
<VTKFile type="ImageData" version="1.0" byte_order="LittleEndian" header_type="UInt64">
<ImageData WholeExtent="{extent}" Origin="{origin}" Spacing="{spacing}">
<Piece Extent="{extent}">
<PointData Scalars={quoteattr(name)}>
<DataArray type="Float32" Name={quoteattr(name)} format="appended" offset="0"/>
</PointData>
<CellData/>
</Piece>
</ImageData>
<AppendedData encoding="raw">
_"""
