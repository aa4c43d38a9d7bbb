"""What a provider file may say about signing, and the bytes of a secret. Pure.

Owns `Scheme`, whose fields are documented here and nowhere else, and the results of a verification. Crash: nothing is
kept.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode
from collections.abc import Sequence
from enum import Enum
from typing import Literal

import msgspec


class Verification(Enum):
    """The result of a verification. The values are the reason codes of a `Rejection`."""

    OK = "ok"
    SIGNATURE_MISSING = "signature_missing"  # nothing that any scheme reads
    SIGNATURE_WRONG = "signature_wrong"
    TIMESTAMP_MISSING = "timestamp_missing"
    TOO_OLD = "too_old"  # the signature is correct, the time is not
    TOO_NEW = "too_new"
    SECRET_UNSET = "secret_unset"  # noqa: S105 - a reason code
    MALFORMED = "malformed"  # the signature is there, in a form that the scheme does not have
    KEY_UNKNOWN = "key_unknown"  # signed with a key that has not been fetched


class Checked(msgspec.Struct, frozen=True, gc=False):
    """The result of a request, and which scheme and secret gave it, both numbered from 1; 0 when none did.

    `needs`: with KEY_UNKNOWN, the URL whose content decides.
    """

    result: Verification
    scheme: int = 0
    secret: int = 0
    needs: str = ""


class Scheme(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """How one provider signs.

    `hmac` uses the secret as the key of the digest. `hash` is a plain digest of a template that contains `{secret}`.
    `token` compares the value with the secret, `basic` with `user:password` in base64. `ed25519`, `ecdsa` (P-256,
    SHA-256, DER) and `rsa` (PKCS #1 v1.5, `digest`) use a public key as the secret. `jwt` is a JSON Web Token with
    `claims`; `message` is an HTTP message signature (RFC 9421); `certificate` is RSA with an X.509 certificate that the
    request names.

    The signature is in `header`, in the query parameter `query`, or at `path` of the body. It may be a list
    (`list_separator`): an entry that starts with `prefix` is a signature, one that starts with `timestamp_prefix` is
    the time, other entries are skipped. With `name_separator` an entry is a name, the separator and the signature; any
    name will do, because only the owner of the secret can make the signature.
    """

    kind: Literal["hmac", "hash", "token", "basic", "ed25519", "ecdsa", "rsa", "jwt", "message", "certificate"] = "hmac"
    header: str = ""
    query: str = ""
    path: str = ""
    items: str = ""  # path of a list in the body: each item holds its own signature at `path`, and all must be right
    prefix: str = ""
    list_separator: str = ""
    name_separator: str = ""
    digest: Literal["sha1", "sha256", "sha384", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    # Of {body} {timestamp} {id} {method} {url} {url_without_query} {form} {url_and_form} {query_and_form} {secret}
    # {path:NAME} {header:NAME} and literal text.
    signed: str = "{body}"
    timestamp_header: str = ""
    timestamp_prefix: str = ""
    timestamp_path: str = ""
    timestamp_first: bool = False  # the first entry of the list is the time (Recurly)
    timestamp_unit: Literal["auto", "s", "ms", "us", "ns", "iso"] = "auto"  # auto: by its size, or RFC 3339
    tolerance_seconds: float = 300.0  # in both directions; used only when a time is signed
    id_header: str = ""
    secret_encoding: Literal["text", "base64", "hex"] = "text"  # noqa: S105 - an encoding, not a secret
    secret_prefix: str = ""  # removed from a secret before it is decoded
    secret_prefix_required: bool = False  # a secret without the prefix does not belong to this scheme
    secret_digest: Literal["", "sha1", "sha256"] = ""
    unless_header: str = ""  # a request with this header skips the scheme
    # A signed text that is all of this regular expression is rejected: the provider's handshake signs such for anybody.
    reject_signed: str = ""
    url_port: bool = False  # some senders sign the URL with the standard port, or without it
    body_hash_query: str = ""  # a query parameter with the hex SHA-256 of the body, where {form} is empty (Twilio)
    claims: dict[str, str] = {}  # of a JWT: name -> wanted text, or {body_sha256_hex} and the like
    max_age_seconds: float = 0.0  # of a JWT by its `iat`; 0: `exp` and `nbf` alone count
    certificate_url: str = ""  # of `certificate`: `header:NAME` or a path of the body with the URL of the certificate
    certificate_hosts: tuple[str, ...] = ()  # the hosts that the URL may name; a star stands for one label
    certificate_name: str = ""  # the DNS name in the certificate
    keys_url: str = ""  # a JSON Web Key Set with the keys of a JWT; the host is pinned by being written here


# -- secrets ---------------------------------------------------------------------------------------------

_QUOTES = ("'", '"')


def tidy(secret: str) -> str:
    """A secret without the blanks, line ends and quotes around it that come along when it is copied."""
    text = secret.strip()
    if len(text) > 2 and text[0] == text[-1] and text[0] in _QUOTES:
        text = text[1:-1].strip()
    return text


def secret_bytes(scheme: Scheme, secret: str) -> bytes | None:
    """The key that a configured secret stands for; None when it is empty or not valid for this scheme."""
    text = tidy(secret)
    written = scheme.secret_encoding
    if written == "base64":
        text = text.removeprefix("v1,")  # Supabase shows v1,whsec_...
    if scheme.secret_prefix and text.startswith(scheme.secret_prefix):
        text = text[len(scheme.secret_prefix) :]
    elif scheme.secret_prefix_required:
        return None
    key = _decoded(scheme, text)
    if key and scheme.secret_digest:
        return hashlib.new(scheme.secret_digest, key, usedforsecurity=False).digest()
    return key or None


def secret_forms(schemes: Sequence[Scheme]) -> str:
    """How a secret of the schemes is written: `base64 behind whsec_`, `a public key in PEM or hexadecimal`."""
    return " or ".join(dict.fromkeys(_form(scheme) for scheme in schemes))


def _form(scheme: Scheme) -> str:
    written = {"hex": "hexadecimal", "base64": "base64", "text": ""}[scheme.secret_encoding]
    behind = f" behind {scheme.secret_prefix}" if scheme.secret_prefix else ""
    if scheme.kind in ("ed25519", "ecdsa", "rsa"):
        return "a public key in PEM" + (f" or {written}{behind}" if written else "")
    return f"{written or 'text'}{behind}"


def _decoded(scheme: Scheme, text: str) -> bytes:
    if text.startswith("-----BEGIN"):  # a key in PEM
        return text.encode()
    written = scheme.secret_encoding
    try:
        if written == "hex":
            return bytes.fromhex(text)
        if written == "base64":
            if text.startswith("polar_whs_"):  # the whole text is the key
                return text.encode()
            # The reference libraries take keys without padding (standard-webhooks, Python).
            return b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        return b""
    return text.encode("utf-8", "surrogatepass")
