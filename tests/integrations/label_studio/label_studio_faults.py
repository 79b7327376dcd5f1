"""Ways to die in the middle: of a request, of a process, of the server."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import httpx


class Faulty(httpx.BaseTransport):
    """Calls `fault` before (or after) the `at`-th request (from 1) whose method and path `picks` says yes to."""

    def __init__(
        self,
        fault: Callable[[httpx.Request], None],
        at: int = 1,
        *,
        after: bool = False,
        picks: Callable[[httpx.Request], bool] = lambda _: True,
    ) -> None:
        self._fault, self._at, self._after, self._picks = fault, at, after, picks
        self._inner = httpx.HTTPTransport(verify=False)
        self.count = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.count += self._picks(request)
        due = self._picks(request) and self.count == self._at
        if due and not self._after:
            self._fault(request)
        response = self._inner.handle_request(request)
        if due and self._after:
            response.read()
            self._fault(request)
        return response


def is_import(request: httpx.Request) -> bool:
    return request.method == "POST" and "/import" in request.url.path


def die(_: httpx.Request) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def in_child(work: Callable[[], object]) -> int:
    """Run `work` in a process group of its own; returns the process id. It exits 0 when `work` returns, else 1."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        work()
        code = 0
    finally:
        os._exit(code)


def outcome(pid: int) -> int:
    """Exit code of a child, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def killed_after(work: Callable[[], object], seconds: float) -> int:
    """Run `work` in a child and kill its process group after `seconds` unless it is done."""
    pid = in_child(work)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.killpg(pid, signal.SIGKILL)
    return outcome(pid)
