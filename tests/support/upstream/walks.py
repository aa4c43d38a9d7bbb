"""A walk over pages without a source: a function answers each request, and the walk says how it ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec

from tidegate.rules.sync.page_end import PageWalk, check_total
from tidegate.rules.sync.paginators import (
    AnyPaginator,
    PageAnswer,
    PageRequest,
    first_number,
    first_request,
    next_page,
)

URL = "https://api.example.com/rows"
Answer = tuple[dict[str, Any] | list[Any], dict[str, str]]


def paginator(**keys: Any) -> Any:
    return msgspec.convert(keys, AnyPaginator)


def walked(
    rule: Any,
    serve: Callable[[PageRequest], dict[str, Any] | list[Any] | Answer],
    limit: int = 60,
    **request: Any,
) -> tuple[list[Any], PageWalk, list[PageRequest]]:
    """(ids of the rows, the walk, the requests). `serve` answers a request with the page."""
    walk = PageWalk()
    following: PageRequest | None = first_request(rule, PageRequest(URL, **request))
    assert following is not None
    walk.base = first_number(rule, following)
    ids: list[Any] = []
    asked = []
    while following is not None:
        asked.append(following)
        assert len(asked) <= limit, "the walk does not end"
        page = serve(following)
        body, headers = page if isinstance(page, tuple) else (page, {})
        rows = body if isinstance(body, list) else body.get("data") or []
        keys = {hash(str(row["id"])) for row in rows}
        walk.note_rows(keys, hash(frozenset(json.dumps(row) for row in rows)) if rows else 0, unique=True)
        ids += [row["id"] for row in rows]
        answer = PageAnswer(list(headers.items()), json.dumps(body).encode(), len(rows), *rows[-1:])
        following = next_page(rule, following, answer, walk)
    check_total(walk)
    return ids, walk, asked


def params(request: PageRequest) -> dict[str, str]:
    return dict(request.params)
