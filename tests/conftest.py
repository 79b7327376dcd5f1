"""What every test shares: settings of hypothesis and the place of the public data sets."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is not a failed property.
settings.register_profile("segwheel", deadline=None, max_examples=50)
settings.load_profile("segwheel")

# A shell that starts the tests in the background has them ignore Ctrl-C, and all programs that they start as well.
signal.signal(signal.SIGINT, signal.default_int_handler)

SHARED_DATA = Path(__file__).parents[1].parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public data sets beside the checkout; the test is skipped where it is not."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no public data sets at {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture
def tracked_at() -> Iterator[Callable[[str], None]]:
    """Sets where MLflow, a global of the process and its environment, looks for runs during one test."""
    import mlflow

    yield mlflow.set_tracking_uri
    mlflow.set_tracking_uri(None)  # type: ignore[arg-type]  # None resets
