"""What all pages share: the gateway, the templates, and the checks that each request passes.

Owns the order of these checks: the Host is ours, a person is signed in (else the login page), and a request that
changes something carries the session's CSRF token. A `TidegateError` becomes an error page; anything else is logged
with its traceback and shown as `internal`. Pages know no cookies and no headers.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tidegate.api import sessions
from tidegate.api.endpoint import Disconnected, read_body
from tidegate.core.errors import BadRequest, TidegateError
from tidegate.dashboard.assets import Assets
from tidegate.dashboard.render import SECURITY_HEADERS, Templates

if TYPE_CHECKING:
    from tidegate.process.gateway import Gateway

log = logging.getLogger("tidegate.dashboard")
MAX_FORM_BYTES = 16 * 1024
MAX_LARGE_FORM_BYTES = 64 * 1024  # of a form with a payload
_TITLES = {
    400: "Bad request",
    408: "Request timeout",
    403: "Not allowed",
    404: "Not found",
    409: "Conflicts with the current state",
    413: "Request too large",
    421: "Unknown host name",
    503: "Temporarily unavailable",
}


class PageContext:
    """Shared by all pages of one app."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.assets = Assets()
        self.templates = Templates(self.assets, gateway.clock.now_us)

    def failed(self, request: Request, error: TidegateError) -> Response:
        """The error page: what is wrong, what to do next, and the code."""
        title = _TITLES.get(error.status, "Internal error")
        return self.templates.response(
            request,
            "error.html",
            status=error.status,
            title=title,
            code=error.code,
            message=error.message,
            hint=error.hint,
        )


PageHandler = Callable[[PageContext, Request], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


def guarded(context: PageContext, page: PageHandler, *, public: bool = False, large: bool = False) -> Endpoint:
    """The page behind the checks. `public`: without signing in (login, theme); `large`: its form has a payload."""

    async def serve(request: Request) -> Response:
        request.state.csrf, request.state.signed_in = "", False
        try:
            sessions.check_host(request.headers.get("host", ""), request.scope["tidegate"].host_names())
            grant = await sessions.current(request)
            if grant is not None:
                request.state.csrf, request.state.signed_in = grant.csrf, True
            if request.method == "POST":
                await _read_form(request, MAX_LARGE_FORM_BYTES if large and grant is not None else MAX_FORM_BYTES)
                if grant is not None:
                    sessions.check_csrf(grant, field(request, sessions.CSRF_FIELD))
                else:
                    _check_own(request)
            if grant is None and not public:
                wanted = request.url.path if request.method == "GET" else "/"
                return see_other("/login" if wanted == "/" else f"/login?to={quote(wanted)}")
            return await page(context, request)
        except TidegateError as error:
            return context.failed(request, error)
        except Disconnected:
            return Response()  # the browser is gone
        except Exception:  # the last resort: shown as `internal`, the log has the rest
            log.exception("the page %s failed", request.url.path)
            return context.failed(request, TidegateError("internal error", hint="see the gateway's log"))

    return serve


async def _read_form(request: Request, most_bytes: int) -> None:
    """Put the fields of a small form on the request. Raises what `read_body` does, and BadRequest."""
    body = await read_body(request.receive, request.headers, most_bytes)
    try:
        request.state.fields = dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=50))
    except ValueError:
        raise BadRequest("the form cannot be read", hint="load the page again") from None


def field(request: Request, name: str) -> str:
    value: str = request.state.fields.get(name, "")
    return value


def _check_own(request: Request) -> None:
    """Without a session there is no token, so the browser's Sec-Fetch-Site header decides where the form came from."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise sessions.CsrfFailed("this form was sent from another site")


def see_other(path: str, done: str = "") -> Response:
    """303 to one of our own pages; after a POST, the browser loads it with GET."""
    mark = "&" if "?" in path else "?"
    return RedirectResponse(f"{path}{mark}done={done}" if done else path, 303, headers=SECURITY_HEADERS)


def own_path(path: str, otherwise: str) -> str:
    """A path of this gateway, else `otherwise`. `//host`, `https:` and backslashes lead to other sites."""
    if path.startswith("/") and not path.startswith("//") and path.isprintable() and "\\" not in path:
        return path
    return otherwise
