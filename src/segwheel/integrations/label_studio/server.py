"""A local Label Studio server: made, started, waited for, stopped, without a browser.

It runs in its own environment (`.venv-label-studio`), listens on the loopback interface only, keeps its SQLite
database in `.segwheel/label-studio/server` and serves pictures from `.segwheel/label-studio/pictures` (and nothing
else of the repository). The first user's password and access token are kept in
`.segwheel/label-studio/credentials.json`, mode 600; git ignores `.segwheel`.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from segwheel.errors import MissingError, ServiceError
from segwheel.formats.files import replacing
from segwheel.integrations.label_studio.client import SERVICE, Client, address

PORT = 8080
USER = "segwheel@localhost.invalid"
_PATIENCE = 600  # seconds: a first start makes the database, about 45 on two idle cores
# Private networks that the server may not be made to call. Label Studio's own list has the loopback interface too,
# where `segwheel labels serve` is.
_BANNED = ("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")
_HINT = "`segwheel labels server start` starts one, or set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY"


def home(root: Path) -> Path:
    """Everything about Label Studio that is not data of the repository at `root`."""
    return root / ".segwheel" / "label-studio"


def pictures(root: Path) -> Path:
    """The folder that the server serves pictures from; each flywheel has a folder in it."""
    return home(root) / "pictures"


@dataclass(frozen=True)
class Credentials:
    """Where a server is and what opens it. The secrets are not part of the representation; an address may hold some."""

    url: str = field(repr=False)
    token: str = field(repr=False)
    password: str = field(default="", repr=False)  # of the first user of a server started here
    pid: int | None = None

    def client(self) -> Client:
        return Client(self.url, self.token)

    def page(self, project: int) -> str:
        """Address of a project's tasks, to be shown and opened by a person."""
        return f"{address(self.url).rstrip('/')}/projects/{project}/data"

    @property
    def is_local(self) -> bool:
        """Whether segwheel started this server itself, so that it serves pictures from this repository."""
        return self.pid is not None


def credentials(root: Path, environment: Mapping[str, str] = os.environ) -> Credentials:
    """From LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY, else of the server started at `root`. Raises ServiceError."""
    url, token = environment.get("LABEL_STUDIO_URL", ""), environment.get("LABEL_STUDIO_API_KEY", "")
    if url and token:
        return Credentials(url, token)
    if url or token:
        problem = "only one of LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY is set"
        raise ServiceError(SERVICE, problem, hint="set both, or none for the server that `segwheel labels server` runs")
    stored = _stored(root)
    if stored is None or not stored.token:
        raise ServiceError(SERVICE, "no server is known here", hint=_HINT)
    return stored


def start(
    root: Path, *, port: int = PORT, environment: Path | None = None, tell: Callable[[str], None] = lambda _: None
) -> Credentials:
    """Start the server of the repository at `root`, wait until it is healthy, and make its first user and token.

    A server that already runs is kept as it is. `environment` is the virtual environment that has Label Studio
    (default `.venv-label-studio`). Raises MissingError without one and ServiceError when the port is taken or the
    server dies.
    """
    stored = _stored(root)
    if stored and _alive(stored.pid) and _becomes_healthy(stored.url, stored.pid, root):
        return stored  # one that was just being killed did not
    program = (environment or root / ".venv-label-studio") / "bin" / "label-studio"
    if not program.is_file():
        raise MissingError(program, what="Label Studio", hint="`make label-studio-env` installs it")
    _refuse_busy(port)
    folder = home(root)
    for path in (folder, folder / "server", pictures(root)):
        path.mkdir(parents=True, exist_ok=True)
    _give_key(folder / "server" / ".env")
    password = stored.password if stored and stored.password else secrets.token_urlsafe(18)
    token = stored.token if stored else ""
    url = f"http://127.0.0.1:{port}"
    _store(root, Credentials(url, token, password))  # before the server knows it: nothing is lost when killed here
    tell(f"starting Label Studio at {url}; the first start takes about a minute")
    process = _launch(program, folder, root, port, password)
    started = Credentials(url, token, password, process.pid)
    _store(root, started)
    if not _becomes_healthy(url, process.pid, root, process):
        raise ServiceError(SERVICE, f"the server ended while starting ({home(root) / 'server.log'} says why)")
    if not token:
        started = Credentials(url, _first_token(url, password), password, process.pid)
        _store(root, started)
    return started


def stop(root: Path) -> bool:
    """Stop the server that was started at `root`; False when none runs. Its data stays."""
    stored = _stored(root)
    if stored is None or stored.pid is None or not _alive(stored.pid):
        return False
    for number, patience in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)):
        with suppress(ProcessLookupError):
            os.killpg(stored.pid, number)
        end = time.monotonic() + patience
        while time.monotonic() < end:
            if not _alive(stored.pid):
                return True
            time.sleep(0.1)
    raise ServiceError(SERVICE, f"the server (process {stored.pid}) does not end, not even when it is killed")


def _give_key(path: Path) -> None:
    """Write the key that tokens are signed with, where Label Studio would write one of its own on its first start.

    One in fifty of its own starts with `$`, which it reads as the name of a variable when it starts again: every token
    would be refused from then on.
    """
    if not path.exists():
        _write_private(path, f"SECRET_KEY={secrets.token_urlsafe(50)}\n")


def _launch(program: Path, folder: Path, root: Path, port: int, password: str) -> subprocess.Popen[bytes]:
    settings = {
        "LABEL_STUDIO_USERNAME": USER,
        "LABEL_STUDIO_PASSWORD": password,
        "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
        "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "true",
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(pictures(root).resolve()),
        "LABEL_STUDIO_COLLECT_ANALYTICS": "false",
        "LABEL_STUDIO_LATEST_VERSION_CHECK": "false",
        "LABEL_STUDIO_USE_DEFAULT_BANNED_SUBNETS": "false",
        "LABEL_STUDIO_USER_ADDITIONAL_BANNED_SUBNETS": ",".join(_BANNED),
        "LABEL_STUDIO_SENTRY_DSN": "",
        "LABEL_STUDIO_FRONTEND_SENTRY_DSN": "",
        "LABEL_STUDIO_DEBUG": "false",
    }
    # Label Studio reads bare names too (HOST, USERNAME, DEBUG, ...): only what a program needs is handed on.
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    log = os.open(folder / "server.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        return subprocess.Popen(
            [
                str(program.absolute()), "start", "--no-browser", "--internal-host", "127.0.0.1", "--port", str(port),
                "--data-dir", str((folder / "server").resolve()), "--log-level", "WARNING",
            ],
            env=kept | settings, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True, umask=0o077,
        )  # fmt: skip
    finally:
        os.close(log)


def _becomes_healthy(url: str, pid: int | None, root: Path, process: subprocess.Popen[bytes] | None = None) -> bool:
    """Wait until the server is healthy; False when it ends before. `process`, our child, is asked whether it ended.

    Raises ServiceError when it neither ends nor becomes healthy.
    """
    end = time.monotonic() + _PATIENCE
    with httpx.Client(base_url=url, timeout=5, verify=False) as http:  # plain http on the loopback interface
        while time.monotonic() < end:
            with suppress(httpx.HTTPError):
                if http.get("/health").status_code == 200:
                    return True
            if (process is not None and process.poll() is not None) or not _alive(pid):
                return False
            time.sleep(0.5)
    problem = f"{url} is not healthy after {_PATIENCE} s ({home(root) / 'server.log'} may say why)"
    raise ServiceError(SERVICE, problem, hint="start again to go on waiting, or `segwheel labels server stop`")


def _first_token(url: str, password: str) -> str:
    """Log in as the first user, as the login page does, and make the personal access token."""
    with httpx.Client(base_url=url, timeout=30, verify=False) as http:  # plain http on the loopback interface
        http.get("/user/login/")
        form = {"email": USER, "password": password, "csrfmiddlewaretoken": http.cookies.get("csrftoken") or ""}
        login = http.post("/user/login/", data=form, headers={"Referer": f"{url}/user/login/"})
        if login.status_code != 302:
            problem = f"{url} does not let {USER} in with the password that is kept here ({login.status_code})"
            raise ServiceError(SERVICE, problem, hint="set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY")
        headers = {"Referer": url, "X-CSRFToken": http.cookies.get("csrftoken") or ""}
        answer = http.post("/api/token/", headers=headers)
        token = answer.json().get("token") if answer.status_code == 201 else None
    if not token:
        problem = f"{url} makes no token for {USER} ({answer.status_code}): it has one that is not kept here"
        raise ServiceError(SERVICE, problem, hint="set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY")
    return str(token)


def _refuse_busy(port: int) -> None:
    # Label Studio itself would move on to the next free port without a word.
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            problem = f"port {port} cannot be used ({error.strerror})"
            raise ServiceError(SERVICE, problem, hint="choose another with --port") from error


def _alive(pid: int | None) -> bool:
    """Whether `pid` is a process of Label Studio (a number may have gone to another program since)."""
    if pid is None:
        return False
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # a child of ours that ended is no longer there
    shown = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return "label-studio" in shown.stdout


def credentials_path(root: Path) -> Path:
    """The file with the address, the password and the token; mode 600, ignored by git."""
    return home(root) / "credentials.json"


def _stored(root: Path) -> Credentials | None:
    try:
        stored = json.loads(credentials_path(root).read_text(encoding="utf-8"))
        return Credentials(stored["url"], stored["token"], stored["password"], stored["pid"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise ServiceError(
            SERVICE, f"{credentials_path(root)} cannot be read ({type(error).__name__})", hint=_HINT
        ) from None


def _store(root: Path, value: Credentials) -> None:
    content = {"url": value.url, "token": value.token, "password": value.password, "pid": value.pid}
    _write_private(credentials_path(root), json.dumps(content))


def _write_private(path: Path, text: str) -> None:
    with replacing(path) as beside:
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
