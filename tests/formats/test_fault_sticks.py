from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt

from segwheel.axes import Region
from segwheel.formats.fault_sticks import Stick, find_sticks, trace_lines, write_sticks
from segwheel.formats.geometry import Axis, Frame, Geometry

SIZE = 48
SURVEY = Geometry(
    (Axis("depth", 100, 4, "ms"), Axis("inline", 11, 2), Axis("crossline", 30, 1)),
    Frame((500.0, 6000.0), ((3.0, 4.0), (-8.0, 6.0))),
)


class Cube:
    """A readable array."""

    def __init__(self, values: npt.NDArray[np.generic]) -> None:
        self.values, self.shape = values, values.shape
        self.geometry = Geometry.plain(values.ndim)

    def read(self, region: Region) -> npt.NDArray[np.float32]:
        return self.values[region.slices].astype(np.float32)


def plane(
    dip: float, strike: float, centre: tuple[float, float, float] = (24, 24, 24)
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Normal [depth, axis 2, axis 3] of a plane, and a cube with the plane three voxels thick."""
    d, s = np.radians([dip, strike])
    normal = np.array([-np.cos(d), np.sin(d) * np.cos(s), -np.sin(d) * np.sin(s)])
    where = np.stack(np.meshgrid(*(np.arange(SIZE),) * 3, indexing="ij"), axis=-1) - np.array(centre)
    return normal, np.abs(where @ normal) <= 1.5


@settings(max_examples=15)
@given(st.floats(55, 125), st.floats(0, 180))
def test_sticks_of_a_plane_lie_on_it_and_cover_it(dip: float, strike: float) -> None:
    normal, mask = plane(dip, strike)
    sticks = find_sticks(Cube(mask))
    nodes = np.concatenate([stick.nodes for stick in sticks])
    assert {stick.fault for stick in sticks} == {0}
    assert np.abs((nodes - 24) @ normal).max() <= 2
    found = np.ones(mask.shape, dtype=bool)
    for stick in sticks:
        for a, b in zip(stick.nodes, stick.nodes[1:], strict=False):
            found[tuple(np.rint(np.linspace(a, b, 100)).astype(int).T)] = False
    # Sections are 5 lines apart and may be cut by the sides of the cube.
    assert np.percentile(distance_transform_edt(found)[mask], 95) < 8
    for stick in sticks:
        assert stick.nodes[0, 0] <= stick.nodes[-1, 0]


def test_two_faults_have_two_numbers_the_larger_first() -> None:
    _, left = plane(80, 90, (24, 24, 10))
    _, right = plane(80, 90, (24, 24, 36))
    right[:, :14] = False
    sticks = find_sticks(Cube(left | right))
    middle = [np.median([s.nodes[:, 2].mean() for s in sticks if s.fault == fault]) for fault in (0, 1)]
    assert {stick.fault for stick in sticks} == {0, 1}
    assert middle == pytest.approx([10, 36], abs=2)


def test_crossing_faults_are_not_joined() -> None:
    (one, a), (two, b) = plane(65, 85, (24, 24, 24)), plane(115, 85, (24, 24, 24))
    sticks = find_sticks(Cube(a | b), min_sections=4)
    sides: dict[int, set[int]] = {}
    for stick in sticks:
        misses = [float(np.abs((stick.nodes - 24) @ normal).mean()) for normal in (one, two)]
        sides.setdefault(stick.fault, set()).add(int(np.argmin(misses)))
    assert all(len(side) == 1 for side in sides.values())
    assert set().union(*sides.values()) == {0, 1}


def test_small_things_and_layers_are_left_out() -> None:
    speck, layer = np.zeros((SIZE,) * 3, dtype=bool), np.zeros((SIZE,) * 3, dtype=bool)
    speck[10:14, :, 20:23] = True
    assert find_sticks(Cube(speck)) == []
    layer[10:30] = True
    assert find_sticks(Cube(layer)) == []
    _, once = plane(80, 90)
    once[:, 1:] = False
    assert find_sticks(Cube(once), min_length=20) == []


def test_the_threshold_counts() -> None:
    _, mask = plane(80, 90)
    cube = Cube(np.where(mask, 0.4, 0.1))
    assert find_sticks(cube) == []
    assert len(find_sticks(cube, threshold=0.4)) == 11


def test_sections_are_as_far_apart_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segwheel.formats.volume.EDGE", 7)
    _, mask = plane(80, 90)
    assert [stick.section for stick in find_sticks(Cube(mask), every=10)] == [0, 10, 20, 30, 40, 47]


def test_an_image_is_one_section() -> None:
    _, mask = plane(70, 90)
    sticks = find_sticks(Cube(mask[:, 24]))
    assert len(sticks) == 1
    ends = sticks[0].nodes[[0, -1]]
    slope = (ends[1, 1] - ends[0, 1]) / (ends[1, 0] - ends[0, 0])
    assert abs(np.degrees(np.arctan(1 / slope))) == pytest.approx(70, abs=3)  # thinning bends the ends


def test_a_thick_ragged_line_is_one_line() -> None:
    mask, rng = np.zeros((40, 60), dtype=bool), np.random.default_rng(0)
    for row in range(40):
        begin = 10 + row // 2 + rng.integers(0, 2)
        mask[row, begin : begin + rng.integers(5, 8)] = True
        mask[row, begin + rng.integers(1, 4)] = row % 5 > 0  # a hole
    mask[20, 20:32] = True  # a twig
    lines = trace_lines(mask, 12)
    assert len(lines) == 1
    assert len(lines[0]) >= 34
    assert np.abs(lines[0][:, 1] - (13 + lines[0][:, 0] / 2)).mean() < 1.2


def test_faults_that_touch_the_sides_keep_their_ends() -> None:
    mask = np.zeros((30, 20), dtype=bool)
    mask[:, :3] = True
    (line,) = trace_lines(mask, 10)
    assert np.ptp(line[:, 0]) >= 25


def test_the_text_has_numbers_positions_and_depths(tmp_path: Path) -> None:
    sticks = [
        Stick(2, np.array([[0.0, 2, 5], [10, 2, 6.5]]), 0),
        Stick(3, np.array([[1.0, 3, 5], [9, 3, 5]]), 1),
    ]
    write_sticks(tmp_path / "faults.txt", sticks, SURVEY)
    rows = [line.split() for line in (tmp_path / "faults.txt").read_text().splitlines()]
    assert {row[0] for row in rows} == {"INLINE-"}
    assert rows[0][1:] == ["15", "35", "466.000", "6038.000", "100.000", "Fault_1", "1"]
    assert rows[1][1:] == ["15", "36", "454.000", "6047.000", "140.000", "Fault_1", "1"]
    assert [row[-2:] for row in rows] == [["Fault_1", "1"]] * 2 + [["Fault_2", "2"]] * 2
    assert len({len(line) for line in (tmp_path / "faults.txt").read_text().splitlines()}) == 1  # columns


@pytest.mark.parametrize(("node", "row"), [([3.0, 1, 2], "1 2 2.000 1.000 3.000"), ([3.0, 2], "0 2 2.000 0.000 3.000")])
def test_without_coordinates_line_numbers_take_their_place(tmp_path: Path, node: list[float], row: str) -> None:
    write_sticks(tmp_path / "faults.txt", [Stick(1, np.array([node, node]), 0)], Geometry.plain(len(node)))
    assert (tmp_path / "faults.txt").read_text().splitlines()[0].split()[1:6] == row.split()


def test_no_faults_make_an_empty_file(tmp_path: Path) -> None:
    write_sticks(tmp_path / "faults.txt", find_sticks(Cube(np.zeros((8, 8, 8)))), SURVEY)
    assert (tmp_path / "faults.txt").read_text() == ""


def test_a_full_disk_leaves_nothing(tmp_path: Path, with_little_room: Callable[..., str]) -> None:
    sticks = [Stick(0, np.zeros((50, 3)), 0)]
    message = with_little_room(1000, write_sticks, tmp_path / "faults.txt", sticks, SURVEY)
    assert "faults.txt: expected room to write it, found none" in message
    assert list(tmp_path.iterdir()) == []


def test_published_faults(shared_data: Path) -> None:
    """Sticks through six known faults: every node is at a fault, and every large fault has sticks."""
    stored = np.load(shared_data / "seismic" / "rgm_dev" / "rgm_dev_00.npz")["fault_id"][:64]
    sticks = find_sticks(Cube(stored > 0))
    distance, nearest = distance_transform_edt(stored == 0, return_indices=True)
    nodes = np.rint(np.concatenate([stick.nodes for stick in sticks])).astype(int)
    assert distance[tuple(nodes.T)].max() <= 2
    at = stored[tuple(nearest[(slice(None), *nodes.T)])]
    sizes = np.bincount(stored.ravel(), minlength=7)[1:]
    assert {i + 1 for i in range(6) if sizes[i] > 5000} <= set(at.tolist())
