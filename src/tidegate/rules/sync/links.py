"""Links to a next page: origins, relative links, the `Link` header. Pure.

Owns RFC 8288 and the rule that a next link never leaves the origins of its source, because the credentials would go
with it. Knows no paginator. Invariant: a link is asked byte for byte as the source wrote it; only credentials that a
source wrote into it are removed, by the caller.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

from tidegate.core.errors import UpstreamError

_HREF_NAMES = ("href", "url", "uri", "link", "@id", "next")


def origin_of(url: str) -> str:
    """`https://shop.example.com:443`: scheme, host and port. ValueError when the URL has none of it."""
    parts = urlsplit(url)
    scheme, host = parts.scheme.lower(), (parts.hostname or "").lower()
    if scheme not in ("http", "https") or not host:
        raise ValueError(f"{url!r} is not an http or https URL")
    port = parts.port or (443 if scheme == "https" else 80)
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def follow(url: str, link: str, origins: Collection[str] = ()) -> str:
    """The absolute URL of a next link, its query byte for byte. UpstreamError page_foreign when it leaves the origin.

    `origins` are more origins that links may name. The error names the origin alone: sources write the credentials of
    the request into their links.
    """
    own, there = origin_of(url), "something other than an address"
    try:
        target = urljoin(url, link.strip().replace(" ", "%20"))
        parts = urlsplit(target)
        there = origin_of(target) if parts.username is None else "an address with a user in it"
    except ValueError:
        parts = None
    if parts is None or (there != own and there not in origins):
        raise UpstreamError(
            f"the next link leads away from {own}, to {there}",
            code="page_foreign",
            hint="credentials stay with their origin; set base_url to the host that its links name, or add `origins`",
        )
    return urlunsplit((parts.scheme, parts.netloc, parts.path, parts.query, ""))


def link_in(value: Any, rel: str = "next") -> str | None:
    """The link in what a source puts at `next_url_path`; None when there is none. ValueError for another value.

    A text; an object with `href`, `url` or the like (HAL, JSON:API); a list of one link object, or of several with
    `rel` or `relation`.
    """
    if value is None or value is False or value == "" or value == [] or value == {}:
        return None
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, dict):
        found = [value[name] for name in _HREF_NAMES if isinstance(value.get(name), str | dict)]
        if found:
            return link_in(found[0], rel)
        if any(name in value for name in _HREF_NAMES):
            return None  # {"href": null}
    if isinstance(value, list):
        named = [one for one in value if isinstance(one, dict) and rel in (one.get("rel"), one.get("relation"))]
        if named or all(isinstance(one, dict) and ("rel" in one or "relation" in one) for one in value):
            return link_in(named[0], rel) if named else None
        if len(value) == 1 and isinstance(value[0], dict):
            return link_in(value[0], rel)  # HAL: a relation may have a list of links
    raise ValueError(f"the next link is {_kind(value)}, not a link")


def _kind(value: Any) -> str:
    names = {bool: "a boolean", int: "a number", float: "a number", dict: "an object without a link", list: "a list"}
    return names.get(type(value), "a value")


def link_target(headers: Iterable[tuple[str, str]], rel: str) -> str | None:
    """The target of the first link with this relation, RFC 8288 section 3; None without one.

    A link that says results="false" leads to an empty page: Sentry always sends a next link.
    """
    for name, value in headers:
        if name.lower() == "link":
            for target, params in parse_link(value):
                if rel.lower() in params.get("rel", "").lower().split() and not params.get("anchor"):
                    return None if params.get("results") == "false" else target
    return None


def parse_link(value: str) -> Iterator[tuple[str, dict[str, str]]]:
    """(target, parameters) of each link in the value of a header. The first of two equal parameters counts."""
    at, end = 0, len(value)
    while (start := value.find("<", at)) >= 0:
        close = value.find(">", start)
        if close < 0:
            return
        target, at = value[start + 1 : close].strip(), close + 1
        params: dict[str, str] = {}
        while at < end and value[at] != ",":
            if value[at] == ";" or value[at] in " \t":
                at += 1
                continue
            name, text, at = _link_param(value, at)
            if name:
                params.setdefault(name.lower(), text)
        yield target, params
        at += 1


def _link_param(value: str, at: int) -> tuple[str, str, int]:
    """(name, value, place after) of the parameter that begins at `at`."""
    end = len(value)
    start = at
    while at < end and value[at] not in "=;,":
        at += 1
    name = value[start:at].strip()
    if at >= end or value[at] != "=":
        return name, "", at
    at += 1
    while at < end and value[at] in " \t":
        at += 1
    if at < end and value[at] == '"':
        return _quoted(value, at, name)
    start = at
    while at < end and value[at] not in ";,":
        at += 1
    return name, value[start:at].strip(), at


def _quoted(value: str, at: int, name: str) -> tuple[str, str, int]:
    out: list[str] = []
    at += 1
    while at < len(value) and value[at] != '"':
        if value[at] == "\\" and at + 1 < len(value):
            at += 1
        out.append(value[at])
        at += 1
    return name, "".join(out), at + 1


def header(headers: Iterable[tuple[str, str]], name: str) -> str | None:
    """The first header of a name in any case."""
    name = name.lower()
    for one, value in headers:
        if one.lower() == name:
            return value
    return None
