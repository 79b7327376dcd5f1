"""SEG-Y to volume, streaming: some traces in memory at a time, in whatever order the file holds them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from segwheel.axes import Region
from segwheel.errors import FormatError
from segwheel.formats.segy import decode, read_records
from segwheel.formats.segy_scan import STANDARD, Reading, Survey, scan
from segwheel.formats.volume import FILL, create
from segwheel.progress import Progress, no_progress

RUN_BYTES = 2**21  # of traces decoded at once
_LABELS = (0, 1, 255)


@dataclass(frozen=True)
class Conversion:
    """What a conversion found. Dead traces and bad samples are not live in the volume."""

    shape: tuple[int, ...]
    traces: int  # in the file
    missing: int  # places of the grid without a trace
    dead: int  # traces that the header calls dead or that are zero throughout
    bad_samples: int  # NaN or infinite, in traces that are not dead
    bad_traces: int  # that hold bad samples
    note: str  # what was believed against the file's own word

    def text(self) -> str:
        """The counts in words."""
        counts = f"{self.traces} traces, {self.missing} missing, {self.dead} dead"
        bad = f", {self.bad_samples} NaN or infinite samples in {self.bad_traces} traces" if self.bad_samples else ""
        return f"{' x '.join(map(str, self.shape))}: {counts}{bad}" + (f"; {self.note}" if self.note else "")


def convert(
    source: Path,
    target: Path,
    reading: Reading = STANDARD,
    *,
    labels: bool = False,
    silent_is_dead: bool = True,
    progress: Progress = no_progress,
) -> Conversion:
    """Convert a SEG-Y file into a volume [depth, inline, crossline], or [depth, ...] of a 2D line.

    Line numbers grow with the index along both axes. With `labels` the samples must be 0, 1 or 255 and the volume
    is uint8. A trace of zeros is dead, but not in labels, and not without `silent_is_dead`: a fault's dip is 0 off
    faults. `progress` is told (traces done, traces in all).

    Raises what `scan` raises, and FormatError for a file without one live sample and for labels of other values.
    """
    survey = scan(source, reading, progress)
    with create(
        target,
        survey.shape,
        np.uint8 if labels else np.float32,
        geometry=survey.geometry,
        slab_axis=1,
    ) as writer:
        importer = _Importer(survey, labels, silent_is_dead and not labels)
        with source.open("rb") as file, ThreadPoolExecutor(1) as pool:
            written: Future[None] | None = None
            for region in writer.shards():  # the next is read while one is compressed and written
                values = importer.read(file, region)
                if written:
                    written.result()
                written = pool.submit(writer.write, region, values)
                progress(importer.done, survey.layout.traces)
            assert written is not None
            written.result()
        conversion = importer.summary()
        if not importer.live:
            raise FormatError(source, expected="at least one live sample", found=conversion.text())
        writer.annotate({"conversion": asdict(conversion)})
    return conversion


class _Importer:
    """Reads regions of a survey and counts what it meets; every trace must be read once per depth range."""

    def __init__(self, survey: Survey, labels: bool, silent_is_dead: bool) -> None:
        self._survey, self._labels = survey, labels
        self._dead = survey.flagged | survey.silent if silent_is_dead else survey.flagged
        self.done = self.live = self._bad_samples = 0
        self._bad_traces = np.zeros(survey.layout.traces, dtype=bool)

    def read(self, file: BufferedReader, region: Region) -> npt.NDArray[Any]:
        """A region, filled with NaN or 255 where the survey has no live trace."""
        (top, *_), (bottom, *_) = region.start, region.stop
        dtype = np.dtype(np.uint8 if self._labels else np.float32)
        layout, places = self._survey.layout, self._survey.traces[region.slices[1:]]
        block = np.full((bottom - top, *places.shape), FILL[dtype], dtype=dtype)
        flat = block.reshape(bottom - top, -1)
        for run in runs(places.ravel(), layout.trace_bytes):
            samples = decode(read_records(file, layout, run.first, run.count), layout)
            flat[:, run.places] = self._checked(samples[:, top:bottom], run.first).T
            self.done += run.count if top == 0 else 0
        return block

    def _checked(self, samples: npt.NDArray[np.float32], first: int) -> npt.NDArray[Any]:
        traces = slice(first, first + len(samples))
        dead = self._dead[traces]
        if self._labels:
            return self._as_labels(samples, dead)
        finite = np.isfinite(samples)
        if not finite.all():
            bad = ~finite & ~dead[:, None]
            self._bad_samples += int(np.count_nonzero(bad))
            self._bad_traces[traces] |= bad.any(axis=1)
        self.live += int(np.count_nonzero(finite[~dead]))
        samples[dead] = np.nan
        return samples

    def _as_labels(self, samples: npt.NDArray[np.float32], dead: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
        if not np.isin(samples, _LABELS).all():
            strange = samples[~np.isin(samples, _LABELS)][0]
            path = self._survey.layout.path
            raise FormatError(path, expected="labels 0, 1 and 255 (unlabelled)", found=f"the sample {strange:g}")
        self.live += int(np.count_nonzero(samples[~dead] != FILL[np.dtype(np.uint8)]))
        labels = samples.astype(np.uint8)
        labels[dead] = FILL[np.dtype(np.uint8)]
        return labels

    def summary(self) -> Conversion:
        survey = self._survey
        return Conversion(
            shape=survey.shape,
            traces=survey.layout.traces,
            missing=int(np.count_nonzero(survey.traces < 0)),
            dead=int(np.count_nonzero(self._dead)),
            bad_samples=self._bad_samples,
            bad_traces=int(np.count_nonzero(self._bad_traces)),
            note=survey.layout.note,
        )


@dataclass(frozen=True)
class Run:
    """Traces that follow each other in a file, and their places in a region, in the same order."""

    first: int
    count: int
    places: slice | npt.NDArray[np.int64]


def runs(traces: npt.NDArray[np.int64], trace_bytes: int) -> Iterator[Run]:
    """Cut the places of a region into runs at most RUN_BYTES long; `traces` has the trace of each place, or -1."""
    order = np.argsort(traces, kind="stable").astype(np.int64)
    order = order[traces[order] >= 0]
    breaks = np.flatnonzero(np.diff(traces[order]) != 1) + 1
    longest = max(1, RUN_BYTES // trace_bytes)
    for whole in np.split(order, breaks):
        for begin in range(0, len(whole), longest):
            places = whole[begin : begin + longest]
            yield Run(int(traces[places[0]]), len(places), _as_slice(places))


def _as_slice(places: npt.NDArray[np.int64]) -> slice | npt.NDArray[np.int64]:
    """Evenly spaced, growing places as a slice, which copies much faster."""
    steps = np.diff(places)
    if len(places) == 1 or (steps[0] > 0 and (steps == steps[0]).all()):
        step = int(steps[0]) if len(steps) else 1
        return slice(int(places[0]), int(places[-1]) + 1, step)
    return places
