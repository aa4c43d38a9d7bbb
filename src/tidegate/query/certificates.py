"""Client certificates and authorities of the active configuration that have expired or soon do, as findings.

Owns where the configuration has certificates. `rules/outbound/certificates.py` decides. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from tidegate.auth import client_certificate
from tidegate.core.findings import Finding
from tidegate.query.context import ReadContext
from tidegate.rules.outbound.certificates import Used, findings_of


def findings(gateway: ReadContext) -> list[Finding]:
    return findings_of(_used(gateway), gateway.clock.now_us())


def _used(gateway: ReadContext) -> Iterator[Used]:
    for subject, owner in _owners(gateway):
        certificate = client_certificate(getattr(owner, "auth", None))
        if certificate is not None:
            yield Used(subject, certificate.certificate, authority=False)
        if authority := getattr(owner, "ca", ""):
            yield Used(subject, authority, authority=True)
        proxy = getattr(owner, "proxy", None)
        if authority := getattr(proxy, "ca", ""):
            yield Used(subject, authority, authority=True)


def _owners(gateway: ReadContext) -> Iterator[tuple[str, object]]:
    """(subject, the table that has `auth`, `ca` and `proxy`)."""
    active = gateway.active
    for name, credential in active.credentials.items():
        yield f"credential:{name}", credential.spec
    for name, source in active.sources.items():
        yield f"source:{name}", source.spec.api
        yield f"source:{name}", source.spec.imap
    for name, destination in active.destinations.items():
        yield f"destination:{name}", destination.spec
