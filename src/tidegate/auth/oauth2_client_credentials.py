"""OAuth 2.0 client credentials: the gateway itself is the client (RFC 6749 section 4.4). Pure."""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.auth.oauth2 import KEYS, OAuth2Keys, OAuth2Kind, grant_request
from tidegate.auth.tokens import Token, TokenRequest


class ClientCredentialsAuth(OAuth2Keys, frozen=True, kw_only=True, tag="oauth2_client_credentials"):
    pass


class ClientCredentials(OAuth2Kind[ClientCredentialsAuth]):
    name = "oauth2_client_credentials"
    spec = ClientCredentialsAuth
    help = "A token for the gateway itself, from client id and secret (OAuth 2.0 client credentials)."
    keys = KEYS

    def identity(self, auth: ClientCredentialsAuth) -> Sequence[str]:
        return (*super().identity(auth), *sorted(auth.scopes))

    def token_request(self, auth: ClientCredentialsAuth, token: Token | None, now_s: int) -> TokenRequest:
        scope = {"scope": auth.scope_separator.join(auth.scopes)} if auth.scopes else {}
        return grant_request(auth, {"grant_type": "client_credentials", **scope})


KIND = ClientCredentials()
