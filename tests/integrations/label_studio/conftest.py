"""A real Label Studio for the tests: its data folder is made once, kept, and copied; one server serves a session.

Under pytest-xdist each worker has a server of its own.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from segwheel.integrations.label_studio import server
from segwheel.integrations.label_studio.client import Client

sys.path.insert(0, str(Path(__file__).parent))  # the helpers beside this file, in any import mode
from label_studio_wheel import ENVIRONMENT, REPOSITORY, RealServer, Wheel, free_port


def _template() -> Path:
    """A `.segwheel/label-studio` folder of a server that was started once; made by the first session that needs it."""
    lock = (REPOSITORY / "requirements-label-studio.lock").read_bytes()
    cache = REPOSITORY / ".segwheel" / "test-cache"
    cache.mkdir(parents=True, exist_ok=True)
    template = cache / f"label-studio-{hashlib.sha256(lock).hexdigest()[:12]}"
    with (cache / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if not template.exists():
            making = cache / "making"
            shutil.rmtree(making, ignore_errors=True)
            server.start(making, port=free_port(), environment=ENVIRONMENT)
            server.stop(making)
            server.home(making).rename(template)
            shutil.rmtree(making)
    return template


@pytest.fixture(scope="session")
def real_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    if not (ENVIRONMENT / "bin" / "label-studio").exists():
        pytest.skip("Label Studio is not installed: `make label-studio-env`")
    root = tmp_path_factory.mktemp("label_studio")
    shutil.copytree(_template(), server.home(root))
    running = RealServer(root)
    yield running
    server.stop(root)


@pytest.fixture
def wheel(real_server: RealServer, request: pytest.FixtureRequest) -> Wheel:
    """A flywheel of its own for each test, on the session's server."""
    name = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:10]
    return Wheel(real_server.root, f"fw-{name}", real_server.credentials)


@pytest.fixture
def client(real_server: RealServer) -> Iterator[Client]:
    with real_server.credentials.client() as connected:
        yield connected
