"""Paginators, one file each: the pure step from one page to the request of the next. Pure.

Owns the registry: every module of this package but `base`, `detect` and `overlooked` is a paginator and brings one
`KIND` with its spec. It may not know who sends requests. To add a paginator, add its file and its test; the loader, the
checks, the JSON Schema, the reference and the poller read the registry. When a walk ends is decided by the table of
`page_end.py`.
Invariant: a token of any JSON type is used or is an error, never the end without a word.
"""

from __future__ import annotations

import functools
import importlib
import operator
import pkgutil
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import msgspec

from tidegate.core.errors import UpstreamError
from tidegate.core.spec import Paginator
from tidegate.rules.sync import page_end
from tidegate.rules.sync.canonical import parse_json
from tidegate.rules.sync.page_end import End, PageWalk, ends_walk, has_more
from tidegate.rules.sync.paginators.auto import AutoPages, keeps
from tidegate.rules.sync.paginators.base import (
    CountedPages,
    PageAnswer,
    PageRequest,
    PaginatorKind,
    Params,
    Step,
    fingerprint,
    put,
    total_in,
)
from tidegate.rules.sync.paginators.detect import detect
from tidegate.rules.sync.paginators.overlooked import overlooked

__all__ = [
    "KINDS", "AnyPaginator", "PageAnswer", "PageRequest", "PaginatorKind", "Params", "ends_by_status", "fingerprint",
    "first_number", "first_request", "is_counted", "is_steady", "kind_of", "next_page", "put",
]  # fmt: skip

_NOT_A_KIND = frozenset({"base", "detect", "overlooked"})


def _found() -> dict[str, PaginatorKind[Any]]:
    modules = sorted(one.name for one in pkgutil.iter_modules(__path__) if one.name not in _NOT_A_KIND)
    kinds = [importlib.import_module(f"tidegate.rules.sync.paginators.{name}").KIND for name in modules]
    return {kind.name: kind for kind in kinds}


KINDS: dict[str, PaginatorKind[Any]] = _found()

if TYPE_CHECKING:
    AnyPaginator = Paginator
else:  # msgspec reads the union of the structs; the type checker knows their base
    AnyPaginator = functools.reduce(operator.or_, [kind.spec for kind in KINDS.values()])


def kind_of(spec: Paginator) -> PaginatorKind[Any]:
    """The kind of a paginator as it is configured."""
    return KINDS[str(spec.__struct_config__.tag)]


def of_walk(spec: Paginator, walk: PageWalk) -> Paginator:
    """The paginator that a walk uses: with `auto`, the one that its first page showed."""
    if not walk.found:
        return spec
    found: Paginator = msgspec.json.decode(walk.found, type=AnyPaginator)
    return found


def is_counted(spec: Paginator, walk: PageWalk) -> bool:
    """Whether pages go by offset or number, so that rows that move are passed over or come twice."""
    return kind_of(of_walk(spec, walk)).counted


def is_steady(spec: Paginator, walk: PageWalk) -> bool:
    """Whether the next page begins where the last one ended, whatever moves."""
    return kind_of(of_walk(spec, walk)).steady


def first_request(spec: Paginator, request: PageRequest) -> PageRequest:
    """The request of the first page. Offsets, limits and page numbers that the request names itself stay."""
    return kind_of(spec).first(spec, request)


def first_number(spec: Paginator, request: PageRequest) -> int:
    """The offset or page number that the walk begins with; 0 for other paginators."""
    return kind_of(spec).number(spec, request) or 0


def next_page(
    spec: Paginator, request: PageRequest, answer: PageAnswer, walk: PageWalk, origins: Collection[str] = ()
) -> PageRequest | None:
    """The request of the next page, None after the last; `walk` says what ended it.

    UpstreamError with code page_foreign, page_loop or page_unreadable; then the run did not finish.
    """
    walk.count(fingerprint(request), answer.items)
    try:
        spec = _detected(spec, request, answer, walk)
        following = _step(spec, request, answer, walk, origins)
    except ValueError as error:
        raise UpstreamError(
            f"page {walk.pages} of {request.url.partition('?')[0]} cannot be read: {error}",
            code="page_unreadable",
            hint="look at the page: tidegate pull SOURCE/RESOURCE, then set paginator and data_selector to fit it",
        ) from None
    if following is None:
        walk.overlooked = overlooked(spec, request, answer, walk)
        if walk.overlooked:
            walk.complete = False
        return None
    return None if ends_walk(getattr(spec, "max_pages", None), fingerprint(following), walk) else following


def ends_by_status(spec: Paginator, status: int, walk: PageWalk) -> bool:
    """Whether a failed request for a page after the first is the end of the list."""
    return page_end.ends_by_status(is_counted(spec, walk), status, walk)


def _step(
    spec: Paginator, request: PageRequest, answer: PageAnswer, walk: PageWalk, origins: Collection[str]
) -> PageRequest | None:
    path = getattr(spec, "has_more_path", "")
    more = has_more(path, answer.body, walk)
    if more is False:
        walk.end(End.HAS_MORE)
        return None
    _check_total_is_there(spec, answer, walk)
    kind = kind_of(spec)
    following = kind.step(spec, Step(request, answer, walk, more, origins))
    if following is None and walk.ended_by is None:
        walk.end(kind.no_next)
        if more:
            walk.contradict(f"page {walk.pages}: {path} says there are more, but nothing leads there")
    return following


def _check_total_is_there(spec: Paginator, answer: PageAnswer, walk: PageWalk) -> None:
    """A total that is configured and is not on the first page is reported: the walk ends by the other rules."""
    if not isinstance(spec, CountedPages) or walk.pages != 1 or walk.resumed or not answer.items:
        return
    place = spec.total_header or spec.total_path
    if place and total_in(spec, answer) is None:
        walk.contradictions.append(f"page 1: there is no total at {place!r}")


def _detected(spec: Paginator, request: PageRequest, answer: PageAnswer, walk: PageWalk) -> Paginator:
    """With `auto`, the paginator that the first page shows. It is kept with the walk."""
    if not isinstance(spec, AutoPages):
        return spec
    if not walk.found:
        found = detect(answer.headers, parse_json(answer.body), dict(request.params), answer.items)
        walk.found = msgspec.json.encode(keeps(spec, found.paginator)).decode()
        walk.found_by = f"{found.evidence}; write {found.pin}"
        walk.base = first_number(found.paginator, request) or getattr(found.paginator, "base_page", 0)
    return of_walk(spec, walk)
