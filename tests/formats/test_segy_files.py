"""What happens to every file of the public SEG-Y collection: its shape, or the words it is refused with.

Samples are compared with what segyio reads, trace by trace, at the places that the headers read by segyio give;
those of formats that segyio 1.9 cannot decode with the integers that the same crop holds in format 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import segyio

from segwheel.axes import Region
from segwheel.errors import SegwheelError
from segwheel.formats import volume
from segwheel.formats.segy_export import export
from segwheel.formats.segy_import import Conversion, convert
from segwheel.formats.segy_scan import Reading, scan

FLOATS = {1, 5, 6}  # sample formats that hold new samples


@dataclass(frozen=True)
class Survey:
    """A 3D survey: shape [depth, inline, crossline], first numbers and steps, traces missing and dead."""

    shape: tuple[int, int, int]
    lines: tuple[tuple[int, int], tuple[int, int]]
    missing: int = 0
    dead: int = 0
    note: str = ""
    segyio_reads: bool = True


@dataclass(frozen=True)
class Line:
    """A 2D line, refused as a survey and taken as an image [depth, trace]."""

    shape: tuple[int, int]
    axis: str


Small = Survey((50, 5, 5), ((1, 1), (20, 1)))
F3 = Survey((75, 23, 18), ((111, 1), (875, 1)))
F3_UNREAD = Survey((75, 23, 18), ((111, 1), (875, 1)), segyio_reads=False)
ONE = "1 trace"
PRESTACK = "pre-stack data"

FILES: dict[str, Survey | Line | str] = {
    "segyio/1x1.sgy": f"{PRESTACK}: 4 traces of 4 offsets (0 to 3)",
    "segyio/1xN.sgy": f"{PRESTACK}: 24 traces of 4 offsets (0 to 3)",
    "segyio/Mx1.sgy": f"{PRESTACK}: 24 traces of 4 offsets (0 to 3)",
    "segyio/acute-small.sgy": Small,
    "segyio/broken.sgy": "3 traces of 4 samples of 4 bytes and 68 of the 256 bytes of another; the file is cut off",
    "segyio/decrement-lsb.sgy": f"{PRESTACK}: 5 traces of 5 offsets",  # every field of every header counts down
    "segyio/decrement.sgy": f"{PRESTACK}: 5 traces of 5 offsets",
    "segyio/delay-scalar.sgy": ONE,
    "segyio/f3-lsb.sgy": F3,
    "segyio/f3.sgy": F3,
    "segyio/increment-lsb.sgy": f"{PRESTACK}: 5 traces of 5 offsets",
    "segyio/increment.sgy": f"{PRESTACK}: 5 traces of 5 offsets",
    "segyio/interval-neg-bin-neg-trace.sgy": ONE,
    "segyio/interval-neg-bin-pos-trace.sgy": ONE,
    "segyio/interval-pos-bin-neg-trace.sgy": ONE,
    "segyio/inv-acute-small.sgy": Small,
    "segyio/left-small.sgy": Small,
    "segyio/long.sgy": "sample counts from 0 to 6187 in the trace headers (byte 115); the file is inconsistent",
    "segyio/multi-text.sgy": ONE,
    **{f"segyio/multiformats/Format{code}{order}.sgy": F3 for code in (1, 2, 3, 5, 6) for order in ("msb", "lsb")},
    **{
        f"segyio/multiformats/Format{code}{order}.sgy": F3_UNREAD
        for code in (7, 8, 9, 10, 11, 12, 15, 16)
        for order in ("msb", "lsb")
    },
    **{
        f"segyio/multiformats/Format4{order}.sgy": Survey(
            F3.shape, F3.lines, note="code is 4 (fixed point with gain) but the samples are IEEE", segyio_reads=False
        )
        for order in ("msb", "lsb")
    },
    "segyio/normal-small.sgy": Small,
    "segyio/obtuse-small.sgy": Small,
    "segyio/reflex-small.sgy": Small,
    "segyio/right-small.sgy": Small,
    "segyio/rotated-small-rev2.sgy": Survey((50, 5, 5), Small.lines, segyio_reads=False),
    "segyio/shot-gather.sgy": f"{PRESTACK}: 61 traces of 4 field records and 26 channels",
    "segyio/small-lsb.sgy": Small,
    "segyio/small-lsb.su": "code 0; it is no SEG-Y file, or its file headers are missing",
    **{
        f"segyio/small-ps{order}.sgy": f"{PRESTACK}: 24 traces of 2 offsets (1 to 2); stack it first"
        for order in (
            *("", "-dec-il-inc-xl-off", "-dec-il-off-inc-xl", "-dec-il-xl-inc-off", "-dec-il-xl-off"),
            *("-dec-off-inc-il-xl", "-dec-xl-inc-il-off", "-dec-xl-off-inc-il"),
        )
    },
    "segyio/small.sgy": Small,
    "segyio/small.su": "code 0; it is no SEG-Y file, or its file headers are missing",
    "segyio/straight-small.sgy": Small,
    "segyio/text-embed-null.sgy": Small,
    "segyio/text.sgy": "3600 bytes, which is nothing after the headers",
    "segyio/tiny.sgy": Survey((4, 3, 2), ((1, 1), (20, 1))),
    "segyio/trace-header-extension1.sgy": Survey((4, 3, 2), ((1, 1), (20, 1)), segyio_reads=False),
    "segyio/trace-header-extensions.sgy": Line((4, 2), "crossline 20..21 step 1"),
    "segyio/viking_small.segy": f"{PRESTACK}: 480 traces of 120 offsets (-3237 to -262)",
    "segyio/小文件.sgy": Small,
    "segysak/f3-ebcidctest.sgy": Survey((463, 2, 100), ((105, 1), (300, 1))),
    **{f"segysak/f3-iline-{il}.sgy": Line((75, 18), "crossline 875..892 step 1") for il in (111, 112, 113)},
    "segysak/f3-withdead.sgy": Survey(F3.shape, F3.lines, missing=175),
    "segysak/test-geometry.sgy": Survey((4, 61, 202), ((10090, 1), (2150, 1))),
    "seismic-zfp/padding_5x7.sgy": Survey((128, 5, 7), ((9985, 1), (1932, 1)), dead=5),
    "seismic-zfp/small-16bit.sgy": Small,
    "seismic-zfp/small-2d-CROSSLINE_3D.sgy": Line((50, 5), "crossline 20..24 step 1"),
    "seismic-zfp/small-2d-INLINE_3D.sgy": Line((50, 5), "inline 1..5 step 1"),
    "seismic-zfp/small-2d.sgy": Line((50, 25), "trace 1..25 step 1"),
    "seismic-zfp/small-32bit.sgy": Small,
    "seismic-zfp/small-32bit.zgy": "a ZGY file; export it as SEG-Y first",
    "seismic-zfp/small-8bit.sgy": Small,
    "seismic-zfp/small-8bit.zgy": "a ZGY file; export it as SEG-Y first",
    "seismic-zfp/small-dec.sgy": Survey((50, 3, 3), ((1, 2), (20, 2))),
    "seismic-zfp/small-duplicate-traceheaders.sgy": Small,  # line numbers stand in two places
    "seismic-zfp/small-ieee.sgy": Small,
    "seismic-zfp/small-irreg-dec.sgy": Survey((50, 3, 3), ((1, 2), (20, 2)), missing=1),
    "seismic-zfp/small-irregular.sgy": Survey((50, 5, 5), Small.lines, missing=1),
    "seismic-zfp/small-negative-samples.sgy": Survey((20, 5, 5), Small.lines),
    "seismic-zfp/small-traceheader-samplerate.sgy": Small,
    "seismic-zfp/small.sgy": Small,
    "seismic-zfp/small.vds": "it is no SEG-Y file",
    "seismic-zfp/small_hole.sgy": Survey((50, 5, 5), Small.lines, missing=1),
    "seismic-zfp/small_negative_il_xl.sgy": Survey((50, 5, 5), ((-5, 1), (-24, 1))),
    "seismic-zfp/small_reverse_il.sgy": Small,
    "seismic-zfp/small_us.sgy": Small,
    "seismic-zfp/tracecount512.sgy": Survey((50, 16, 32), ((0, 1), (0, 1))),
    "xtgeo/cube_w_deadtraces.segy": Survey((4, 30, 41), ((1021, 1), (960, 1)), dead=656),
    "xtgeo/ex1_missing_traces_75x71x26.segy": Survey((26, 75, 71), ((11352, 2), (2442, 2)), missing=387),
    "xtgeo/ex2_complete_3d_75x71x26.segy": Survey((26, 75, 71), ((10750, 2), (2600, 2))),
    "xtgeo/ib_synth_iainb.segy": Survey((501, 11, 11), ((1100, 1), (1200, 1))),
}
SURVEYS = {name: what for name, what in FILES.items() if isinstance(what, Survey)}
LINES = {name: what for name, what in FILES.items() if isinstance(what, Line)}
REFUSED = {name: what for name, what in FILES.items() if isinstance(what, str)}


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    return shared_data / "seismic" / "segy"


def traces_by_segyio(path: Path) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """(inline, crossline) and samples of all traces."""
    order = scan(path, Reading(line=path.name in {Path(name).name for name in LINES})).layout.order
    with segyio.open(path, ignore_geometry=True, endian="little" if order == "<" else "big") as file:
        lines = np.stack([file.attributes(byte)[:] for byte in (189, 193)], axis=-1).astype(np.int64)
        return lines, file.trace.raw[:].astype(np.float32)


def test_the_table_is_complete(folder: Path) -> None:
    assert set(FILES) == {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("line", [False, True])
def test_refused(folder: Path, tmp_path: Path, name: str, line: bool) -> None:
    with pytest.raises(SegwheelError) as caught:
        convert(folder / name, tmp_path / "a.zarr", Reading(line=line))
    message = str(caught.value)
    assert message.startswith(f"{folder / name}: expected ")
    assert REFUSED[name] in message
    assert "\n" not in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", SURVEYS)
def test_survey(folder: Path, tmp_path: Path, name: str) -> None:
    expected, path = SURVEYS[name], folder / name
    conversion = convert(path, tmp_path / "a.zarr")
    opened = volume.open(tmp_path / "a.zarr")
    axes = opened.geometry.axes
    found = Survey(
        opened.shape,  # type: ignore[arg-type]
        tuple((int(axis.first), int(axis.step)) for axis in axes[1:]),  # type: ignore[arg-type]
        conversion.missing,
        conversion.dead,
        expected.note if expected.note in conversion.note else conversion.note,
        expected.segyio_reads,
    )
    assert found == expected
    assert [axis.name for axis in axes] == ["depth", "inline", "crossline"]
    _require_round_trip(opened, path, tmp_path, conversion)
    if expected.segyio_reads:
        _require_samples_of_segyio(opened, path)


@pytest.mark.parametrize("name", LINES)
def test_line(folder: Path, tmp_path: Path, name: str) -> None:
    expected, path = LINES[name], folder / name
    with pytest.raises(SegwheelError, match="2D line.*--line takes it as a 2D image"):
        convert(path, tmp_path / "a.zarr")
    conversion = convert(path, tmp_path / "a.zarr", Reading(line=True))
    opened = volume.open(tmp_path / "a.zarr")
    assert opened.shape == expected.shape
    assert opened.geometry.text(opened.shape).endswith(expected.axis)
    _require_round_trip(opened, path, tmp_path, conversion)
    if "extension" not in name:
        samples = traces_by_segyio(path)[1]
        np.testing.assert_array_equal(opened.read(Region.whole(opened.shape)), samples.T)


@pytest.mark.parametrize("name", [name for name in FILES if "multiformats" in name])
def test_every_format_holds_the_same_crop(folder: Path, tmp_path: Path, name: str) -> None:
    convert(folder / "segyio" / "f3.sgy", tmp_path / "f3.zarr")
    convert(folder / name, tmp_path / "a.zarr")
    whole = Region.whole(F3.shape)
    truth = volume.open(tmp_path / "f3.zarr").read(whole).astype(np.int64)
    code = int("".join(letter for letter in Path(name).stem if letter.isdigit()))
    # Unsigned and shorter integers hold the remainder.
    kinds = {8: np.int8, 10: np.uint32, 11: np.uint16, 12: np.uint64, 16: np.uint8}
    stored = truth % 2**24 if code == 15 else truth.astype(kinds.get(code, np.int64))
    read = volume.open(tmp_path / "a.zarr").read(whole)
    np.testing.assert_array_equal(read, stored.astype(np.float32))


def _require_samples_of_segyio(opened: volume.Volume, path: Path) -> None:
    lines, samples = traces_by_segyio(path)
    read, live = opened.read_with_live(Region.whole(opened.shape))
    expected, there = np.zeros(opened.shape, dtype=np.float32), np.zeros(opened.shape, dtype=bool)
    (first_il, step_il), (first_xl, step_xl) = ((int(a.first), int(a.step)) for a in opened.geometry.axes[1:])
    for (il, xl), trace in zip(lines, samples, strict=True):
        place = (slice(None), (il - first_il) // step_il, (xl - first_xl) // step_xl)
        expected[place], there[place] = trace, trace.any()
    # segyio loses IBM floats below the smallest normal float32.
    np.testing.assert_allclose(read, expected, rtol=0, atol=1.2e-38)
    np.testing.assert_array_equal(live, there)


def _require_round_trip(opened: volume.Volume, path: Path, folder: Path, conversion: Conversion) -> None:
    """Exported, the file is itself again; where it held integers, all but the samples and the format code is."""
    export(opened, opened.path, path, folder / "b.sgy")
    old, new = path.read_bytes(), (folder / "b.sgy").read_bytes()
    layout = scan(path, Reading(line=len(opened.shape) == 2)).layout
    if layout.format.code in FLOATS and not conversion.note:
        assert new == old
        return
    assert [i + 1 for i in range(layout.first_trace) if old[i] != new[i]] in ([3225], [3226], [3225, 3226])
    old_traces = np.frombuffer(old[layout.first_trace :], "u1").reshape(conversion.traces, -1)
    new_traces = np.frombuffer(new[layout.first_trace :], "u1").reshape(conversion.traces, -1)
    assert new_traces.shape[1] == layout.header_bytes + 4 * layout.samples
    header = slice(0, layout.header_bytes)
    np.testing.assert_array_equal(new_traces[:, header], old_traces[:, header])
    samples = new_traces[:, layout.header_bytes :].copy().view(layout.order + "f4")
    old_samples = layout.format.decode(old_traces[:, layout.header_bytes :], layout.order)
    np.testing.assert_array_equal(samples, old_samples)
