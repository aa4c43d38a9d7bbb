"""How the first caller gets in: a key for the local command line, and a login link for the first browser.

Both live in this process only and are written nowhere but where `serve` puts them: `DIR/local.json` (mode 0600) and
the terminal. A restart makes new ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidegate.api.calls import context_of
from tidegate.api.keys import new_token

if TYPE_CHECKING:
    from tidegate.process.gateway import Gateway


async def local_key(gateway: Gateway) -> str:
    """An admin key for whoever may read the data directory; it ends with this process."""
    token = new_token()
    context_of(gateway).keyring.fix(token, "local")
    return token


async def login_link(gateway: Gateway, url: str) -> str | None:
    """A link that logs one browser in, within an hour. None while somebody's session is still good."""
    sessions = context_of(gateway).sessions
    if await sessions.any():
        return None
    return f"{url}/login?token={sessions.new_link()}"
