"""The answer is one complete page."""

from __future__ import annotations

from tidegate.core.spec import Paginator
from tidegate.rules.sync.page_end import End
from tidegate.rules.sync.paginators.base import PageRequest, PaginatorKind, Step


class SinglePage(Paginator, frozen=True, tag="single_page"):
    pass


class SinglePageKind(PaginatorKind[SinglePage]):
    name = "single_page"
    spec = SinglePage
    help = "The response is one complete page."
    keys = {}
    steady = True

    def step(self, spec: SinglePage, step: Step) -> PageRequest | None:
        step.walk.end(End.SINGLE_PAGE)
        return None


KIND = SinglePageKind()
