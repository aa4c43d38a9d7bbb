"""The next page is asked for with a token: from the body, or a field of the last item."""

from __future__ import annotations

from typing import Any

from tidegate.rules.language.view import MISSING
from tidegate.rules.sync.paginators.base import PAGE_KEYS, PageRequest, Pages, PaginatorKind, Step, with_token
from tidegate.rules.sync.paths import compiled, skim


class CursorPages(Pages, frozen=True, tag="cursor"):
    cursor_path: str = "next_cursor"
    cursor_param: str = "cursor"
    cursor_from_last: str = ""  # a field of the last item of the page, in place of cursor_path
    cursor_body_path: str = ""  # where the token goes in `json`, in place of cursor_param


class CursorKind(PaginatorKind[CursorPages]):
    name = "cursor"
    spec = CursorPages
    help = "The next page is asked for with a token from the body, or with a field of the last item."
    keys = {
        "cursor_path": "The path of the page token in the response. A token of any JSON type is sent.",
        "cursor_param": "The query parameter for the page token.",
        "cursor_from_last": "A field of the last item of the page that is the token, in place of `cursor_path`.",
        "cursor_body_path": "The path of the token in `json`, in place of `cursor_param`.",
        **PAGE_KEYS,
    }
    steady = True

    def step(self, spec: CursorPages, step: Step) -> PageRequest | None:
        raw = _of_last(spec, step) if spec.cursor_from_last else skim(step.answer.body, spec.cursor_path)
        place = spec.cursor_from_last or spec.cursor_path
        return with_token(step.request, spec.cursor_param, spec.cursor_body_path, raw, place)


def _of_last(spec: CursorPages, step: Step) -> Any:
    last = step.answer.last
    raw = MISSING if last is MISSING else compiled(spec.cursor_from_last).first(last)
    if raw is MISSING and step.answer.items:
        raise ValueError(f"the last item has nothing at cursor_from_last {spec.cursor_from_last!r}")
    return raw


KIND = CursorKind()
