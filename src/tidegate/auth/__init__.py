"""Kinds of credential, one file each, for sources and destinations alike. Pure.

Owns the registry: every module of this package but those of `_NOT_A_KIND` is a kind and brings one `KIND`. It may not
know who sends requests. To add a kind, add its file; the loader, the checks, the masking, the export, the JSON Schema,
the reference and both senders read the registry.
"""

from __future__ import annotations

import functools
import importlib
import operator
import pkgutil
from typing import TYPE_CHECKING, Any

from tidegate.auth import mtls
from tidegate.auth.base import Added, AuthKind, RequestFacts
from tidegate.auth.credential import CredentialReference
from tidegate.auth.tokens import TokenKind
from tidegate.core.spec import Auth
from tidegate.rules.outbound.connect_options import ClientCertificate

__all__ = [
    "KINDS", "SECRET_FIELDS", "Added", "AnyAuth", "AuthKind", "RequestFacts", "TokenKind", "added_by",
    "client_certificate", "header_names", "kind_of", "referred", "request_auth", "with_type",
]  # fmt: skip

_NOT_A_KIND = frozenset({"base", "oauth2", "private_keys", "tokens"})


def _found() -> dict[str, AuthKind[Any]]:
    modules = sorted(one.name for one in pkgutil.iter_modules(__path__) if one.name not in _NOT_A_KIND)
    kinds = [importlib.import_module(f"tidegate.auth.{name}").KIND for name in modules]
    return {kind.name: kind for kind in kinds}


KINDS: dict[str, AuthKind[Any]] = _found()
SECRET_FIELDS: frozenset[str] = frozenset().union(*(kind.secret_fields for kind in KINDS.values()))

if TYPE_CHECKING:
    AnyAuth = Auth
else:  # msgspec reads the union of the structs; the type checker knows their base
    AnyAuth = functools.reduce(operator.or_, [kind.spec for kind in KINDS.values()])
    mtls.AnyAuth = AnyAuth


def kind_of(auth: Auth) -> AuthKind[Any]:
    """The kind of a credential as it is configured."""
    return KINDS[str(auth.__struct_config__.tag)]


def request_auth(auth: Auth | None) -> Auth | None:
    """The credential that requests carry: of a client certificate, the one beside it."""
    return auth.auth if isinstance(auth, mtls.MtlsAuth) else auth


def client_certificate(auth: Auth | None) -> ClientCertificate | None:
    """What the TLS handshake shows."""
    return ClientCertificate(auth.certificate, auth.private_key) if isinstance(auth, mtls.MtlsAuth) else None


def added_by(auth: Auth | None) -> Added:
    """What a credential adds to every request alike; nothing where it depends on a token or on the request."""
    carried = request_auth(auth)
    if carried is None:
        return Added()
    kind = kind_of(carried)
    return Added() if kind.needs_token or kind.per_request else kind.add(carried)


def header_names(auth: Auth | None) -> tuple[str, ...]:
    """The headers that a credential sets; of a reference none, because it names another one."""
    carried = request_auth(auth)
    return () if carried is None else kind_of(carried).header_names(carried)


def referred(auth: Auth | None) -> str:
    """The name of the shared credential that this one refers to; "" when it is one itself."""
    carried = request_auth(auth)
    return carried.credential if isinstance(carried, CredentialReference) else ""


def with_type(auth: Any) -> Any:
    """A credential's tree with `type`, which a reference leaves out. Anything else stays as it is."""
    if not isinstance(auth, dict):
        return auth
    if "type" not in auth and "credential" in auth:
        return {"type": "credential", **auth}
    return {**auth, "auth": with_type(auth["auth"])} if "auth" in auth else auth
