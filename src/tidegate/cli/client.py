"""The command line's client of the API: find the gateway, send a request, read the response or the error.

Owns which gateway is used (TIDEGATE_URL and TIDEGATE_KEY, else DIR/local.json) and how a problem document becomes an
error with the same code, message and hint. Uses only the standard library, because every command pays for it at start.
A request that was cut off may have been executed.
"""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, quote, urlencode, urlsplit

from tidegate.cli.json_text import json_text, read_json
from tidegate.core.errors import TidegateError

TIMEOUT_SECONDS = 60.0  # a pull may wait for a slow source
LONG_SECONDS = 6 * 3600.0  # polls, backups and counts over a large log
MAX_ANSWER_BYTES = 256 << 20
MAX_LINE_BYTES = 16 << 20  # of a stream: the largest body, encoded
JsonObject = dict[str, Any]  # a JSON object of a request or a response


class ApiError(TidegateError):
    """An error response of the gateway. `path` and `where` belong to a configuration error, else they are empty.

    `problems` lists all problems when there are several.
    """

    def __init__(self, message: str, *, path: str = "", where: str = "", **named: Any) -> None:
        super().__init__(message, **named)
        self.path = path
        self.where = where
        self.problems: tuple[ApiError, ...] = (self,)


class NoGateway(TidegateError):
    code = "gateway_unreachable"
    status = 503
    retryable = True
    hint = "tidegate serve --config tidegate.toml"


class ApiResponse:
    """A complete response: status, headers (lower-case names) and the whole body."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def json(self) -> Any:
        """None without a body. ApiError when this is not a response of a gateway."""
        if not self.body:
            return None
        try:
            return read_json(self.body)
        except ValueError:
            raise ApiError(
                f"the response ({self.status}) is not JSON, so this is not a Tidegate gateway",
                code="bad_answer",
                hint="check the address in TIDEGATE_URL",
            ) from None


class Client:
    """One gateway. `local`: it runs on this machine and was found by its data directory."""

    def __init__(self, url: str, key: str, *, local: bool) -> None:
        parts = _address(url)
        if not key.isprintable():
            raise ApiError(
                "TIDEGATE_KEY has characters that cannot be sent", code="usage", hint="export TIDEGATE_KEY=tg_..."
            )
        self.url = url.rstrip("/")
        self.local = local
        self._key = key
        self._parts = parts

    # -- calls -------------------------------------------------------------------------------------------

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        return self.request("GET", path, query=query).json()

    def post(self, path: str, body: Any = None, *, timeout: float = TIMEOUT_SECONDS) -> Any:
        return self.request("POST", path, body=body, timeout=timeout).json()

    def put(self, path: str, body: Any) -> Any:
        return self.request("PUT", path, body=body).json()

    def delete(self, path: str) -> Any:
        return self.request("DELETE", path).json()

    def get_page(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        """One page of a list. ApiError when the response is not a list."""
        found = self.get(path, query)
        if not isinstance(found, dict) or not isinstance(found.get("data"), list):
            raise ApiError(
                "the response is not a list, so this is not a Tidegate gateway",
                code="bad_answer",
                hint="check the address in TIDEGATE_URL",
            )
        return found

    def every(self, path: str, query: Mapping[str, Any] | None = None) -> list[Any]:
        """All items of a list, page after page."""
        out: list[Any] = []
        wanted = dict(query or {})
        while True:
            page = self.get_page(path, wanted)
            out.extend(page["data"])
            if not page.get("next_cursor"):
                return out
            wanted["cursor"] = page["next_cursor"]

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT_SECONDS,
    ) -> ApiResponse:
        """`path` is below /api/v1 and already encoded. ApiError for a status from 400 on, else NoGateway."""
        connection = self._connect(timeout)
        try:
            answer = self._send(connection, method, path, query, body, headers or {})
            data = answer.read(MAX_ANSWER_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from None
        finally:
            connection.close()
        found = ApiResponse(answer.status, _lower(answer), data)
        if answer.status >= 400:
            raise self._error_of(found)
        return found

    def stream(self, path: str, query: Mapping[str, Any], last_id: str | None) -> Iterator[tuple[str, str, str]]:
        """(event, ID, data) of server-sent events until the stream ends. NoGateway when the connection breaks."""
        # The gateway sends a comment every few seconds, so silence this long means that it is gone.
        connection = self._connect(90.0)
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last_id} if last_id else {})}
        try:
            answer = self._send(connection, "GET", path, query, None, headers)
            if answer.status >= 400:
                raise self._error_of(ApiResponse(answer.status, _lower(answer), answer.read(MAX_ANSWER_BYTES)))
            yield from _server_sent(answer)
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from None
        finally:
            connection.close()

    # -- connections ----------------------------------------------------------------------------------------

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        assert self._parts.hostname is not None
        return kind(self._parts.hostname, self._parts.port, timeout=timeout)

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        query: Mapping[str, Any] | None,
        body: Any,
        headers: Mapping[str, str],
    ) -> http.client.HTTPResponse:
        target = f"{self._parts.path.rstrip('/')}/api/v1{path}"
        pairs = [(name, value) for name, value in (query or {}).items() if value is not None]
        if pairs:
            target += "?" + urlencode(pairs, doseq=True)
        sent = {"Authorization": f"Bearer {self._key}", "User-Agent": "tidegate-cli", **headers}
        data = None
        if body is not None:
            data = json_text(body).encode()
            sent["Content-Type"] = "application/json"
        connection.request(method, target, body=data, headers=sent)
        return connection.getresponse()

    def _error_of(self, answer: ApiResponse) -> ApiError:
        error = _error_from(answer)
        if error.code == "unauthorized":
            again = "restart it, or set TIDEGATE_URL and TIDEGATE_KEY" if self.local else "export TIDEGATE_KEY=..."
            error.hint = f"{again}; an admin creates keys with: tidegate keys create NAME --scope read"
        return error

    def _unreachable(self, error: Exception) -> NoGateway:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        hint = None if self.local else "check the address in TIDEGATE_URL"
        return NoGateway(f"{self.url} does not answer: {reason.lower()}", hint=hint)


def _address(url: str) -> SplitResult:
    """ApiError `usage` for anything that is not an http or https address."""
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0):
            return parts
    except ValueError:  # a port out of range, an IPv6 address without its end
        pass
    raise ApiError(
        f"{url!r} is not the address of a gateway (examples: http://127.0.0.1:8420, https://gate.example.com)",
        code="usage",
        hint="export TIDEGATE_URL=http://127.0.0.1:8420",
    )


def _lower(answer: http.client.HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in answer.getheaders()}


def _error_from(answer: ApiResponse) -> ApiError:
    """The error in a problem document (RFC 9457), or one made from the status."""
    try:
        problem = json.loads(answer.body)
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        problem = {}
    error = _of_problem(problem, answer.status)
    more = [_of_problem(one, answer.status) for one in problem.get("problems", ()) if isinstance(one, dict)]
    if more:
        error.problems = tuple(more)
    return error


def _of_problem(problem: Mapping[str, Any], status: int) -> ApiError:
    return ApiError(
        str(problem.get("detail") or problem.get("title") or f"the gateway answered {status}"),
        code=str(problem.get("code") or f"http_{status}"),
        hint=str(problem.get("hint") or ""),
        status=status,
        retryable=status in (429, 503),
        path=str(problem.get("path") or ""),
        where=str(problem.get("where") or ""),
    )


def _server_sent(answer: http.client.HTTPResponse) -> Iterator[tuple[str, str, str]]:
    """Reads the event stream format of the HTML standard; comments and unknown fields are skipped."""
    kind, id_ = "message", ""
    data: list[str] = []
    while line := answer.readline(MAX_LINE_BYTES):
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        if not text:
            if data:
                yield kind, id_, "\n".join(data)
            kind, data = "message", []
            continue
        field, _, value = text.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            data.append(value)
        elif field == "event":
            kind = value
        elif field == "id":
            id_ = value


def segment(text: str) -> str:
    """One path segment, encoded; also `.` and `..`, which a proxy could resolve otherwise."""
    return quote(text, safe="") if text not in (".", "..") else text.replace(".", "%2E")


def find_gateway(data: Path, environ: Mapping[str, str] = os.environ) -> Client:
    """By TIDEGATE_URL and TIDEGATE_KEY, else by `data`/local.json."""
    url, key = environ.get("TIDEGATE_URL"), environ.get("TIDEGATE_KEY")
    if url and key:
        return Client(url, key, local=False)
    if url or key:
        there, missing = ("TIDEGATE_URL", "TIDEGATE_KEY") if url else ("TIDEGATE_KEY", "TIDEGATE_URL")
        raise ApiError(
            f"{there} is set and {missing} is not", code="usage", hint=f"export {missing}=..., or unset {there}"
        )
    path = data / "local.json"
    try:
        local = json.loads(path.read_bytes())
        return Client(local["url"], local["key"], local=True)
    except FileNotFoundError:
        raise NoGateway(
            f"no gateway runs on {data}: there is no {path}",
            hint="start it with: tidegate serve --config tidegate.toml, or name its data directory: --data DIR",
        ) from None
    except PermissionError:
        raise ApiError(
            f"{path} belongs to another user", code="forbidden", hint="export TIDEGATE_URL=... TIDEGATE_KEY=..."
        ) from None
    except (OSError, ValueError, KeyError, TypeError):
        raise ApiError(
            f"{path} cannot be read", code="local_file_broken", hint="restart the gateway, which writes the file again"
        ) from None
