"""Orientation of planes: dip and strike, unit normals, and averages of normals as lines.

A plane has no sign: (strike 0, dip d) and (strike 180, dip 180 - d) are the same plane, so raw angles can neither be
averaged nor compared. Here a plane is its unit normal, a normal is a line, lines are averaged through their outer
products (the mean is the principal axis of the summed tensor; Scheidegger 1965), and two lines differ by at most 90
degrees.

Arrays of vectors and tensors have their components along axis 0, in array order (axis 1 = depth downwards, axis 2,
axis 3), followed by any spatial axes. Angles are degrees. A 3D normal is

    (-cos dip, sin dip cos strike, -sin dip sin strike)

with dip in (0, 180) and strike in [0, 180), measured from axis 3 towards axis 2. A section (two axes) has a dip only:
its normal is (-cos dip, sin dip), the cut through a plane of strike 0.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

HALF_TURN = 180.0  # the published layout stores angles divided by this
ANGLE_NAMES = {2: ("fdip",), 3: ("fdip", "fstrike")}  # attributes of a fault's orientation by the number of axes
SQUARINGS = 8  # of a tensor: an axis that is 2 % longer than the next is then 150 times as long
LEAST = 1e-6  # fault probability that angles are divided by


def normals(dip: npt.ArrayLike, strike: npt.ArrayLike | None = None) -> FloatArray:
    """Unit normals (2 or 3, ...) of planes with `dip` and, in 3D, `strike`, both in degrees and of the same shape."""
    d = np.deg2rad(np.asarray(dip, np.float32))
    if strike is None:
        return np.stack([-np.cos(d), np.sin(d)])
    s = np.deg2rad(np.asarray(strike, np.float32))
    return np.stack([-np.cos(d), np.sin(d) * np.cos(s), -np.sin(d) * np.sin(s)])


def unweighted(angle: FloatArray, probability: FloatArray) -> FloatArray:
    """Degrees of an angle that is given as a part of a half turn times the fault probability, as networks give it."""
    part = np.clip(angle / np.maximum(probability, np.float32(LEAST)), 0, 1)
    return (HALF_TURN * part).astype(np.float32)


def angles(lines: FloatArray) -> tuple[FloatArray, ...]:
    """Degrees of unit normals (2 or 3, ...), whichever way they point: (dip,) of 2D and (dip, strike) of 3D normals.

    Dip is in [0, 180]; strike is in [0, 180), and 0 where a horizontal plane leaves it open.
    """
    down, second, *rest = lines
    third = rest[0] if rest else np.zeros_like(second)
    backwards = (third > 0) | ((third == 0) & (second < 0))
    sign = np.where(backwards, np.float32(-1), np.float32(1))
    dip = np.rad2deg(np.arctan2(np.hypot(second, third), -sign * down))
    strike = np.rad2deg(np.arctan2(-sign * third, sign * second))
    strike = np.where(strike >= HALF_TURN, np.float32(0), np.abs(strike))  # -0.0 and a rounded 180 are strike 0
    return (dip, strike)[: len(lines) - 1]


def outer_products(lines: FloatArray) -> FloatArray:
    """The components that differ of each normal's outer product with itself, (3, ...) in 2D and (6, ...) in 3D.

    Weighted sums of these are the accumulators of an average; the order is that of `numpy.triu_indices`.
    """
    first, second = np.triu_indices(len(lines))
    return lines[first] * lines[second]


def principal_axes(tensors: FloatArray) -> FloatArray:
    """The average line of accumulated `outer_products`: (3, ...) -> (2, ...), (6, ...) -> (3, ...), unit length.

    By squaring the tensor again and again, which leaves its principal axis alone and is several times faster than
    solving for all axes. The sign is arbitrary. Where nothing was accumulated, or no direction stands out, some unit
    vector comes back.
    """
    ndim = {3: 2, 6: 3}[len(tensors)]
    first, second = np.triu_indices(ndim)
    place = np.zeros((ndim, ndim), np.int64)  # of every entry among the components that differ
    place[first, second] = place[second, first] = np.arange(len(tensors))
    diagonal = place.diagonal()
    for _ in range(SQUARINGS):
        trace = tensors[diagonal].sum(axis=0)
        tensors = (tensors / np.where(trace > 0, trace, np.float32(1))).astype(np.float32)
        # Row by row, since indexing several rows at a time copies them.
        entries = (
            sum(tensors[a] * tensors[b] for a, b in zip(place[i], place[j], strict=True))
            for i, j in zip(first, second, strict=True)
        )
        tensors = np.stack(list(entries))
    # All columns now lie along the axis; the longest is the most exact one.
    longest = tensors[diagonal].argmax(axis=0)[None, None]
    vectors = np.take_along_axis(tensors[place], longest, axis=1)[:, 0]
    length = np.linalg.norm(vectors, axis=0)
    vectors[0] = np.where(length > 0, vectors[0], np.float32(1))
    return (vectors / np.where(length > 0, length, np.float32(1))).astype(np.float32)


def line_angle(first: FloatArray, second: FloatArray) -> FloatArray:
    """Degrees between two lines given as unit vectors (2 or 3, ...), in [0, 90].

    From the chord between them, which keeps its precision where they nearly agree.
    """
    chord = np.minimum(np.linalg.norm(first - second, axis=0), np.linalg.norm(first + second, axis=0))
    degrees: FloatArray = np.rad2deg(2 * np.arcsin(np.minimum(chord / 2, 1))).astype(np.float32)
    return degrees
