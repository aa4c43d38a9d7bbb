"""Pages by offset where the offset is a clause of a query language inside one parameter, as at QuickBooks:
`query=SELECT * FROM Invoice STARTPOSITION 1001 MAXRESULTS 1000`.

The rules of their end are those of `offset.py`.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Annotated

from msgspec import Meta

from tidegate.rules.sync.paginators.base import (
    COUNTED_KEYS,
    CountedPages,
    PageRequest,
    PaginatorKind,
    Step,
    put,
    total_in,
)
from tidegate.rules.sync.paginators.offset import ends_rows

OFFSET, LIMIT = "{offset}", "{limit}"


class OffsetInQuery(CountedPages, frozen=True, tag="offset_in_query"):
    param: str = "query"
    clause: str = f" STARTPOSITION {OFFSET} MAXRESULTS {LIMIT}"
    limit: Annotated[int, Meta(ge=1)] = 1000
    base_offset: Annotated[int, Meta(ge=0)] = 1


class OffsetInQueryKind(PaginatorKind[OffsetInQuery]):
    name = "offset_in_query"
    spec = OffsetInQuery
    help = "Pages by an offset that is a clause of the query in one parameter."
    keys = {
        "param": "The query parameter that has the query.",
        "clause": "What is added at its end, with {offset} and {limit}.",
        "limit": "Number of items on a page.",
        "base_offset": "The offset of the first item.",
        "total_path": "The path of the total number of items in the response, if it has one.",
        **COUNTED_KEYS,
    }
    counted = True

    def first(self, spec: OffsetInQuery, request: PageRequest) -> PageRequest:
        """A clause that the query has already stays."""
        return request if self.number(spec, request) is not None else _placed(spec, request, spec.base_offset)

    def number(self, spec: OffsetInQuery, request: PageRequest) -> int | None:
        match = _clause(spec.clause).search(_query(spec, request))
        return None if match is None else int(match["offset"])

    def step(self, spec: OffsetInQuery, step: Step) -> PageRequest | None:
        offset = self.number(spec, step.request)
        items = step.answer.items
        following = (spec.base_offset if offset is None else offset) + (items or spec.limit)
        total = total_in(spec, step.answer)
        if not step.more and ends_rows(spec, step.walk, items, spec.limit, following, total):
            return None
        return _placed(spec, step.request, following)


def _query(spec: OffsetInQuery, request: PageRequest) -> str:
    return next((value for name, value in request.params if name == spec.param), "")


def _placed(spec: OffsetInQuery, request: PageRequest, offset: int) -> PageRequest:
    bare = _clause(spec.clause).sub("", _query(spec, request))
    clause = spec.clause.replace(OFFSET, str(offset)).replace(LIMIT, str(spec.limit))
    return PageRequest(request.url, put(request.params, spec.param, bare + clause), request.body)


@cache
def _clause(text: str) -> re.Pattern[str]:
    """The clause at the end of a query."""
    pattern = re.escape(text).replace(re.escape(OFFSET), r"(?P<offset>\d{1,15})").replace(re.escape(LIMIT), r"\d{1,9}")
    return re.compile(pattern + r"\Z", re.ASCII)


KIND = OffsetInQueryKind()
