"""The paginator is found by the signs of the first page, and reported with the line that pins it."""

from __future__ import annotations

from tidegate.core.spec import Paginator
from tidegate.rules.sync.paginators.base import PAGE_KEYS, PageRequest, Pages, PaginatorKind, Step


class AutoPages(Pages, frozen=True, tag="auto"):
    pass


class AutoKind(PaginatorKind[AutoPages]):
    name = "auto"
    spec = AutoPages
    help = "Found by the first page, and reported with the line that pins it."
    keys = PAGE_KEYS

    def step(self, spec: AutoPages, step: Step) -> PageRequest | None:
        raise AssertionError("a walk with the paginator `auto` uses the one that was found")


def keeps(spec: AutoPages, found: Paginator) -> Paginator:
    """The found paginator with the keys that the resource sets itself."""
    for name in ("has_more_path", "max_pages"):
        value = getattr(spec, name)
        if value and name in found.__struct_fields__:
            found = type(found)(**{**{one: getattr(found, one) for one in found.__struct_fields__}, name: value})
    return found


KIND = AutoKind()
