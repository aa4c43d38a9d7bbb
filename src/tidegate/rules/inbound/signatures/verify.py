"""Compiles schemes and secrets to one verifier. Pure.

Owns which reason is given when nothing fits. `readers.py` compiles each scheme. Crash: nothing is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tidegate.rules.inbound.places import Headers
from tidegate.rules.inbound.signatures.readers import Found, Reader, check_of, compile_scheme, no_keys
from tidegate.rules.inbound.signatures.scheme import Checked, Scheme, Verification, secret_bytes

_MISSING = Checked(Verification.SIGNATURE_MISSING)


class Verifier:
    """(headers with lower-case names, raw body, public URL, now in seconds, method) -> Verification."""

    __slots__ = ("__weakref__", "_only", "_readers", "_with")

    def __init__(self, readers: Sequence[tuple[int, Reader]], with_: Callable[[Sequence[Scheme]], Verifier]) -> None:
        self._readers = readers
        self._with = with_
        self._only = readers[0][1] if len(readers) == 1 else None

    def __call__(self, headers: Headers, body: bytes, url: str, now_s: float, method: str = "POST") -> Verification:
        return self.check(headers, body, url, now_s, method).result

    def check(self, headers: Headers, body: bytes, url: str, now_s: float, method: str = "POST") -> Checked:
        """The result with the numbers of the scheme and secret."""
        if self._only is not None:
            found = self._only(headers, body, url, now_s, method)
            if isinstance(found, Checked):
                return found
            return _MISSING if found is None else _numbered(found, self._readers[0][0])
        reason: Checked | None = None
        for number, reader in self._readers:
            found = reader(headers, body, url, now_s, method)
            if found is None:
                continue
            checked = found if isinstance(found, Checked) else _numbered(found, number)
            if checked.result is Verification.OK:
                return checked
            reason = reason or checked
        if not self._readers:
            return Checked(Verification.SECRET_UNSET)
        return reason or _MISSING

    def like(self, schemes: Sequence[Scheme]) -> Verifier:
        """A verifier of other schemes with the same secrets. ConfigError for an inconsistent scheme."""
        return self._with(schemes)


def _numbered(found: Found, scheme: int) -> Checked:
    return Checked(found[0], scheme, found[1] + 1, found[2] if len(found) > 2 else "")


def compile_verifier(
    schemes: Sequence[Scheme], secrets: Sequence[str], fetched: Callable[[str], bytes | None] = no_keys
) -> Verifier:
    """Compile schemes and secrets to one verifier.

    A request is valid when any scheme accepts it with any secret. The sender chooses the scheme by its headers, so the
    order of `schemes` protects nothing; `unless_header` does. If no scheme accepts it, the result is that of the first
    scheme whose header is present. Without a usable secret the result is always SECRET_UNSET. `fetched` gives the
    content of a URL that a scheme names, None while it is not there. Raises ConfigError for an inconsistent scheme.
    """
    readers: list[tuple[int, Reader]] = []
    for number, scheme in enumerate(schemes, 1):
        keys = [key for secret in secrets if (key := secret_bytes(scheme, secret)) is not None]
        reader = compile_scheme(scheme, keys, fetched, number)
        if reader is not None:
            readers.append((number, reader))
    return Verifier(readers, lambda others: compile_verifier(others, secrets, fetched))


def usable(schemes: Sequence[Scheme], secret: str) -> bool:
    """Whether a secret can be a key of any of the schemes, so that `check` can reject it before a request comes."""
    for scheme in schemes:
        key = secret_bytes(scheme, secret)
        if key is not None and (scheme.kind in ("jwt", "message", "certificate") or check_of(scheme, key) is not None):
            return True
    return False
