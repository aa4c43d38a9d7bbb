"""Which resources one page shows, and the links to the others: a page stays small, and nothing is out of reach."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from tidegate.dashboard.comparison.subject import Subject

ALL = 5  # so many fit on a page that has nothing else
SHOWN = 4  # with the links to others, or with a comparison of both ways


class Paging(Struct, kw_only=True):
    """`first` to `last` of `total` are shown. `before` and `after`: numbers of other pages, 0 without one."""

    number: int
    first: int
    last: int
    total: int
    before: int
    after: int


def paged(subjects: Sequence[Subject], number: int, *, alone: bool = True) -> tuple[list[Subject], Paging]:
    """The resources of page `number`, from 1; a number beyond the last page is the last one.

    `alone`: the page has no comparison of both ways.
    """
    size = ALL if alone and len(subjects) <= ALL else SHOWN
    pages = max(1, -(-len(subjects) // size))
    number = min(max(1, number), pages)
    first = (number - 1) * size
    shown = list(subjects[first : first + size])
    return shown, Paging(
        number=number, first=first + 1, last=first + len(shown), total=len(subjects),
        before=number - 1, after=number + 1 if number < pages else 0,
    )  # fmt: skip
