"""Which shared credential a source or destination uses, and for which origin. Pure. Crash: nothing is kept."""

from __future__ import annotations

from typing import Any

from tidegate.auth import referred
from tidegate.config.spec import Source
from tidegate.core.spec import Destination
from tidegate.kinds import kind_of
from tidegate.rules.outbound.addresses import parse_target


def credential_use(spec: Any) -> tuple[str, str] | None:
    """(name of the credential, origin that it is sent to); None when the item uses none."""
    if isinstance(spec, Source):
        auth = spec.api.auth if spec.api is not None else None
        address = spec.api.base_url if spec.api is not None else ""
    elif isinstance(spec, Destination):
        auth = getattr(spec, "auth", None)
        address = kind_of(spec).address(spec) if auth is not None else ""
    else:
        return None
    name = referred(auth)
    return (name, parse_target(address).origin) if name else None
