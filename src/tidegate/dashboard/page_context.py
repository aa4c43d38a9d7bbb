"""What all pages share: the gateway, the templates, and the border that each request passes.

Owns the order at that border: the Host is ours, somebody is signed in (else the login page), and a request that changes
something carries the session's CSRF token. A `TidegateError` becomes an error page; anything else is logged with its
traceback and told as `internal`. Pages know no cookies and no headers.
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
from tidegate.dashboard.render import SECURITY_HEADERS, Pages

if TYPE_CHECKING:
    from tidegate.process.gateway import Gateway

log = logging.getLogger("tidegate.dashboard")
MAX_FORM_BYTES = 16 * 1024
_TITLES = {
    400: "That request was not understood",
    408: "That took too long to arrive",
    403: "That was not allowed",
    404: "There is nothing here",
    409: "That contradicts what stands",
    413: "That is too large",
    421: "This gateway has another name",
    503: "Not available at this moment",
}


class PageContext:
    """Shared by all pages of one app."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.assets = Assets()
        self.pages = Pages(self.assets, gateway.clock.now_us)

    def failed(self, request: Request, error: TidegateError) -> Response:
        """The error page: what happened, why, the next step, a code."""
        title = _TITLES.get(error.status, "Something went wrong")
        return self.pages.page(
            request,
            "error.html",
            status=error.status,
            title=title,
            code=error.code,
            message=error.message,
            hint=error.hint,
        )


Page = Callable[[PageContext, Request], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


def guarded(context: PageContext, page: Page, *, public: bool = False) -> Endpoint:
    """The page behind the border. `public`: nobody need be signed in (login, theme)."""

    async def serve(request: Request) -> Response:
        request.state.csrf, request.state.signed_in = "", False
        try:
            sessions.check_host(request.headers.get("host", ""), request.scope["tidegate"].host_names())
            grant = await sessions.current(request)
            if grant is not None:
                request.state.csrf, request.state.signed_in = grant.csrf, True
            if request.method == "POST":
                await _read_form(request)
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
            return Response()  # nobody reads it
        except Exception:  # the last border: told as `internal`, the log has the rest
            log.exception("the page %s failed", request.url.path)
            return context.failed(request, TidegateError("the gateway failed at this page", hint="look at its log"))

    return serve


async def _read_form(request: Request) -> None:
    """The fields of a small form, kept on the request. Raises what `read_body` does; BadRequest for what is no form."""
    body = await read_body(request.receive, request.headers, MAX_FORM_BYTES)
    try:
        request.state.fields = dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=50))
    except ValueError:
        raise BadRequest("the form cannot be read", hint="load the page again") from None


def field(request: Request, name: str) -> str:
    value: str = request.state.fields.get(name, "")
    return value


def _check_own(request: Request) -> None:
    """Without a session there is no token, so the browser's own word on where a form came from is asked."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise sessions.CsrfFailed("this form was sent from another site")


def see_other(path: str, done: str = "") -> Response:
    """303 to one of our own pages: after a POST the browser loads it with GET."""
    mark = "&" if "?" in path else "?"
    return RedirectResponse(f"{path}{mark}done={done}" if done else path, 303, headers=SECURITY_HEADERS)


def own_path(path: str, otherwise: str) -> str:
    """A path of ours to go back to. `//host`, `https:` and backslashes lead elsewhere and are not taken."""
    if path.startswith("/") and not path.startswith("//") and path.isprintable() and "\\" not in path:
        return path
    return otherwise
