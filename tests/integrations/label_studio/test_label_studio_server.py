"""The local server: private, known, and not started twice. Errors that say what to do, without secrets."""

from __future__ import annotations

import os
import re
import socket
import stat
from pathlib import Path

import httpx
import pytest
from label_studio_wheel import ENVIRONMENT, RealServer, free_port

from segwheel.errors import MissingError, ServiceError
from segwheel.integrations.label_studio import project, server
from segwheel.integrations.label_studio.client import Client, address
from segwheel.integrations.label_studio.locks import exclusive

pytestmark = pytest.mark.xdist_group("label_studio")
SECRET = "eyJhbGciOiJI.c2VjcmV0.c2lnbmF0dXJl"


def test_it_is_private(real_server: RealServer) -> None:
    home = server.home(real_server.root)
    files = [path for path in home.rglob("*") if path.is_file() and "pictures" not in path.parts]
    private = {home / "credentials.json", home / "server.log", home / "server" / ".env"}
    assert private <= set(files)
    for path in private | {home / "server" / "label_studio.sqlite3"}:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert real_server.credentials.token not in (home / "server.log").read_text()
    assert real_server.credentials.password not in (home / "server.log").read_text()
    with pytest.raises(OSError):  # noqa: PT011  (refused, or no such address)
        socket.create_connection((_other_address(), real_server.port), timeout=2).close()


def _other_address() -> str:
    """An address of this host that is not 127.0.0.1."""
    return "127.0.0.2"


def test_starting_it_again_keeps_it(real_server: RealServer) -> None:
    assert server.start(real_server.root, port=free_port(), environment=ENVIRONMENT) == real_server.credentials


def test_it_reads_its_key_as_it_was_written(real_server: RealServer) -> None:
    # Label Studio takes `$` and `#` in it for more than letters: after a start it would not know its own tokens.
    written = (server.home(real_server.root) / "server" / ".env").read_text(encoding="utf-8")
    assert re.fullmatch(r"SECRET_KEY=[\w-]{60,}\n", written)


def test_its_secrets_are_not_shown(real_server: RealServer) -> None:
    shown = repr(real_server.credentials) + repr(real_server.credentials.client())
    assert real_server.credentials.token not in shown
    assert real_server.credentials.password not in shown


def test_pictures_need_a_login(real_server: RealServer) -> None:
    answer = httpx.get(f"{real_server.credentials.url}/data/local-files/?d=credentials.json", follow_redirects=False)
    assert answer.status_code in (302, 401, 403, 404)


def test_only_pictures_are_served(client: Client) -> None:
    for path in ("credentials.json", "../credentials.json", "%2e%2e/credentials.json"):
        with pytest.raises(ServiceError, match=r"answered 40[0-9]"):
            client.get(f"/data/local-files/?d={path}")


def test_a_busy_port_is_named(tmp_path: Path) -> None:
    program = tmp_path / "env" / "bin" / "label-studio"
    program.parent.mkdir(parents=True)
    program.touch()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ServiceError, match=f"port {port} cannot be used .*--port"):
            server.start(tmp_path, port=port, environment=tmp_path / "env")
    assert not server.home(tmp_path).exists()


def test_a_server_that_dies_at_once_is_named(tmp_path: Path) -> None:
    program = tmp_path / "env" / "bin" / "label-studio"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    with pytest.raises(ServiceError, match=r"ended while starting .*server\.log"):
        server.start(tmp_path, port=free_port(), environment=tmp_path / "env")


def test_without_the_environment_it_says_what_makes_it(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="make label-studio-env"):
        server.start(tmp_path)
    assert not server.stop(tmp_path)


def test_credentials_come_from_the_environment_first(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match=r"no server is known here.*LABEL_STUDIO_URL"):
        server.credentials(tmp_path, {})
    with pytest.raises(ServiceError, match="only one of"):
        server.credentials(tmp_path, {"LABEL_STUDIO_URL": "http://host"})
    found = server.credentials(tmp_path, {"LABEL_STUDIO_URL": "http://host", "LABEL_STUDIO_API_KEY": SECRET})
    assert (found.url, found.token, found.is_local) == ("http://host", SECRET, False)
    assert SECRET not in repr(found)


def test_stored_credentials_that_are_damaged_are_not_repeated(tmp_path: Path) -> None:
    server.home(tmp_path).mkdir(parents=True)
    server.credentials_path(tmp_path).write_text('{"token": "very secret"')
    with pytest.raises(ServiceError, match="cannot be read") as caught:
        server.credentials(tmp_path, {})
    assert "very secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://me:password@127.0.0.1:9", "http://127.0.0.1:9/?token=password", "http://[bad"])
def test_addresses_are_shown_without_what_opens_them(url: str) -> None:
    assert "password" not in address(url)


def test_unreachable_says_so_without_the_token() -> None:
    client = Client(f"http://me:password@127.0.0.1:{free_port()}", SECRET)
    with pytest.raises(ServiceError, match=r"cannot be reached.*LABEL_STUDIO_URL") as caught:
        project.find(client, "cells")
    text = f"{caught.value} {caught.value.__cause__}"
    assert SECRET not in text
    assert "password" not in text


def test_a_refused_token_is_not_repeated(real_server: RealServer) -> None:
    with pytest.raises(ServiceError, match="does not accept the personal access token") as caught:
        Client(real_server.credentials.url, SECRET).get("/api/projects/")
    assert SECRET not in str(caught.value)


def test_what_the_server_says_is_cut_short_and_cleaned() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if "refresh" in request.url.path:
            return httpx.Response(200, json={"access": "a.b.c"})
        return httpx.Response(400, json={"detail": f"bad {SECRET} " + "x" * 500})

    with pytest.raises(ServiceError, match=r"answered 400: bad \*\*\*") as caught:
        Client("http://host", SECRET, transport=httpx.MockTransport(answer)).get("/api/projects/")
    assert SECRET not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (httpx.Response(200, text="<html>another page</html>"), "answers, but not as Label Studio does"),
        (httpx.Response(200, json=["x"]), "answers, but not as Label Studio does"),
        (httpx.Response(301, headers={"Location": "https://host/labels/"}), "redirects to https://host/labels"),
        (httpx.Response(404), "POST /api/token/refresh/ answered 404"),
    ],
)
def test_what_is_no_label_studio_is_named(answer: httpx.Response, said: str) -> None:
    with pytest.raises(ServiceError, match=said) as caught:
        Client("http://host", SECRET, transport=httpx.MockTransport(lambda _: answer)).get("/api/projects/")
    assert SECRET not in f"{caught.value} {caught.value.__cause__}"


def test_a_lock_that_stays_taken_ends_cleanly(tmp_path: Path) -> None:
    lock = tmp_path / "cells.lock"
    with exclusive(lock), pytest.raises(ServiceError, match="another push or pull of cells"), exclusive(lock, 0.1):
        pass
    with exclusive(lock, 0.1):
        assert os.path.exists(lock)  # noqa: PTH110
