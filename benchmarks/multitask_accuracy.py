"""What the multi-task networks reach for the same processor time: trained on generated cubes, scored on others.

    python benchmarks/multitask_accuracy.py [--size 32] [--train 64] [--test 16] [--minutes 10] [--threads 1]

Every network trains for about `--minutes` of processor time in its own way: the published one as published (losses,
constant learning rate), the light one with its own defaults. Scores are those of the last weights on cubes of seeds
that no network saw. The first row is the predictor that learned nothing: RGT is depth, DHR the image, and there are no
faults.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

import torch
from multitask_cost import operations
from rich.console import Console
from rich.table import Table

from segwheel.cli.multitask import network_kind, settled, train_params, training_set
from segwheel.cli.multitask_options import MultitaskOptions
from segwheel.domain.synthesis.cubes import SeismicSet, write_set
from segwheel.domain.synthesis.recipe import RECIPES
from segwheel.learning.fitting import Layout
from segwheel.learning.losses import ratio
from segwheel.learning.multitask_losses import MultitaskLoss
from segwheel.learning.multitask_objective import SCORES, MultitaskObjective
from segwheel.learning.multitask_training import TrainingSet, train_multitask

NETWORKS = {
    "published": {"network": "published"},
    "published, width 0.25": {"network": "published", "width": 0.25},
    "light": {"network": "light"},
}


def generated(folder: Path, size: int, count: int, seed: int) -> Path:
    """A folder of cubes with their targets."""
    for _ in write_set(folder, SeismicSet((size,) * 3, seed, RECIPES["published"], refinement=False), count):
        pass
    return folder


def options(train: Path, test: Path, output: Path, epochs: int, network: Mapping[str, object]) -> MultitaskOptions:
    """A training as it would be typed; it validates once, after the last epoch."""
    folders = {
        **{"dir_data_train": train / "data", "dir_target_train": train / "target"},
        **{"dir_data_valid": test / "data", "dir_target_valid": test / "target"},
    }
    given = {**folders, **network, "dir_output": output, "epochs": epochs, "valid_every": epochs, "batch_train": 2}
    return settled(MultitaskOptions(**given))  # type: ignore[arg-type]  # the values are those of its fields


def trained(given: MultitaskOptions) -> tuple[dict[str, float], float]:
    """Scores on the test cubes, and the minutes of processor time that training took."""
    kind = network_kind(given, 3, refine=False)
    data = training_set(given, kind)
    start = process_time()
    layout = Layout.in_folder(given.dir_output)
    history = train_multitask(data, kind, train_params(given, data.shape), layout, progress=False).history
    return {name: history[f"val_{name}"][-1] for name in SCORES}, (process_time() - start) / 60


def trivial(data: TrainingSet) -> dict[str, float]:
    """Scores of the predictor that learned nothing."""
    objective, sums = MultitaskObjective(MultitaskLoss(), ("fsem",), 0.5), {}
    for number in range(len(data.validation)):
        inputs, targets = data.validation.read(number)
        labels = {name: torch.from_numpy(values)[None] for name, values in targets.items()}
        labels["fsem"] = labels["fsem"].to(torch.uint8)
        image = torch.from_numpy(inputs["image"])[None]
        ramp = torch.linspace(0, 1, image.shape[1]).reshape(1, -1, 1, 1).expand_as(image)
        nothing = torch.zeros_like(image)
        outputs = {"rgt": ramp, "dhr": image, **dict.fromkeys(("fsem", "fdip", "fstrike"), nothing)}
        for name, pair in objective.scores(outputs, labels).items():
            before = sums.get(name, (0, 0))
            sums[name] = (before[0] + pair[0], before[1] + pair[1])
    found = {name: ratio(name, pair) for name, pair in sums.items()}
    return found | {"normal_error": float("nan")}  # it has no normals


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--train", type=int, default=64)
    parser.add_argument("--test", type=int, default=16)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    table = Table("network", "parameters", "GFLOP a cube", "epochs", "CPU minutes", *SCORES.values())
    with TemporaryDirectory() as folder:
        root = Path(folder)
        train = generated(root / "train", asked.size, asked.train, seed=1)
        test = generated(root / "test", asked.size, asked.test, seed=2)
        for name, network in NETWORKS.items():
            once = options(train, test, root / name / "once", 1, network)
            if not table.rows:
                scores = trivial(training_set(once, network_kind(once, 3, refine=False)))
                table.add_row("nothing learned", "0", "0", "0", "0", *_cells(scores))
            _, minutes = trained(once)
            epochs = max(1, round(asked.minutes / minutes))
            scores, minutes = trained(options(train, test, root / name / "all", epochs, network))
            count, cost = operations(network_kind(once, 3, refine=False).build, asked.size)
            table.add_row(name, f"{count:,}", f"{cost:,.1f}", str(epochs), f"{minutes:.1f}", *_cells(scores))
    Console(width=200).print(table)


def _cells(scores: Mapping[str, float]) -> list[str]:
    return [f"{scores[name]:.4f}" for name in SCORES]


if __name__ == "__main__":
    main()
