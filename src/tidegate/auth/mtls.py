"""A client certificate (mutual TLS, RFC 8446 section 4.4.2), alone or beside another credential. Pure.

It adds nothing to a request: the dialer shows it in the handshake and gets it by `tidegate.auth.client_certificate`.
`auth` inside is the credential of the requests, so that a bank that wants a certificate and a token gets both.
"""

from __future__ import annotations

from tidegate.auth.base import Added, AuthKind, RequestFacts
from tidegate.core.checking import Checker, Path
from tidegate.core.errors import ConfigError
from tidegate.core.spec import Auth
from tidegate.rules.outbound.certificates import check_pair, read_certificates, read_private_key

AnyAuth = Auth  # `tidegate.auth` replaces it by the union of all kinds, before msgspec reads the struct


class MtlsAuth(Auth, frozen=True, kw_only=True, tag="mtls"):
    certificate: str
    private_key: str
    auth: AnyAuth | None = None


class Mtls(AuthKind[MtlsAuth]):
    name = "mtls"
    spec = MtlsAuth
    help = "A client certificate, shown in the TLS handshake."
    keys = {
        "certificate": 'The certificate in PEM, then its chain: "${file:client.pem}".',
        "private_key": 'Its private key in PEM, without a passphrase: "${file:client.key}".',
        "auth": "Another credential, which requests carry beside the certificate.",
    }
    secret_fields = frozenset({"private_key"})

    def check(self, checker: Checker, path: Path, auth: MtlsAuth) -> None:
        checker.compiled((*path, "certificate"), read_certificates, auth.certificate)
        checker.compiled((*path, "private_key"), _check_key, auth.private_key, auth.certificate)
        if isinstance(auth.auth, MtlsAuth):
            checker.add((*path, "auth"), "a client certificate inside a client certificate", "keep one of them")

    def add(self, auth: MtlsAuth, *, request: RequestFacts | None = None, token: str = "") -> Added:
        return Added()


def _check_key(private_key: str, certificate: str) -> None:
    """ConfigError when the key cannot be read, or is not the one of a certificate that can."""
    read_private_key(private_key)
    try:
        read_certificates(certificate)
    except ConfigError:
        return  # reported at its own key
    check_pair(certificate, private_key)


KIND = Mtls()
