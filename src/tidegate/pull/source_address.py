"""Where the requests of one source go, with what was captured together with its token.

Owns the base URL and the headers of the API as they are now. May not know requests. Invariant: a request is built only
from an address whose placeholders all have a value. Crash: nothing is kept.
"""

from __future__ import annotations

from collections.abc import Mapping

from tidegate.config.spec import ApiInput
from tidegate.core.errors import CredentialFailed
from tidegate.outbound.credentials import Credential
from tidegate.rules.inbound.redaction import is_credential
from tidegate.rules.sync.base_urls import BaseUrl, captured_names, filled_headers
from tidegate.rules.sync.links import origin_of


class SourceAddress:
    """`names_captured`: the address or a header needs what comes with a token."""

    def __init__(self, source: str, api: ApiInput, credential: Credential) -> None:
        self._source = source
        self._api = api
        self._credential = credential
        self._base = BaseUrl(api.base_url)
        self._origin = "" if self._base.names else origin_of(api.base_url)
        self._url = api.base_url
        self._filled_with: Mapping[str, str] = {}
        self.names_captured = bool(self._base.names or any(map(captured_names, api.headers.values())))

    @property
    def url(self) -> str:
        """The base URL. CredentialFailed while a placeholder in it has no value."""
        captured = self._credential.captured
        if self._base.names and (captured != self._filled_with or not captured):
            try:
                url = self._base.filled(captured, unproven=self._credential.unproven, http=self._credential.http)
            except ValueError as error:
                raise self._unfilled(error) from None
            self._url, self._filled_with, self._origin = url, dict(captured), origin_of(url)
        return self._url

    @property
    def origin(self) -> str:
        return self._origin if not self._base.names else origin_of(self.url)

    def headers(self) -> dict[str, str]:
        """`headers` of the API, with what was captured. CredentialFailed while there is no value."""
        if not self.names_captured:
            return self._api.headers
        try:
            return filled_headers(self._api.headers, self._credential.captured)
        except ValueError as error:
            raise self._unfilled(error) from None

    def harmless_headers(self) -> dict[str, str]:
        """The headers that another origin may see: no credential, and nothing that came with a token."""
        given = self._api.headers.items()
        return {name: one for name, one in given if not is_credential(name.lower()) and not captured_names(one)}

    def _unfilled(self, reason: ValueError) -> CredentialFailed:
        return CredentialFailed(
            f"the requests of {self._source} cannot be made: {reason}",
            hint="check capture of the credential against the answer of its token service, then sign in again",
        )
