"""`/connect`: the state of each credential, and signing in at a provider for one of them.

The button is a link and not a form, because browsers apply `form-action` to the redirect that follows. It carries a
token of the session, so no other site can start a consent. The provider's redirect comes from another site, so the
session's cookie (SameSite=Strict) does not come with it: the answer is recognized by its state and a cookie of its own,
which is SameSite=Lax and goes to the callback only. Crash: the pending consent is in the store.
"""

from __future__ import annotations

import hashlib
import hmac

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tidegate.api.credentials import base_url
from tidegate.api.sessions import CsrfFailed
from tidegate.core.errors import TidegateError
from tidegate.dashboard.page_context import PageContext
from tidegate.dashboard.pages import lists
from tidegate.dashboard.render import SECURITY_HEADERS
from tidegate.outbound.consent import CALLBACK, CONSENT_SECONDS, COOKIE, ConsentFailed
from tidegate.query.credentials import CredentialSchema, consent_owner, list_credentials

_CHARACTERS = 4096  # of one parameter of the provider's answer
BADGES = {
    "ready": ("delivered", "Ready"),
    "fixed": ("delivered", "Fixed"),
    "no_token_yet": ("pending", "Not used yet"),
    "expired": ("pending", "Renewed at the next use"),
    "not_connected": ("pending", "Not signed in"),
    "failing": ("exhausted", "No token"),
    "dead": ("exhausted", "Dead"),
}


async def show_list(context: PageContext, request: Request) -> Response:
    found = await list_credentials(context.gateway)
    by_key = {f"{one.belongs_to}/{one.name}": one for one in found}
    keys, pager = lists.paged(list(by_key), request)
    rows = [(by_key[key], *BADGES[by_key[key].state]) for key in keys]
    return context.templates.response(request, "connect_list.html", section="sources", rows=rows, pager=pager)


async def show(context: PageContext, request: Request) -> Response:
    name = request.path_params["name"]
    owner, manager = consent_owner(context.gateway, name)
    one = await _state(context, owner.key)
    return context.templates.response(
        request,
        "connect.html",
        section="sources",
        one=one,
        badge=BADGES[one.state],
        scopes=list(manager.kind.wanted_scopes(manager.auth)),
        redirect_uri=_base(context, request).rstrip("/") + CALLBACK,
        no_public_url=not context.gateway.active.settings.gateway.public_url,
        start=f"/connect/{owner.name}/start?t={_start_token(request)}",
    )


async def start(context: PageContext, request: Request) -> Response:
    """Begin a consent: set its cookie and send the browser to the provider."""
    if not hmac.compare_digest(request.query_params.get("t", ""), _start_token(request)):
        raise CsrfFailed("this link was not made for this session", hint="open the page of the credential again")
    _, manager = consent_owner(context.gateway, request.path_params["name"])
    begun = await context.gateway.consents.begin(manager, _base(context, request), browser=True)
    answer = RedirectResponse(begun.address, 303, headers=SECURITY_HEADERS)
    secure = request.scope["tidegate"].over_tls(request.url.scheme, request.headers.get("host", ""))
    answer.set_cookie(
        COOKIE, begun.cookie, max_age=CONSENT_SECONDS, path=CALLBACK, httponly=True, samesite="lax", secure=secure
    )
    return answer


async def callback(context: PageContext, request: Request) -> Response:
    """The provider's answer. Without a session: see above."""
    query = {name: value[:_CHARACTERS] for name, value in request.query_params.items()}
    cookie = request.cookies.get(COOKIE, "")
    name, problem = "", None
    try:
        pending = await context.gateway.consents.pending(query.get("state", ""), cookie)
        owner, manager = consent_owner(context.gateway, pending.key)
        name = owner.name
        await context.gateway.consents.finish(pending, manager, query)
    except TidegateError as error:
        problem = error
    found = await _state(context, owner.key) if problem is None else None
    status = 200 if problem is None else 400 if isinstance(problem, ConsentFailed) else problem.status
    answer = context.templates.response(
        request, "connect_done.html", status=status, name=name, problem=problem, one=found
    )
    answer.delete_cookie(COOKIE, path=CALLBACK)
    return answer


async def _state(context: PageContext, key: str) -> CredentialSchema:
    found = await list_credentials(context.gateway)
    return next(one for one in found if f"{one.belongs_to}/{one.name}" == key)


def _base(context: PageContext, request: Request) -> str:
    public = context.gateway.active.settings.gateway.public_url
    return base_url(public, request.headers.get("host", ""), request.url.scheme)


def _start_token(request: Request) -> str:
    return hashlib.sha256(b"connect:" + request.state.csrf.encode()).hexdigest()[:32]
