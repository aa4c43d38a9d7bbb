"""The command line's client of the API: find the gateway, ask it, read its answers and its rejections.

Owns which gateway is meant (TIDEGATE_URL and TIDEGATE_KEY, else DIR/local.json) and how a problem document
becomes an error with the same code, message and hint. Only the standard library, because every verb pays
for it at start. A request that was cut off may have been done; verbs that change something say so by their answer.
"""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, quote, urlencode, urlsplit

from tidegate.core.errors import TidegateError

TIMEOUT_SECONDS = 60.0  # a pull may wait for a slow source
LONG_SECONDS = 6 * 3600.0  # polls, backups and counts over a large log
MAX_ANSWER_BYTES = 256 << 20
MAX_LINE_BYTES = 16 << 20  # of a stream: the largest body, encoded


class ApiError(TidegateError):
    """What the gateway refused. `path` and `where` are of a configuration error, else empty.

    `problems` are all that is wrong, when there are several.
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


class Answer:
    """A finished answer: status, headers (lower-case names) and the whole body."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def json(self) -> Any:
        """None for no body. ApiError when this is no answer of a gateway."""
        if not self.body:
            return None
        try:
            return json.loads(self.body)
        except ValueError:
            raise ApiError(
                f"the answer ({self.status}) is not JSON, so this is no gateway",
                code="bad_answer",
                hint="look at the address in TIDEGATE_URL",
            ) from None


class Client:
    """One gateway. `local` says that it runs on this machine, in `data`."""

    def __init__(self, url: str, key: str, *, local: bool) -> None:
        parts = _address(url)
        if not key.isprintable():
            raise ApiError(
                "the key in TIDEGATE_KEY is not printable text", code="usage", hint="export TIDEGATE_KEY=tg_..."
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

    def page(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        """One page of a list. ApiError when what answered is no gateway."""
        found = self.get(path, query)
        if not isinstance(found, dict) or not isinstance(found.get("data"), list):
            raise ApiError(
                "the answer is not the list that was asked for, so this is no gateway",
                code="bad_answer",
                hint="look at the address in TIDEGATE_URL",
            )
        return found

    def every(self, path: str, query: Mapping[str, Any] | None = None) -> list[Any]:
        """All items of a list, page after page."""
        out: list[Any] = []
        wanted = dict(query or {})
        while True:
            page = self.page(path, wanted)
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
    ) -> Answer:
        """`path` is below /api/v1 and already encoded. ApiError for every answer from 400 on, NoGateway for none."""
        connection = self._connect(timeout)
        try:
            answer = self._send(connection, method, path, query, body, headers or {})
            data = answer.read(MAX_ANSWER_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from None
        finally:
            connection.close()
        found = Answer(answer.status, _lower(answer), data)
        if answer.status >= 400:
            raise self._refusal(found)
        return found

    def stream(self, path: str, query: Mapping[str, Any], last_id: str | None) -> Iterator[tuple[str, str, str]]:
        """(event, id, data) of server-sent events until the far side ends or breaks off (then NoGateway)."""
        # The gateway sends a comment from time to time, so silence this long means that it is gone.
        connection = self._connect(90.0)
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last_id} if last_id else {})}
        try:
            answer = self._send(connection, "GET", path, query, None, headers)
            if answer.status >= 400:
                raise self._refusal(Answer(answer.status, _lower(answer), answer.read(MAX_ANSWER_BYTES)))
            yield from _server_sent(answer)
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from None
        finally:
            connection.close()

    # -- the wire ----------------------------------------------------------------------------------------

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
            data = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        connection.request(method, target, body=data, headers=sent)
        return connection.getresponse()

    def _refusal(self, answer: Answer) -> ApiError:
        error = _told(answer)
        if error.code == "unauthorized":
            again = "restart it, or set TIDEGATE_URL and TIDEGATE_KEY" if self.local else "export TIDEGATE_KEY=..."
            error.hint = f"{again}; an admin makes keys with: tidegate keys create NAME --scope read"
        return error

    def _unreachable(self, error: Exception) -> NoGateway:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        hint = None if self.local else "look at the address in TIDEGATE_URL"
        return NoGateway(f"{self.url} does not answer: {reason.lower()}", hint=hint)


def _address(url: str) -> SplitResult:
    """ApiError `usage` for what is no http or https address."""
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0):
            return parts
    except ValueError:  # a port out of range, an IPv6 address without its end
        pass
    raise ApiError(
        f"{url!r} is no address of a gateway", code="usage", hint="export TIDEGATE_URL=http://127.0.0.1:8420"
    )


def _lower(answer: http.client.HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in answer.getheaders()}


def _told(answer: Answer) -> ApiError:
    """The error that a problem document (RFC 9457) tells of; a sensible one for anything else."""
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
    """Reads by lines, as the HTML standard's event stream is written; comments and unknown fields are passed over."""
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
    """One path segment, encoded; `.` and `..` too, which would otherwise be resolved on the way."""
    return quote(text, safe="") if text not in (".", "..") else text.replace(".", "%2E")


def find_gateway(data: Path, environ: Mapping[str, str] = os.environ) -> Client:
    """By TIDEGATE_URL and TIDEGATE_KEY, else by `data`/local.json."""
    url, key = environ.get("TIDEGATE_URL"), environ.get("TIDEGATE_KEY")
    if url and key:
        return Client(url, key, local=False)
    if url or key:
        there, missing = ("TIDEGATE_URL", "TIDEGATE_KEY") if url else ("TIDEGATE_KEY", "TIDEGATE_URL")
        raise ApiError(
            f"{there} is set, but {missing} is not", code="usage", hint=f"export {missing}=..., or unset {there}"
        )
    path = data / "local.json"
    try:
        local = json.loads(path.read_bytes())
        return Client(local["url"], local["key"], local=True)
    except FileNotFoundError:
        raise NoGateway(
            f"no gateway serves {data}: there is no {path}",
            hint="tidegate serve --config tidegate.toml, or name its directory: --data DIR",
        ) from None
    except PermissionError:
        raise ApiError(
            f"{path} belongs to another user", code="forbidden", hint="export TIDEGATE_URL=... TIDEGATE_KEY=..."
        ) from None
    except (OSError, ValueError, KeyError, TypeError):
        raise ApiError(
            f"{path} cannot be read", code="local_file_broken", hint="restart the gateway; it writes the file anew"
        ) from None
