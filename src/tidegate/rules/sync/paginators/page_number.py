"""Pages by number. The rules of their end are in the table of `page_end.py`."""

from __future__ import annotations

from tidegate.rules.language.view import MISSING
from tidegate.rules.sync.canonical import parse_json
from tidegate.rules.sync.page_end import End, PageWalk, counts_from_one, usable_total
from tidegate.rules.sync.paginators.base import (
    COUNTED_KEYS,
    CountedPages,
    PageAnswer,
    PageRequest,
    PaginatorKind,
    Step,
    number_in,
    placed,
    total_in,
)
from tidegate.rules.sync.paths import skim

_ROW_TOTALS = ("total", "total_count", "totalCount", "totalElements", "totalResults", "meta.total", "pagination.total")


class PageNumber(CountedPages, frozen=True, tag="page_number"):
    base_page: int = 1
    page_param: str = "page"
    page_body_path: str = ""


class PageNumberKind(PaginatorKind[PageNumber]):
    name = "page_number"
    spec = PageNumber
    help = "Pages by number."
    keys = {
        "base_page": "The number of the first page. A page number in `params` comes first.",
        "page_param": "The query parameter for the page number.",
        "total_path": "The path of the total number of pages in the response, if it has one.",
        "page_body_path": "The path of the page number in `json`, in place of `page_param`.",
        **COUNTED_KEYS,
    }
    counted = True

    def first(self, spec: PageNumber, request: PageRequest) -> PageRequest:
        """A page number that the request names itself stays."""
        if self.number(spec, request) is not None:
            return request
        return placed(request, spec.page_param, spec.page_body_path, spec.base_page)

    def number(self, spec: PageNumber, request: PageRequest) -> int | None:
        return number_in(request, spec.page_param, spec.page_body_path)

    def step(self, spec: PageNumber, step: Step) -> PageRequest | None:
        number = self.number(spec, step.request)
        number = spec.base_page if number is None else number
        if counts_from_one(step.walk, number):
            return placed(step.request, spec.page_param, spec.page_body_path, number + 1)
        if not step.more and _ends(spec, step.walk, step.answer.items, number, total_in(spec, step.answer)):
            _check_page_zero(step.walk, step.answer, number)
            return None
        return placed(step.request, spec.page_param, spec.page_body_path, number + 1)


def _check_page_zero(walk: PageWalk, answer: PageAnswer, number: int) -> None:
    """Reports signs of a page 0 that was not asked for: the rows of the first page are missing from the total."""
    if walk.base != 1 or walk.resumed or answer.items or walk.pages < 2:
        return
    missing = walk.ended_by is End.TOTAL
    if walk.ended_by is End.EMPTY:
        found = [raw for path in _ROW_TOTALS if (raw := skim(answer.body, path)) is not MISSING]
        totals = [parse_json(raw) for raw in found]
        missing = any(type(one) is int and one - len(walk.keys) == walk.largest for one in totals)
    if missing:
        walk.contradictions.append(
            f"page {number} is empty, and the total says that there are more rows: "
            "does the source count pages from 0? Then write base_page = 0"
        )


def _ends(spec: PageNumber, walk: PageWalk, items: int, number: int, total: int | None) -> bool:
    """Whether the walk ends here. `total` is a number of pages."""
    known = usable_total(walk, number - walk.base + 1 if items else 0, total, "pages")
    if known is not None and not (items == 0 and spec.stop_on_empty):
        if number - walk.base + 1 < known:
            return False
        walk.end(End.TOTAL)
        return True
    if items == 0:
        walk.end(End.EMPTY)
        return True
    return False


KIND = PageNumberKind()
