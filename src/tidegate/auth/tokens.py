"""What kinds of credential with a token service share: the request for a token, and what its answer means. Pure.

Owns `Token`, the protocol `TokenKind` and the reading of answers of token services. It may not know the store, locks or
who sends. Invariants: a refused answer is never read as a token, whatever its status; no message repeats a secret or
more than a short piece of an answer; a token that a header cannot carry is refused. Crash: nothing is kept.

Answers differ from RFC 6749 section 5 in ways that are common enough to be read here: errors with status 200, forms
instead of JSON, lifetimes as text, absolute instants, and no lifetime at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, ClassVar, Generic
from urllib.parse import parse_qsl

import msgspec

from tidegate.auth.base import Added, AuthKind, RequestFacts, S
from tidegate.core.clock import parse_http_date, parse_instant
from tidegate.rules.inbound.redaction import value_safe

MAX_TOKEN_CHARACTERS = 16_384
MAX_CAPTURED_CHARACTERS = 2_048
MAX_DETAIL_CHARACTERS = 200
ABSOLUTE_FROM = 1_000_000_000  # a larger "lifetime" is an instant in Unix seconds
_MAX_LIFETIME = 10 * 366 * 86_400.0


class Token(msgspec.Struct, frozen=True):
    """A token as it is kept. Instants are Unix seconds by our clock; `expires_at` is None when nobody said."""

    access_token: str
    obtained_at: float
    expires_at: float | None = None
    refresh_token: str = ""
    scopes: tuple[str, ...] | None = None  # as granted; None when the answer does not say
    captured: dict[str, str] = {}
    from_redirect: tuple[str, ...] = ()  # names of `captured` that the redirect of a browser brought


class TokenRequest(msgspec.Struct, frozen=True):
    """`uses_up`: the grant may be used up by this request (a refresh token that rotates)."""

    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    uses_up: bool = False


class TokenAnswer(msgspec.Struct, frozen=True):
    """What a token service answered. Header names are lower-case."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes


class TokenErrorKind(StrEnum):
    """GRANT: the grant is used up, revoked or expired. CLIENT: the configuration is wrong. LATER: ask again."""

    GRANT = "grant"
    CLIENT = "client"
    LATER = "later"


class TokenError(msgspec.Struct, frozen=True):
    """Why there is no token. `code` is the service's own word or ours; `detail` is for people."""

    kind: TokenErrorKind
    code: str
    detail: str


class NoGrant(Exception):
    """There is nothing to ask for a token with: a person has to sign in."""


class TokenKind(AuthKind[S], Generic[S]):
    """A kind whose token comes from a service. `consent`: a person signs in at the provider first."""

    needs_token = True
    consent: ClassVar[bool] = False

    def token_request(self, auth: S, token: Token | None, now_s: int) -> TokenRequest:
        """The request for the next token. `token`: the last one, also an expired one. NoGrant."""
        raise NotImplementedError

    def read_answer(self, auth: S, answer: TokenAnswer, last: Token | None, now_s: float) -> Token | TokenError:
        raise NotImplementedError

    def identity(self, auth: S) -> Sequence[str]:
        """What a stored token belongs to: a token that was given to another identity is not used."""
        raise NotImplementedError

    def token_url(self, auth: S) -> str:
        """Where the token service is."""
        raise NotImplementedError

    def wanted_scopes(self, auth: S) -> Sequence[str]:
        return ()

    def header_names(self, auth: S) -> tuple[str, ...]:
        return ("Authorization",)

    def add(self, auth: S, *, request: RequestFacts | None = None, token: str = "") -> Added:
        return Added(headers=(("Authorization", f"Bearer {token}"),))


class Paths(msgspec.Struct, frozen=True):
    """Where an answer has the token and its lifetime (dotted), and what else to keep of it."""

    token: str = "access_token"  # noqa: S105 - a field name
    expires: str = "expires_in"
    capture: Sequence[str] = ()


_GRANT_WORDS = frozenset({
    "invalid_grant", "bad_refresh_token", "invalid_refresh_token", "refresh_token_expired", "token_revoked",
    "token_expired", "expired_token", "revoked_token",
})  # fmt: skip
_LATER_WORDS = frozenset({"temporarily_unavailable", "server_error", "slow_down", "ratelimited", "rate_limited"})


def read_answer(answer: TokenAnswer, paths: Paths, last: Token | None, now_s: float) -> Token | TokenError:
    """The token in an answer, or why there is none."""
    fields = _fields(answer)
    if isinstance(fields, TokenError):
        return fields
    token = _at(fields, paths.token)
    refused = _error_in(answer, fields, now_s)
    if refused is not None:
        return refused
    if not isinstance(token, str) or not token:
        return TokenError(TokenErrorKind.LATER, "no_token", f"the answer has no text at {paths.token!r}")
    refresh = fields.get("refresh_token")
    for what, value in (("access token", token), ("refresh token", refresh)):
        if isinstance(value, str) and (len(value) > MAX_TOKEN_CHARACTERS or not _sendable(value)):
            return TokenError(TokenErrorKind.LATER, "token_unusable", f"the {what} cannot be sent in a header")
    found = captured(fields, paths.capture)
    return Token(
        token,
        now_s,
        _expires_at(_at(fields, paths.expires), answer.headers, now_s),
        refresh if isinstance(refresh, str) and refresh else (last.refresh_token if last is not None else ""),
        _scopes(fields.get("scope"), last),
        {**(last.captured if last is not None else {}), **found},
        tuple(name for name in (last.from_redirect if last is not None else ()) if name not in found),
    )


def captured(fields: Mapping[str, Any], names: Sequence[str]) -> dict[str, str]:
    """The fields that the configuration wants to keep, as text. What cannot be in a URL or header is left out."""
    found = {}
    for name in names:
        value = _at(fields, name)
        text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
        if text and len(text) <= MAX_CAPTURED_CHARACTERS and _sendable(text):
            found[name.rpartition(".")[2]] = text
    return found


def _sendable(value: str) -> bool:
    return value.isascii() and value_safe(value)


def _fields(answer: TokenAnswer) -> dict[str, Any] | TokenError:
    """The fields of a JSON object or a form."""
    kind = next((value.lower() for name, value in answer.headers if name == "content-type"), "")
    try:
        decoded = msgspec.json.decode(answer.body)
        if isinstance(decoded, dict):
            return decoded
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = answer.body.decode("utf-8", "replace").strip()
        if "html" not in kind and "=" in text[:4096] and not text.startswith(("<", "{", "[")) and "\n" not in text:
            return dict(parse_qsl(text, max_num_fields=100))
    if answer.status == 429 or answer.status >= 500:
        return TokenError(TokenErrorKind.LATER, f"http_{answer.status}", f"it answered {answer.status}")
    what = "HTML" if "html" in kind or answer.body.lstrip()[:1] == b"<" else "neither JSON nor a form"
    return TokenError(TokenErrorKind.LATER, "token_unreadable", f"it answered {answer.status} with {what}")


def _error_in(answer: TokenAnswer, fields: Mapping[str, Any], now_s: float) -> TokenError | None:
    """None when the answer claims to be a success."""
    error = fields.get("error")
    if isinstance(error, dict):  # some services answer with an error object of their API
        error = error.get("code") or error.get("type") or error.get("message")
    code = _short(error, 60) if isinstance(error, str | int) and error not in ("", 0) else ""
    if 200 <= answer.status < 300 and fields.get("ok") is not False and not code:
        return None
    said = fields.get("error_description") or fields.get("message") or fields.get("detail") or ""
    detail = f"it answered {answer.status}" + (f" {code}" if code else "")
    if isinstance(said, str) and said:
        detail += f": {_short(said, MAX_DETAIL_CHARACTERS)}"
    skew = clock_skew(answer.headers, now_s)
    detail += f" ({skew})" if skew else ""
    word = code.lower()
    if word in _GRANT_WORDS:
        return TokenError(TokenErrorKind.GRANT, word, detail)
    if answer.status == 429 or answer.status >= 500 or word in _LATER_WORDS or answer.status == 408:
        return TokenError(TokenErrorKind.LATER, word or f"http_{answer.status}", detail)
    return TokenError(TokenErrorKind.CLIENT, word or f"http_{answer.status}", detail)


def clock_skew(headers: Sequence[tuple[str, str]], now_s: float) -> str:
    """A note when the service's `Date` differs from `now_s` by more than a minute; "" otherwise."""
    at_us = parse_http_date(next((value for name, value in headers if name == "date"), ""))
    if at_us is None or abs(at_us / 1e6 - now_s) < 60:
        return ""
    off = round(now_s - at_us / 1e6)
    return f"this machine's clock is {abs(off)} s {'ahead of' if off > 0 else 'behind'} the service's"


def _expires_at(value: Any, headers: Sequence[tuple[str, str]], now_s: float) -> float | None:
    """The instant of expiry by our clock. An absolute instant is measured against the `Date` of the answer."""
    number: float | None = None
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value)
    elif isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            try:
                number = parse_instant(value) / 1e6
            except ValueError:
                return None
    if number is None or not number > 0:
        return None
    if number >= ABSOLUTE_FROM:
        date_us = parse_http_date(next((one for name, one in headers if name == "date"), ""))
        number -= date_us / 1e6 if date_us is not None else now_s
    return now_s + max(0.0, min(number, _MAX_LIFETIME))


def _scopes(value: Any, last: Token | None) -> tuple[str, ...] | None:
    if isinstance(value, str):
        return tuple(one for one in value.replace(",", " ").split() if one)
    if isinstance(value, list):
        return tuple(one for one in value if isinstance(one, str))
    return last.scopes if last is not None else None


def _at(fields: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path; a name with dots of its own is found too."""
    if path in fields:
        return fields[path]
    node: Any = fields
    for part in path.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node


def _short(value: Any, characters: int) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= characters else text[: characters - 3] + "..."
