"""Signing in and out. The one-time link opens a page with a button, so a preview that follows links does not use it up.

A click on a page of the same site needs no second click. `to` is our own page to go to after signing in.
"""

from __future__ import annotations

import math

from starlette.requests import Request
from starlette.responses import Response

from tidegate.api import sessions
from tidegate.api.attempts import TooManyAttempts
from tidegate.api.endpoint import address_of
from tidegate.core.errors import Forbidden, Unauthorized
from tidegate.dashboard.page_context import PageContext, field, own_path, see_other


async def show(context: PageContext, request: Request) -> Response:
    """`/login`, or the login link `/login?token=TOKEN`. For a browser that is signed in, the link stays valid."""
    token, to = request.query_params.get("token", "")[:200], own_path(request.query_params.get("to", ""), "/")
    if request.state.signed_in:
        return see_other(to)
    if token and _clicked_nearby(request):
        return await _enter(context, request, token=token, to=to)
    return _show(context, request, token=token, to=to)


def _clicked_nearby(request: Request) -> bool:
    """Whether the browser says that a person clicked this on a page of the same site, and that it is not a prefetch."""
    headers = request.headers
    near = headers.get("sec-fetch-site") in ("same-site", "same-origin") and "sec-purpose" not in headers
    return near and headers.get("sec-fetch-user") == "?1" and headers.get("sec-fetch-mode") == "navigate"


def _show(
    context: PageContext, request: Request, *, token: str = "", to: str = "/", problem: str = "", status: int = 200
) -> Response:
    host = request.headers.get("host", "")
    return context.templates.response(
        request, "login.html", status=status, token=token, to=to, host=host, problem=problem
    )


async def enter(context: PageContext, request: Request) -> Response:
    """By the link's token or by an admin key; a failure says why and offers the other way."""
    to = own_path(field(request, "to"), "/")
    return await _enter(context, request, token=field(request, "token"), key=field(request, "key").strip(), to=to)


async def _enter(context: PageContext, request: Request, *, token: str = "", key: str = "", to: str) -> Response:
    found: sessions.Sessions = request.scope["tidegate"].sessions
    try:
        cookie = await (found.by_link(token) if token else found.by_key(key, address_of(request.scope)))
    except (Unauthorized, Forbidden, TooManyAttempts) as error:
        problem = error.message[:1].upper() + error.message[1:] + "."
        answer = _show(context, request, to=to, problem=problem, status=error.status)
        if error.retry_after_seconds is not None:
            answer.headers["retry-after"] = str(math.ceil(error.retry_after_seconds))
        return answer
    answer = see_other(to)
    host = request.headers.get("host", "")
    secure = request.scope["tidegate"].over_tls(request.url.scheme, host)
    answer.headers["set-cookie"] = sessions.cookie_header(cookie, secure=secure, host=host)
    return answer


async def leave(context: PageContext, request: Request) -> Response:
    """Also ends the session in the store, so a copied cookie ends with it."""
    found: sessions.Sessions = request.scope["tidegate"].sessions
    host = request.headers.get("host", "")
    cookie = sessions.cookie_of(request.headers.get("cookie", ""), host)
    if cookie:
        await found.end(cookie)
    answer = see_other("/login")
    secure = request.scope["tidegate"].over_tls(request.url.scheme, host)
    answer.headers["set-cookie"] = sessions.cookie_header("", secure=secure, host=host, ended=True)
    return answer
