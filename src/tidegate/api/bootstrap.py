"""Access for the first caller: a key for the local command line, and a sign-in link for the first browser.

Both exist in this process only; `serve` writes them to `DIR/local.json` (mode 0600) and to the terminal. A restart
makes new ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidegate.api.calls import context_of
from tidegate.api.keys import new_token

if TYPE_CHECKING:
    from tidegate.process.gateway import Gateway


async def local_key(gateway: Gateway) -> str:
    """An admin key for users who can read the data directory. It ends with this process."""
    token = new_token()
    context_of(gateway).keyring.fix(token, "local")
    return token


async def login_link(gateway: Gateway, url: str) -> str | None:
    """A link that signs one browser in within an hour. None while any session is valid."""
    sessions = context_of(gateway).sessions
    if await sessions.any():
        return None
    return f"{url}/login?token={sessions.new_link()}"
