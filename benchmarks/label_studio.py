"""The brush codec against the SDK's, and push and pull of many tasks on a real server. Prints ratios and rates.

    python benchmarks/label_studio.py codec
    python benchmarks/label_studio.py server [--tasks 500]

The SDK is read from the server's environment, `.venv-label-studio` (`make label-studio-env`).
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

REPOSITORY = Path(__file__).parents[1]
sys.path[:0] = [str(REPOSITORY / "src"), str(REPOSITORY / "tests" / "integrations" / "label_studio")]

from label_studio_wheel import ENVIRONMENT, Wheel, accept, free_port  # noqa: E402

from segwheel.formats import brush  # noqa: E402
from segwheel.integrations.label_studio import server  # noqa: E402
from segwheel.integrations.label_studio.pull import pull  # noqa: E402

Mask = np.ndarray[Any, np.dtype[np.bool_]]


def blobs(shape: tuple[int, int], size: float, seed: int = 0) -> Mask:
    """Rounded objects that cover half of the picture."""
    return np.asarray(gaussian_filter(np.random.default_rng(seed).standard_normal(shape), size) > 0)


def sdk_codec() -> ModuleType:
    """The codec alone: the SDK as a whole would bring its pins along."""
    (path,) = ENVIRONMENT.glob("lib/python*/site-packages/label_studio_sdk/converter/brush.py")
    spec = importlib.util.spec_from_file_location("sdk_brush", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def seconds(work: Callable[[], object], least: float = 0.5) -> float:
    """Best processor time of several runs: both codecs use one thread, and the machine may have other work."""
    best, spent = float("inf"), 0.0
    while spent < least:
        start = time.process_time()
        work()
        took = time.process_time() - start
        best, spent = min(best, took), spent + took
    return best


def codec() -> None:
    sdk = sdk_codec()
    for shape, size in (((512, 640), 6.0), ((4096, 4096), 12.0)):
        mask = blobs(shape, size)
        painted = mask.astype(np.uint8) * 255
        rle = brush.encode(mask)
        assert np.array_equal(sdk.decode_rle(list(rle)).reshape(*shape, 4)[..., 3], painted), "the SDK reads ours"
        assert np.array_equal(brush.decode(sdk.mask2rle(painted), shape), mask), "we read the SDK's"
        pairs: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
            "encode": (partial(brush.encode, mask), partial(sdk.mask2rle, painted)),
            "decode": (partial(brush.decode, rle, shape), partial(sdk.decode_rle, list(rle))),
        }
        for name, (ours, theirs) in pairs.items():
            fast, slow = seconds(ours), seconds(theirs)
            rates = f"{mask.size / fast / 1e6:.0f} against {mask.size / slow / 1e6:.0f} Mpx/s"
            print(f"{name} {shape[0]} x {shape[1]}: {slow / fast:.1f} times the SDK ({rates})")


def on_server(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        try:
            rates(Wheel(root, "many", server.start(root, port=free_port(), environment=ENVIRONMENT, tell=print)), count)
        finally:
            server.stop(root)


def rates(wheel: Wheel, count: int) -> None:
    for number in range(count):
        wheel.add_image(f"image {number}", blobs((512, 640), 6.0, number))
    report("push", count, wheel, lambda client: wheel.push(client=client))
    report("push, nothing new", count, wheel, lambda client: wheel.push(client=client))
    with wheel.credentials.client() as client:
        for task in wheel.tasks(client).values():
            accept(client, task)

    def pulled(client: Any) -> None:
        pull(wheel.places, client, wheel.settings)

    report("pull", count, wheel, pulled)
    time.sleep(65)  # a pull reads again what changed within a minute of the last change: here everything
    with wheel.credentials.client() as client:
        accept(client, next(iter(wheel.tasks(client).values())))
    report("pull, one task changed", count, wheel, pulled)
    report("pull, nothing new", count, wheel, pulled)


def report(name: str, count: int, wheel: Wheel, work: Callable[[Any], object]) -> None:
    client = wheel.credentials.client()
    start = time.perf_counter()
    work(client)
    took = time.perf_counter() - start
    print(
        f"{name}: {took:.2f} s, {count / took:.0f} tasks a second, {client.requests} requests, "
        f"{client.requests / count:.3f} a task"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["codec", "server"])
    parser.add_argument("--tasks", type=int, default=500)
    options = parser.parse_args()
    if options.what == "codec":
        codec()
    else:
        on_server(options.tasks)
