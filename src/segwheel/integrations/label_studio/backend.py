"""A live model for the labelling page: the ML backend protocol of Label Studio.

`/health`, `/setup`, `/versions`, `/predict`, and `/webhook`, which is accepted and ignored: what changed is found by
pulling. A server that other hosts can reach asks for a shared secret, the password of HTTP basic authentication (Label
Studio sends it when it is set as the backend's password).
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from segwheel.errors import InputError, SegwheelError
from segwheel.integrations.label_studio import labels
from segwheel.integrations.label_studio.tasks import inside

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_MOST_BYTES = 64 * 2**20  # of a request

Predictor = Callable[[Path, str, int | None], npt.NDArray[np.bool_]]


@dataclass(frozen=True)
class Model:
    """What answers: `predict` takes an image or volume, axis and index, and returns the foreground (y, x) there."""

    version: str
    target: str
    predict: Predictor


def serve(root: Path, flywheel: str, model: Model, *, host: str, port: int, secret: str = "") -> ThreadingHTTPServer:
    """A server that is ready for `serve_forever()`. Raises InputError when others could reach it without a secret."""
    if host not in LOOPBACK and not secret:
        raise InputError(f"--host {host}: others can reach this address; set SEGWHEEL_LABELS_SECRET to a shared secret")
    one_at_a_time = Lock()

    def answer(body: Mapping[str, Any]) -> dict[str, Any]:
        with one_at_a_time:  # the model keeps all cores busy
            results = [_predict(root, flywheel, model, task) for task in body["tasks"]]
        return {"results": results, "model_version": model.version}

    class Handler(_Handler):
        routes = {  # noqa: RUF012  (one class for each server)
            ("GET", "/"): lambda _: {"status": "UP"},
            ("GET", "/health"): lambda _: {"status": "UP", "model_class": "segwheel"},
            ("GET", "/versions"): lambda _: {"versions": [model.version]},
            ("POST", "/setup"): lambda _: {"model_version": model.version},
            ("POST", "/webhook"): lambda _: {},
            ("POST", "/predict"): answer,
        }
        password = secret

    return ThreadingHTTPServer((host, port), Handler)


def _predict(root: Path, flywheel: str, model: Model, task: Mapping[str, Any]) -> Any:
    """The prediction for one task; an empty one for a task of another flywheel or an image that is gone."""
    data = task.get("data", {})
    nothing = {"result": [], "score": 0.0, "model_version": model.version}
    if data.get("flywheel") != flywheel:
        return nothing
    try:
        whole = model.predict(inside(root, data["image_path"]), data["axis"], data["index"])
        mask = whole[labels.part_of(data).slices]
    except (SegwheelError, KeyError, TypeError, ValueError):
        return nothing
    return nothing | {"result": labels.region(mask, model.target, str(data["uid"])[:10]), "score": 1.0}


class _Handler(BaseHTTPRequestHandler):
    routes: Mapping[tuple[str, str], Callable[[Mapping[str, Any]], dict[str, Any]]] = {}
    password = ""
    server_version = "segwheel"
    sys_version = ""

    def do_GET(self) -> None:
        self._route("GET", {})

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > _MOST_BYTES:
            self._send(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {})
            return
        try:
            body = json.loads(self.rfile.read(length) or b"{}")
        except ValueError:
            body = None
        if not isinstance(body, Mapping):
            self._send(HTTPStatus.BAD_REQUEST, {"detail": "expected a JSON object"})
            return
        self._route("POST", body)

    def _route(self, method: str, body: Mapping[str, Any]) -> None:
        if not self._allowed():
            self._send(HTTPStatus.UNAUTHORIZED, {"detail": "the shared secret is missing or wrong"})
            return
        route = self.routes.get((method, self.path.split("?")[0]))
        if route is None:
            self._send(HTTPStatus.NOT_FOUND, {})
            return
        try:
            answer = route(body)
        except (KeyError, TypeError, AttributeError):
            self._send(HTTPStatus.BAD_REQUEST, {"detail": "expected a request of the ML backend protocol"})
            return
        self._send(HTTPStatus.OK, answer)

    def _allowed(self) -> bool:
        if not self.password:
            return True
        kind, _, value = self.headers.get("Authorization", "").partition(" ")
        try:
            given = base64.b64decode(value).partition(b":")[2] if kind == "Basic" else b""
        except ValueError:
            given = b""
        return hmac.compare_digest(given, self.password.encode())

    def _send(self, status: HTTPStatus, answer: Mapping[str, Any]) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if status == HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", 'Basic realm="segwheel"')
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing: the terminal belongs to the command, and requests carry people's data."""
