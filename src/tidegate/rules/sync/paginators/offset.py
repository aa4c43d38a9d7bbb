"""Pages by offset and limit. The rules of their end are in the table of `page_end.py`."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from tidegate.rules.sync.page_end import End, PageWalk, usable_total
from tidegate.rules.sync.paginators.base import (
    COUNTED_KEYS,
    CountedPages,
    PageRequest,
    PaginatorKind,
    Step,
    number_in,
    placed,
    total_in,
)


class OffsetPages(CountedPages, frozen=True, tag="offset"):
    limit: Annotated[int, Meta(ge=1)] = 100
    offset_param: str = "offset"
    limit_param: str = "limit"
    base_offset: Annotated[int, Meta(ge=0)] = 0
    offset_body_path: str = ""
    limit_body_path: str = ""


class OffsetKind(PaginatorKind[OffsetPages]):
    name = "offset"
    spec = OffsetPages
    help = "Pages by offset and limit."
    keys = {
        "limit": "Number of items on a page.",
        "offset_param": "The query parameter for the offset.",
        "limit_param": "The query parameter for the limit.",
        "base_offset": "The offset of the first item. An offset in `params` comes first.",
        "total_path": "The path of the total number of items in the response, if it has one.",
        "offset_body_path": "The path of the offset in `json`, in place of `offset_param`.",
        "limit_body_path": "The path of the limit in `json`, in place of `limit_param`.",
        **COUNTED_KEYS,
    }
    counted = True

    def first(self, spec: OffsetPages, request: PageRequest) -> PageRequest:
        """An offset and a limit that the request names itself stay."""
        if number_in(request, spec.limit_param, spec.limit_body_path) is None:
            request = placed(request, spec.limit_param, spec.limit_body_path, spec.limit)
        if self.number(spec, request) is None:
            request = placed(request, spec.offset_param, spec.offset_body_path, spec.base_offset)
        return request

    def number(self, spec: OffsetPages, request: PageRequest) -> int | None:
        return number_in(request, spec.offset_param, spec.offset_body_path)

    def step(self, spec: OffsetPages, step: Step) -> PageRequest | None:
        items = step.answer.items
        offset = self.number(spec, step.request)
        offset = spec.base_offset if offset is None else offset
        limit = number_in(step.request, spec.limit_param, spec.limit_body_path) or spec.limit
        total = total_in(spec, step.answer)
        following = offset + (items or limit)
        if not step.more and ends_rows(spec, step.walk, items, limit, following, total):
            return None
        return placed(step.request, spec.offset_param, spec.offset_body_path, following)


def ends_rows(spec: CountedPages, walk: PageWalk, items: int, limit: int, following: int, total: int | None) -> bool:
    """Whether the walk ends here. `following` is the next offset."""
    walk.total = total if total is not None else walk.total
    known = usable_total(walk, len(walk.keys), total, "rows")
    if known is not None and not (items == 0 and spec.stop_on_empty):
        if following - walk.base < known:
            return False
        if walk.pages == 1 and items == known and items >= limit:
            return False  # `total` may be the size of this page: one more page shows it
        if items and not walk.resumed and walk.rows > len(walk.keys) < known:
            return False  # pages overlap (does the source count from 1?), so rows may be left behind the total
        walk.end(End.TOTAL)
        return True
    if items == 0:
        walk.end(End.EMPTY)
        return True
    # A short page is the last one only of a source that was seen to keep to the limit: many cap it without a word.
    if items < limit and walk.largest >= limit:
        walk.end(End.SHORT)
        return True
    return False


KIND = OffsetKind()
