"""Checks `ca`, `proxy` and client certificates of one destination or source: whether they can be read and can matter.

Owns the contradictions between them and the URL. May not know whose keys they are. Adds to `Problems`. Reads the clock
for one thing: a certificate that has expired is a warning, because a gateway with one must still start. Crash: nothing
is kept.
"""

from __future__ import annotations

from tidegate.auth import client_certificate
from tidegate.config.lines import Path
from tidegate.config.validate import Validator
from tidegate.core.clock import Clock
from tidegate.core.errors import ConfigError
from tidegate.core.spec import Auth, Proxy
from tidegate.rules.outbound.addresses import AllowList, Target, blocked_reason, parse_target
from tidegate.rules.outbound.certificates import expired, read_certificates
from tidegate.rules.outbound.proxies import parse_proxy


def check_connection(
    validator: Validator, path: Path, url: str, keys: tuple[str, str | Proxy], auth: Auth | None
) -> None:
    """`keys`: `ca` and `proxy`. `url`: where requests go, checked elsewhere."""
    ca, proxy = keys
    if ca:
        validator.compiled((*path, "ca"), read_certificates, ca)
    if proxy:
        at = (*path, "proxy")
        validator.compiled(at, parse_proxy, proxy)
        if isinstance(proxy, Proxy) and proxy.ca:
            validator.compiled((*at, "ca"), read_certificates, proxy.ca)
    certificate = client_certificate(auth)
    if url.lower().startswith("http://"):
        for key, what, given in (("ca", "`ca`", ca), ("auth", "the client certificate", certificate)):
            if given:
                hint = "write https://, or remove it"
                validator.add((*path, key), f"{what} has no effect, because the URL is http", hint)
    for where, pem in (
        ((*path, "ca"), ca),
        ((*path, "auth", "certificate"), certificate.certificate if certificate is not None else ""),
    ):
        _warn_when_expired(validator, where, pem)


def _warn_when_expired(validator: Validator, path: Path, pem: str) -> None:
    try:
        end = expired(pem, Clock().now_us()) if pem else None
    except ConfigError:
        return  # reported at its own path
    if end is not None:
        validator.problems.warn(path, f"this certificate expired on {end:%Y-%m-%d}; requests fail until it is replaced")


def proxy_target(proxy: str | Proxy) -> Target | None:
    """Where a proxy is; None without one, and for one that cannot be read."""
    try:
        found = parse_proxy(proxy) if proxy else None
    except ConfigError:
        return None
    return parse_target(f"{found.scheme}://{_host(found.host)}:{found.port}") if found is not None else None


def _host(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def unreachable_reason(target: Target, allow: AllowList) -> str | None:
    """Why `allow` of the file blocks this address; None when it does not, or when only a lookup can say."""
    host = "127.0.0.1" if target.host == "localhost" else target.host
    reason = blocked_reason(host, target.port, allow, frozenset())
    return None if reason in (None, "not_an_address") else str(reason).replace("_", " ")
