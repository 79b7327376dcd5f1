"""What the multi-task networks cost: parameters, operations, and processor time for one cube on this machine.

    python benchmarks/multitask_cost.py [--sizes 64 128] [--limit 1000] [--threads 1]

CPU seconds are the better of two forward passes without gradients, float32; a cube that needs more than `--limit` GFLOP
is counted but not run. The last column is the operations of `mti` at full width over this network's.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from time import process_time

import torch
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from segwheel.learning.light_multitask import LightMultitaskNetwork
from segwheel.learning.multitask import MultitaskNetwork

Builder = Callable[[], nn.Module]
NETWORKS: dict[str, Builder] = {
    "mti": lambda: MultitaskNetwork(3),
    **{f"mti, width {w:g}": lambda w=w: MultitaskNetwork(3, width=w) for w in (0.5, 0.25, 0.125)},  # type: ignore[misc]
    "light": lambda: LightMultitaskNetwork(3),
    "light, width 0.5": lambda: LightMultitaskNetwork(3, width=0.5),
}


def operations(build: Builder, size: int) -> tuple[int, float]:
    """Number of parameters and GFLOP of one cube; a multiplication and an addition are two. Nothing is computed."""
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        network = build().eval()
        network(torch.empty(1, 1, size, size, size))
    return sum(p.numel() for p in network.parameters()), counter.get_total_flops() / 1e9


def seconds(build: Builder, size: int) -> float:
    """Best of two forward passes, in seconds of processor time, which other work on the machine disturbs least."""
    network, cube, times = build().eval(), torch.randn(1, 1, size, size, size), []
    for _ in range(2):
        start = process_time()
        with torch.inference_mode():
            network(cube)
        times.append(process_time() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--limit", type=float, default=1000.0)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    table = Table("network", "cube", "parameters", "GFLOP", "CPU seconds", "mti's GFLOP over these")
    for size in options.sizes:
        full = operations(NETWORKS["mti"], size)[1]
        for name, build in NETWORKS.items():
            count, cost = operations(build, size)
            spent = f"{seconds(build, size):.2f}" if cost <= options.limit else "-"
            table.add_row(name, f"{size}^3", f"{count:,}", f"{cost:,.1f}", spent, f"{full / cost:,.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
