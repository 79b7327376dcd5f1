"""`segwheel labels`, as typed, on a real server."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from label_studio_wheel import REPOSITORY, Wheel, accept, blobs
from ruamel.yaml import YAML
from typer.testing import CliRunner

from segwheel.cli.labels import app
from segwheel.errors import PartialError, ServiceError
from segwheel.integrations import dvc
from segwheel.integrations.label_studio.client import Client

pytestmark = pytest.mark.xdist_group("label_studio")


def run(*words: str) -> str:
    """What a command prints; raises what it raises."""
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


@pytest.fixture
def here(wheel: Wheel, monkeypatch: pytest.MonkeyPatch) -> Wheel:
    monkeypatch.chdir(wheel.root)
    params = YAML().load(REPOSITORY / "params.yaml")
    params["flywheels"] = [wheel.name]
    params[wheel.name] = params["microscopy"]
    YAML().dump(params, wheel.root / "params.yaml")
    monkeypatch.delenv("LABEL_STUDIO_URL", raising=False)
    monkeypatch.delenv("LABEL_STUDIO_API_KEY", raising=False)
    return wheel


def test_a_turn(here: Wheel, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    added: list[Path] = []
    committed: list[str] = []
    monkeypatch.setattr(dvc, "add", lambda _, path: added.append(path))

    def commit(_: Path, paths: list[Path], message: str) -> str:
        committed.append(message)
        return "0123456789abcdef"

    monkeypatch.setattr(dvc, "commit", commit)
    for name in ("one", "two"):
        here.add_image(name, blobs(1))
    assert f"segwheel: {here.name}: http://127.0.0.1" in run("project", here.name)
    pushed = run("push", here.name)
    assert "2 tasks of iteration-001-" in pushed
    assert "2 sent" in pushed
    assert "0 sent" in run("push", here.name)
    tasks = here.tasks(client)
    accept(client, tasks["one"])
    assert re.search(r"annotations pulled +│ 0 .*\n.*annotations not pulled yet +│ 1 ", run("status", here.name))
    pulled = run("pull", here.name)
    assert "one: accepted by segwheel@localhost.invalid, 0 pixels changed" in pulled
    assert f"next: git add data/{here.name}/corrections.csv" in pulled
    assert added == [Path("data") / here.name / name for name in ("annotations", "corrections")]
    accept(client, tasks["two"])
    assert "committed 01234567" in run("pull", here.name, "--commit")
    assert committed == [f"{here.name}: 1 corrections from Label Studio"]
    here.predict_again("one", np.zeros_like(blobs(1)))
    assert "2 predictions added" in run("push", here.name)


def test_what_cannot_be_used_ends_with_an_error(here: Wheel, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dvc, "add", lambda *_: None)
    here.add_image("one", blobs(1))
    run("push", here.name)
    (task,) = here.tasks(client).values()
    client.post(f"/api/tasks/{task['id']}/annotations/", {"result": [{"type": "choices"}]})
    for _ in range(2):
        with pytest.raises(PartialError, match="1 of 1 failed"):
            run("pull", here.name)


def test_without_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("LABEL_STUDIO_URL", "LABEL_STUDIO_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    for command in ("project", "push", "pull", "status"):
        with pytest.raises(ServiceError, match="no server is known here"):
            run(command, "cells")
    assert "no server was running" in run("server", "stop")
    assert list(tmp_path.iterdir()) == []


def test_addresses_are_shown_without_passwords(here: Wheel, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    url = here.credentials.url
    monkeypatch.setenv("LABEL_STUDIO_URL", url.replace("http://", "http://me:of-ours@"))
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", here.credentials.token)
    here.add_image("one", blobs(1))
    shown = run("project", here.name) + run("push", here.name) + run("status", here.name)
    assert f"{url}/projects/" in shown
    for secret in ("of-ours", here.credentials.token):
        assert secret not in shown
        files = [path for path in here.places.data.rglob("*") if path.is_file()]
        assert not any(secret.encode() in path.read_bytes() for path in files)
