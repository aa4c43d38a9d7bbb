"""Pages of doubles: numbers, offsets, tokens and links, with the limits that the API keeps to.

Places of parameters are those of `Ask.get`: `per_page`, `body:limit`, `header:...`. `default` and `maximum` are rows
on a page; `over` says what a larger size gets: the maximum ("clamp") or an error. `served` is a smaller page for lists
that may be shorter than asked for, so that a test has several pages.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import msgspec

from support.catalog.shape import Ask, Refused, State

Sorting = Callable[[State], Any]


class Page(msgspec.Struct):
    """`more` are members of the answer by their dotted path, `headers` its headers. `rest`: rows behind this page."""

    rows: list[State]
    rest: int = 0
    more: dict[str, Any] = {}
    headers: dict[str, str] = {}


class Pager(msgspec.Struct, frozen=True, kw_only=True):
    """One page with everything."""

    size: str = ""
    default: int = 100
    maximum: int = 100
    over: str = "clamp"
    served: int = 0
    total: str = ""  # the member of the answer with the number of all rows
    has_more: str = ""  # the member that says whether there are more; "!done" says whether it is the last page

    def wanted(self, ask: Ask) -> int:
        given = ask.get(self.size) if self.size else None
        if given in (None, ""):
            return self._served(self.default)
        try:
            number = int(given)
        except (TypeError, ValueError):
            raise Refused("bad_request", f"{self.size} is not a number: {given!r}") from None
        if number < 1 or (number > self.maximum and self.over == "error"):
            raise Refused("bad_request", f"{self.size} must be from 1 to {self.maximum}, and it is {number}")
        return self._served(min(number, self.maximum))

    def _served(self, number: int) -> int:
        return min(number, self.served) if self.served else number

    def page(self, ask: Ask, rows: list[State], sorting: Sorting) -> Page:
        return self.signed(Page(rows), len(rows))

    def signed(self, page: Page, total: int) -> Page:
        if self.total:
            page.more[self.total] = total
        if self.has_more:
            page.more[self.has_more.lstrip("!")] = (page.rest > 0) != self.has_more.startswith("!")
        return page


def link_to(ask: Ask, changed: dict[str, Any], *, path: str = "", relative: bool = False) -> str:
    """The URL of this request with other parameters; None takes one away."""
    pairs = [pair for pair in ask.pairs if pair[0] not in changed]
    pairs += [(name, str(value)) for name, value in changed.items() if value is not None]
    start = "" if relative else ask.url
    return f"{start}{path or ask.path}?{urlencode(pairs)}"


class Numbered(Pager, frozen=True, kw_only=True):
    """Page numbers. `link`: a Link header; `pages`: the member with the number of pages; `beyond`: past the end."""

    number: str = "page"
    first: int = 1
    link: bool = False
    pages: str = ""
    next_number: str = ""  # the member with the next number, null on the last page
    next_url: str = ""  # the member with the next URL
    total_header: str = ""
    pages_header: str = ""
    beyond: str = ""  # "" an empty page, else the kind of an error
    last: int = 0  # the highest page that is answered

    def page(self, ask: Ask, rows: list[State], sorting: Sorting) -> Page:
        size = self.wanted(ask)
        try:
            number = int(ask.get(self.number) or self.first) - self.first
        except ValueError:
            raise Refused("bad_request", f"{self.number} is not a number") from None
        if number < 0 or (self.last and number + self.first > self.last):
            raise Refused("bad_request", f"page {number + self.first} is not answered")
        at = number * size
        if at >= len(rows) and number and self.beyond:
            raise Refused(self.beyond, "the page is beyond the end")
        found = Page(rows[at : at + size], max(0, len(rows) - at - size))
        following = number + self.first + 1 if found.rest else None
        pages = -(-len(rows) // size)
        if self.link and following is not None:
            found.headers["Link"] = f'<{link_to(ask, {self.number: following})}>; rel="next"'
        if self.pages:
            found.more[self.pages] = pages
        if self.next_number:
            found.more[self.next_number] = following
        if self.next_url:
            found.more[self.next_url] = None if following is None else link_to(ask, {self.number: following})
        if self.total_header:
            found.headers[self.total_header] = str(len(rows))
        if self.pages_header:
            found.headers[self.pages_header] = str(pages)
        return self.signed(found, len(rows))


class Offsets(Pager, frozen=True, kw_only=True):
    """An offset and a limit. `last`: the highest offset plus limit that is answered."""

    offset: str = "offset"
    base: int = 0
    last: int = 0
    next_url: str = ""
    relative: bool = False
    next_offset: str = ""

    def page(self, ask: Ask, rows: list[State], sorting: Sorting) -> Page:
        size = self.wanted(ask)
        at = int(ask.get(self.offset) or self.base) - self.base
        if at < 0 or (self.last and at + size > self.last):
            raise Refused("bad_request", f"offset {at} is not answered")
        found = Page(rows[at : at + size], max(0, len(rows) - at - size))
        following = at + size + self.base if found.rest else None
        if self.next_url:
            found.more[self.next_url] = (
                None if following is None else link_to(ask, {self.offset: following}, relative=self.relative)
            )
        if self.next_offset:
            found.more[self.next_offset] = following
        return self.signed(found, len(rows))


class Tokens(Pager, frozen=True, kw_only=True):
    """Tokens that name the last row of the page before by the order of the list.

    `token` is where the request has it, `out` the member of the answer ("" where it is not sent), `empty` what is there
    on the last page (None leaves it out, as does "absent"). `from_last`: the token is the id of the last row. `link`,
    `next_url`: the token comes in a URL. `alone`: no other parameter may come with a token. `lives_seconds`: then it
    has expired.
    """

    token: str = "cursor"
    out: str = ""
    empty: Any = "absent"
    from_last: Callable[[State], Any] | None = None
    link: bool = False
    next_url: str = ""
    url_param: str = ""  # the name of the token in URLs
    relative: bool = False
    url_path: Callable[[str], str] | None = None  # a path of its own for the next page, from the token
    alone: tuple[str, ...] | None = None  # what may come beside a token
    lives_seconds: float = 0.0
    always: bool = False  # a token on the last page too
    header: str = ""

    def page(self, ask: Ask, rows: list[State], sorting: Sorting) -> Page:
        given = ask.get(self.token)
        size = self.wanted(ask)
        if given not in (None, ""):
            others = set(ask.query) - {self.token} - set(self.alone or ())
            if self.alone is not None and others:
                raise Refused("bad_request", f"{', '.join(sorted(others))} cannot come with {self.token}")
            rows = self._after(ask, str(given), rows, sorting)
        found = Page(rows[:size], max(0, len(rows) - size))
        self._tell(ask, found, sorting, str(given or ""))
        return self.signed(found, len(rows))

    def _after(self, ask: Ask, given: str, rows: list[State], sorting: Sorting) -> list[State]:
        if self.from_last is not None:
            at = next((i for i, row in enumerate(rows) if str(self.from_last(row)) == given), None)
            if at is None:
                raise Refused("bad_request", f"{given!r} is not the id of a row")
            return rows[at + 1 :]
        last, made_us = read_token(given)
        if self.lives_seconds and ask.now_us - made_us > self.lives_seconds * 1e6:
            raise Refused("expired", "the token has expired")
        return [row for row in rows if _plain(sorting(row)) > last]

    def _tell(self, ask: Ask, found: Page, sorting: Sorting, before: str) -> None:
        token: str | None = None
        if found.rows and (found.rest or self.always):
            token = (
                str(self.from_last(found.rows[-1]))
                if self.from_last is not None
                else make_token(_plain(sorting(found.rows[-1])), ask.now_us)
            )
        elif self.always:
            token = before or None
        if self.out and (token is not None or self.empty != "absent"):
            found.more[self.out] = token if token is not None else self.empty
        if self.header and token is not None:
            found.headers[self.header] = token
        if not (self.link or self.next_url):
            return
        link = self._link(ask, token) if token is not None else None
        if self.next_url and (link is not None or self.empty != "absent"):
            found.more[self.next_url] = link if link is not None else self.empty
        if self.link and link is not None:
            found.headers["Link"] = f'<{link}>; rel="next"'

    def _link(self, ask: Ask, token: str) -> str:
        if self.url_path is not None:
            return ("" if self.relative else ask.url) + self.url_path(token)
        changed: dict[str, Any] = {self.url_param or self.token: token}
        if self.alone is not None:
            changed |= {name: None for name in ask.query if name not in self.alone and name not in changed}
        return link_to(ask, changed, relative=self.relative)


def make_token(value: Any, now_us: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([value, now_us]).encode()).decode().rstrip("=")


def read_token(text: str) -> tuple[Any, int]:
    try:
        value, made_us = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, TypeError):
        raise Refused("bad_request", f"{text!r} is not a token of this list") from None
    return value, int(made_us)


def _plain(value: Any) -> Any:
    """A sort key as it comes back from JSON."""
    return list(value) if isinstance(value, tuple) else value
