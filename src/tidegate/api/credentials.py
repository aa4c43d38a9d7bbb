"""Handlers for credentials: their state, and the address where a person signs in for one.

May not know cookies: an address from here is for a terminal, and anyone who has it can finish the consent within ten
minutes. Crash: a consent that was begun is in the store.
"""

from __future__ import annotations

import msgspec

from tidegate.api.calls import Call
from tidegate.outbound.consent import CALLBACK, CONSENT_SECONDS
from tidegate.query.credentials import CredentialSchema, consent_owner, list_credentials
from tidegate.query.schemas import Page


class ConnectSchema(msgspec.Struct):
    """Open `url` in a browser on any machine and sign in. The provider then sends you back to `redirect_uri`."""

    name: str
    url: str
    redirect_uri: str
    expires_in_seconds: int


async def auth_status(call: Call) -> Page[CredentialSchema]:
    return call.page_of(await list_credentials(call.gateway), lambda one: f"{one.belongs_to}/{one.name}")


async def auth_connect(call: Call) -> ConnectSchema:
    owner, manager = consent_owner(call.gateway, call.path["name"])
    base = base_url(call.gateway.active.settings.gateway.public_url, call.headers.get("host", ""))
    begun = await call.gateway.consents.begin(manager, base, browser=False)
    return ConnectSchema(owner.name, begun.address, base.rstrip("/") + CALLBACK, CONSENT_SECONDS)


def base_url(public_url: str, host: str, scheme: str = "http") -> str:
    """Where a browser reaches this gateway: `public_url`, else the address of this request."""
    return public_url or f"{scheme}://{host}"
