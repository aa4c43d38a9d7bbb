"""Signing in and out. The one-time link lands on a page with a button: a preview that follows links uses nothing up."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from tidegate.api import sessions
from tidegate.dashboard.room import Room, field, see_other
from tidegate.errors import Forbidden, Unauthorized


async def page(room: Room, request: Request) -> Response:
    """`/login`, or `/login?token=TOKEN` as the login link says."""
    token = request.query_params.get("token", "")[:200]
    if request.state.signed_in and not token:
        return see_other("/")
    return _show(room, request, token=token)


def _show(room: Room, request: Request, *, token: str = "", problem: str = "", status: int = 200) -> Response:
    host = request.headers.get("host", "")
    return room.pages.page(request, "login.html", status=status, token=token, host=host, problem=problem)


async def enter(room: Room, request: Request) -> Response:
    """By the link's token or by an admin key; a refusal says why and offers the other way."""
    found: sessions.Sessions = request.scope["tidegate"].sessions
    token, key = field(request, "token"), field(request, "key").strip()
    try:
        cookie = await (found.by_link(token) if token else found.by_key(key))
    except (Unauthorized, Forbidden) as error:
        return _show(room, request, problem=error.message[:1].upper() + error.message[1:] + ".", status=error.status)
    answer = see_other("/")
    answer.headers["set-cookie"] = sessions.cookie_header(cookie, secure=request.url.scheme == "https")
    return answer


async def leave(room: Room, request: Request) -> Response:
    """Ends this browser's session in the store too, so that a copied cookie ends with it."""
    found: sessions.Sessions = request.scope["tidegate"].sessions
    cookie = sessions.cookie_of(request.headers.get("cookie", ""))
    if cookie:
        await found.end(cookie)
    answer = see_other("/login")
    answer.headers["set-cookie"] = sessions.cookie_header("", secure=request.url.scheme == "https", ended=True)
    return answer
