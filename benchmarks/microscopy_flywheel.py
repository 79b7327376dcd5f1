"""The microscopy flywheel on a real, public set: two iterations with the commands that a user types, and their table.

    python benchmarks/microscopy_flywheel.py phase_cells --seeds 0 1 --folder /tmp/wheel

The set's pool masks stand in for the person who corrects: the second iteration learns from the whole pool as well, in
as many steps as the first. Test images are only measured. Everything happens in clones of this checkout, one for each
seed; nothing of the data enters the repository. With `--plain` the network gets nothing that segwheel adds: flips and
quarter turns only, a constant learning rate, tiles side by side, the mask as it comes, its components as objects.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
from ruamel.yaml import YAML

from segwheel.domain.overlap import mean_interval

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data" / "microscopy"
SCORES = ("dice", "iou", "object_f1")
MODEL: dict[str, dict[str, Any]] = {
    # Membranes: the objects are what they enclose, and nothing has to be cut apart.
    "em_membranes": {
        "targets": ["mask"],
        "train": {"model": {"classes": 1}},
        "predict": {"threshold": 0.4, "min_object_area": 0},
        "quantify": {"objects": "background", "separation": {"method": "none"}},
    },
    "phase_cells": {},  # what `segwheel import` gives to every new flywheel
}
PLAIN: dict[str, Any] = {
    "targets": ["mask"],
    "train": {
        "augmentation": {
            "scale": [1, 1],
            **dict.fromkeys(("rotation", "brightness", "contrast", "gamma", "noise", "blur"), 0),
        },
        "model": {"classes": 1},
        "training": {"learning_rate": 0.001, "weight_decay": 0},
        "lr_scheduler": {"name": "none"},
    },
    "predict": {
        **{"overlap": 0, "window": "flat", "test_time_augmentation": "none"},
        **{"threshold": 0.5, "min_object_area": 0, "fill_holes": 0},
    },
    "quantify": {"separation": {"method": "none"}},
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=sorted(MODEL))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--steps", type=int, default=1500, help="of training, of four patches each")
    parser.add_argument("--iterations", type=int, choices=(1, 2), default=2)
    parser.add_argument("--patch-size", type=int, default=256)
    parser.add_argument("--patches-per-image", type=int, default=20)
    parser.add_argument("--plain", action="store_true", help="a network without what segwheel adds")
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    parent = arguments.folder or Path(tempfile.mkdtemp())
    tables = [turn(arguments, seed, parent / f"{arguments.name}_{seed}") for seed in arguments.seeds]
    table = pd.concat(tables)
    table.to_csv(parent / f"{arguments.name}.csv", index=False)
    show(table)


def turn(arguments: argparse.Namespace, seed: int, folder: Path) -> pd.DataFrame:
    """The iterations in a fresh clone; returns the scores of each test image after each of them."""
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    source = DATA / arguments.name
    run(folder, "segwheel", "import", "cells", str(source), "--splits", str(source / "splits.csv"), "--pixel-size", "1")
    patches = {"patch_size": arguments.patch_size, "patches_per_image": arguments.patches_per_image}
    adjust(folder, {"select": {"count": 100}, **MODEL[arguments.name]})  # the whole pool
    adjust(folder, PLAIN if arguments.plain else {})
    adjust(folder, {"patches": patches, "train": {"training": {"seed": seed}}})
    images, tables = 6, []
    for iteration in range(1, arguments.iterations + 1):
        epochs = round(arguments.steps * 4 / images / arguments.patches_per_image)
        adjust(folder, {"train": {"training": {"epochs": epochs}}})
        run(folder, "git", "add", ".")
        run(folder, "git", "commit", "--quiet", "--message", f"Set up iteration {iteration}")
        seconds = reproduce(folder)
        print(f"seed {seed}, iteration {iteration}, seconds: {seconds}", flush=True)
        tables.append(
            scores(folder, source, plain=arguments.plain).assign(seed=seed, iteration=iteration, images=images)
        )
        run(folder, "git", "add", ".")
        run(folder, "git", "commit", "--quiet", "--message", f"Iteration {iteration}")
        if iteration < arguments.iterations:
            run(folder, "segwheel", "correct", "cells", "--simulate", "100", "--commit")
            images += len(pd.read_csv(folder / "data/cells/corrections.csv"))
    run(folder, "segwheel", "compare", "cells")
    return pd.concat(tables)


def reproduce(folder: Path) -> dict[str, int]:
    """`dvc repro`; returns the seconds that each stage took."""
    program = subprocess.Popen(
        ["dvc", "repro"],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert program.stdout is not None
    began: list[tuple[str, float]] = []
    for line in program.stdout:
        print(line, end="", flush=True)
        if found := re.match(r"Running stage '(\w+)@", line):
            began.append((found[1], time.monotonic()))
    if program.wait():
        raise SystemExit(program.returncode)
    ends = [start for _, start in began[1:]] + [time.monotonic()]
    return {name: round(end - start) for (name, start), end in zip(began, ends, strict=True)}


def scores(folder: Path, source: Path, *, plain: bool) -> pd.DataFrame:
    """The evaluation's scores of each test image; `instance_f1` compares with instance numbers, if there are any."""
    found = pd.read_csv(folder / "data/cells/evaluation/per_image.csv")[["basename", "group", *SCORES]]
    if not (source / "labels").is_dir():
        return found
    truth = pd.read_csv(folder / "data/cells/splits/test.csv")
    truth["labels_path"] = [str(source / "labels" / f"{name}_labels.tif") for name in truth["basename"]]
    for column in ("image_path", "mask_path"):
        truth[column] = [str(folder / path) for path in truth[column]]
    manifest, output = folder / "runs" / "instances.csv", folder / "runs" / "instances"
    truth.to_csv(manifest, index=False)
    run(
        folder, "quantify_objects", "--pred-mask-dir", "data/cells/evaluation/predictions", "--data-root", "/",
        "--gt-manifest", str(manifest), "--output-dir", str(output),
        "--separation", "none" if plain else "distance_output",
    )  # fmt: skip
    instances = pd.read_csv(output / "instance_eval.csv").rename(columns={"f1": "instance_f1"})
    return found.merge(instances[["basename", "instance_f1"]], on="basename")


def run(folder: Path, *command: str) -> None:
    subprocess.run(command, cwd=folder, check=True, env=environment(folder))


def environment(folder: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(folder / "src")}


def show(table: pd.DataFrame) -> None:
    """Means over images and seeds with their 95 % intervals, and each image's mean over seeds."""
    columns = [name for name in (*SCORES, "instance_f1") if name in table]
    if table["group"].nunique() == table["basename"].nunique():  # every image is its own group
        table = table.assign(group="all")
    for (group, iteration, images), part in table.groupby(["group", "iteration", "images"], dropna=False):
        shown = {name: mean_interval(part[name].to_numpy()) for name in columns}
        values = "  ".join(f"{name} {x.mean:.3f} [{x.low:.3f}, {x.high:.3f}]" for name, x in shown.items())
        print(f"{group} iteration {iteration} ({images} labelled, {len(part)} images x seeds): {values}")
    print(table.pivot_table(index="basename", columns="iteration", values=columns).round(3).to_string())


def adjust(folder: Path, changes: dict[str, Any]) -> None:
    """Only the new flywheel, with some values changed."""
    yaml = YAML()
    values = yaml.load(folder / "params.yaml")
    values["flywheels"] = ["cells"]
    update(values["cells"], changes)
    yaml.dump(values, folder / "params.yaml")


def update(values: Any, changes: dict[str, Any]) -> None:
    for name, value in changes.items():
        if isinstance(value, dict):
            update(values[name], value)
        else:
            values[name] = value


if __name__ == "__main__":
    main()
