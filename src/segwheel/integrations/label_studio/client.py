"""The HTTP interface of Label Studio, as little of it as is needed.

A personal access token is a refresh token: it is exchanged for an access token that lasts minutes, and again whenever
the server says that one has run out. Neither ever shows up in an error or in a representation.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from segwheel.errors import ServiceError

SERVICE = "Label Studio"
_REFRESH = "/api/token/refresh/"
_TRIES = 4  # of a read that met a server error: SQLite answers "database is locked" under load
Where = tuple[str, str, str]  # column, operator, value: ("updated_at", "greater_or_equal", ...)
_FILTER = {
    "equal": "String",
    "greater_or_equal": "Datetime",
}


class Client:
    """One user's connection to one server.

    Every method raises ServiceError when the server cannot be reached or refuses.
    """

    def __init__(self, url: str, token: str, *, transport: httpx.BaseTransport | None = None) -> None:
        # A user and password in it would be sent instead of the token.
        self.url = address(url).rstrip("/")
        self._token = token
        self._http = httpx.Client(
            base_url=self.url,
            timeout=httpx.Timeout(120, connect=5),
            transport=transport,
            verify=self.url.startswith("https"),  # reading the certificates takes long, and http has none
        )
        self.requests = 0  # sent so far, for the benchmarks
        self.clock: datetime | None = None  # the server's, when it last answered

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, path: str, **params: Any) -> Any:
        for attempt in range(1, _TRIES + 1):
            response = self._send("GET", path, params=params)
            if response.status_code < 500 or attempt == _TRIES:
                break
            time.sleep(0.2 * 2**attempt)
        return self._answer(response, "GET", path)

    def post(self, path: str, body: Any, **params: Any) -> Any:
        return self._answer(self._send("POST", path, params=params, json=body), "POST", path)

    def upload(self, path: str, file: Path) -> Any:
        """Upload a file to a project without making a task of it."""
        files = {"file": (file.name, file.read_bytes(), "image/png")}
        response = self._send("POST", path, params={"commit_to_project": "false"}, files=files)
        return self._answer(response, "POST", path)

    def patch(self, path: str, body: Any) -> Any:
        return self._answer(self._send("PATCH", path, json=body), "PATCH", path)

    def delete(self, path: str) -> None:
        self._answer(self._send("DELETE", path), "DELETE", path)

    def tasks(
        self, project: int, include: str, *, where: Where | None = None, page_size: int = 100
    ) -> Iterator[dict[str, Any]]:
        """The tasks of a project with the fields named in `include`, page by page, oldest first."""
        page, total = 0, 1
        while page * page_size < total:
            page += 1
            tasks, total = self.page(project, include, page, where=where, page_size=page_size)
            yield from tasks

    def page(
        self, project: int, include: str, page: int, *, where: Where | None = None, page_size: int = 100
    ) -> tuple[list[dict[str, Any]], int]:
        """One page (from 1) of the tasks of a project, and how many there are on all pages."""
        query: dict[str, Any] = {"ordering": ["tasks:id"]}
        if where:
            column, operator, value = where
            item = {"filter": f"filter:tasks:{column}", "operator": operator, "type": _FILTER[operator], "value": value}
            query["filters"] = {"conjunction": "and", "items": [item]}
        params = {"project": project, "fields": "all", "include": include, "page": page, "page_size": page_size}
        answer = self.get("/api/tasks/", query=json.dumps(query), **params)
        return answer["tasks"], int(answer["total"])

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send with an access token, a fresh one when the server says that it has run out."""
        if "Authorization" not in self._http.headers:
            self._authorise()
        response = self._request(method, path, **options)
        if response.status_code == 401 and self._is_personal():
            self._authorise()
            response = self._request(method, path, **options)
        return response

    def _is_personal(self) -> bool:
        return self._token.count(".") == 2  # the other kind, of older servers, is 40 hexadecimal digits

    def _authorise(self) -> None:
        if not self._is_personal():
            self._http.headers["Authorization"] = f"Token {self._token}"
            return
        response = self._request("POST", _REFRESH, json={"refresh": self._token})
        if response.status_code in (400, 401, 403):
            problem = f"{self.url} does not accept the personal access token ({response.status_code})"
            raise ServiceError(SERVICE, problem, hint="make one on its Account & Settings page: LABEL_STUDIO_API_KEY")
        answer = self._answer(response, "POST", _REFRESH)
        access = answer.get("access") if isinstance(answer, Mapping) else None
        if not access:
            raise self._no_label_studio()
        self._http.headers["Authorization"] = f"Bearer {access}"

    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        self.requests += 1
        try:
            response = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            # No `from error`: the request inside it carries the token.
            problem = f"{self.url} cannot be reached ({type(error).__name__} at {method} {path})"
            hint = "`segwheel labels server start` starts a local one; LABEL_STUDIO_URL names another"
        except httpx.InvalidURL:
            problem, hint = f"{self.url} is no address", "LABEL_STUDIO_URL is like http://127.0.0.1:8080"
        else:
            self.clock = _date(response.headers.get("Date"))
            return response
        raise ServiceError(SERVICE, problem, hint=hint)

    def _answer(self, response: httpx.Response, method: str, path: str) -> Any:
        if response.next_request is not None:
            problem = f"{self.url} redirects to {address(str(response.next_request.url))}"
            raise ServiceError(SERVICE, problem, hint="set LABEL_STUDIO_URL to the address that it redirects to")
        if not response.is_success:
            raise ServiceError(SERVICE, f"{method} {path} answered {response.status_code}: {self._detail(response)}")
        try:
            return response.json() if response.content else None
        except ValueError:
            raise self._no_label_studio() from None

    def _no_label_studio(self) -> ServiceError:
        problem = f"{self.url} answers, but not as Label Studio does"
        return ServiceError(SERVICE, problem, hint="check LABEL_STUDIO_URL")

    def _detail(self, response: httpx.Response) -> str:
        """What the server says is wrong, in one short line without secrets."""
        try:
            answer = response.json()
        except ValueError:
            return response.reason_phrase
        detail = (answer.get("validation_errors") or answer.get("detail")) if isinstance(answer, Mapping) else answer
        text = " ".join(str(detail).split()).replace(self._token, "***")
        return text if len(text) <= 200 else text[:200] + "..."


def address(url: str) -> str:
    """The address without user, password, or query: what may be shown."""
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.hostname or ''}" + (f":{parts.port}" if parts.port else "") + parts.path
    except ValueError:
        return "the server's address"


def _date(header: str | None) -> datetime | None:
    """The time of an HTTP header, None for one that says nothing."""
    try:
        return parsedate_to_datetime(header).astimezone(UTC) if header else None
    except ValueError:
        return None
