"""SEG-Y to volume against reading the same file with segyio alone: time as a ratio, and memory at two lengths.

Run it as `python benchmarks/segy_conversion.py [--inlines N]`. A survey of random samples is written to a
temporary folder, in IBM and in IEEE floats, inline- and crossline-sorted; the times are the best of three
alternating runs. segyio reads every inline into an array and throws it away; the conversion also finds the
geometry, hashes the file, transposes, compresses and writes.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import segyio

from segwheel.formats import segy_import

SAMPLES, CROSSLINES = 1000, 250


def write_survey(path: Path, inlines: int, code: int, crossline_sorted: bool) -> None:
    """A post-stack survey whose samples are smooth noise."""
    spec = segyio.spec()
    spec.sorting, spec.format = (1 if crossline_sorted else 2), code
    spec.samples = range(0, SAMPLES * 4, 4)
    spec.ilines, spec.xlines = range(1, inlines + 1), range(1, CROSSLINES + 1)
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((CROSSLINES if not crossline_sorted else inlines, SAMPLES + 8), dtype=np.float32)
    panel = np.stack([noise[:, i : i + SAMPLES] for i in range(8)]).sum(axis=0)
    with segyio.create(path, spec) as file:
        file.bin[3217] = 4000
        number = 0
        for outer in spec.xlines if crossline_sorted else spec.ilines:
            for row, inner in enumerate(spec.ilines if crossline_sorted else spec.xlines):
                iline, xline = (inner, outer) if crossline_sorted else (outer, inner)
                file.header[number] = {189: iline, 193: xline, 181: 25 * iline, 185: 25 * xline, 37: 0}
                file.trace[number] = panel[row]
                number += 1


def read_with_segyio(path: Path) -> None:
    with segyio.open(path) as file:
        for line in file.fast:
            assert line.shape[1] == SAMPLES


def best_of(runs: int, *actions: Callable[[], object]) -> list[float]:
    """Shortest seconds of each action, the actions taking turns."""
    times: list[list[float]] = [[] for _ in actions]
    for _ in range(runs):
        for action, taken in zip(actions, times, strict=True):
            begin = time.perf_counter()
            action()
            taken.append(time.perf_counter() - begin)
    return [min(taken) for taken in times]


def peak_memory(path: Path, target: Path) -> float:
    """Peak resident MiB of a process that converts one file."""
    code = "import sys; from benchmarks import segy_conversion as b; b.convert_and_report(*sys.argv[1:])"
    done = subprocess.run([sys.executable, "-c", code, path, target], check=True, capture_output=True, text=True)
    return float(done.stdout)


def convert_and_report(path: str, target: str) -> None:
    segy_import.convert(Path(path), Path(target))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--inlines", type=int, default=200)
    inlines = parser.parse_args().inlines
    with tempfile.TemporaryDirectory() as folder:
        path, target = Path(folder) / "survey.sgy", Path(folder) / "survey.zarr"
        for name, code, crossline_sorted in (
            ("IBM, inline-sorted", 1, False),
            ("IEEE, inline-sorted", 5, False),
            ("IEEE, crossline-sorted", 5, True),
        ):
            write_survey(path, inlines, code, crossline_sorted)
            megabytes = path.stat().st_size / 1e6
            reading, converting = best_of(3, lambda: read_with_segyio(path), lambda: segy_import.convert(path, target))
            print(
                f"{name}, {megabytes:.0f} MB: segyio reads in {reading:.2f} s, conversion takes {converting:.2f} s "
                f"({megabytes / converting:.0f} MB/s): {converting / reading:.1f} times as long"
            )
        memory = [0.0, 0.0]
        for i, factor in enumerate((1, 2)):
            write_survey(path, inlines * factor, 5, False)
            memory[i] = peak_memory(path, target)
        print(f"peak memory at twice the length: {memory[1]:.0f} / {memory[0]:.0f} MiB = {memory[1] / memory[0]:.2f}")


if __name__ == "__main__":
    main()
