"""The next page is asked for with a token from a response header."""

from __future__ import annotations

from tidegate.rules.sync.links import header
from tidegate.rules.sync.paginators.base import PAGE_KEYS, PageRequest, Pages, PaginatorKind, Step, placed


class HeaderCursor(Pages, frozen=True, tag="header_cursor"):
    cursor_key: str = "X-Next-Cursor"
    cursor_param: str = "cursor"
    cursor_body_path: str = ""


class HeaderCursorKind(PaginatorKind[HeaderCursor]):
    name = "header_cursor"
    spec = HeaderCursor
    help = "The next page is asked for with a token from a response header."
    keys = {
        "cursor_key": "The response header with the page token.",
        "cursor_param": "The query parameter for the page token.",
        "cursor_body_path": "The path of the token in `json`, in place of `cursor_param`.",
        **PAGE_KEYS,
    }
    steady = True

    def step(self, spec: HeaderCursor, step: Step) -> PageRequest | None:
        token = header(step.answer.headers, spec.cursor_key)
        return None if not token else placed(step.request, spec.cursor_param, spec.cursor_body_path, token)

    def headers(self, spec: HeaderCursor) -> tuple[str, ...]:
        return (spec.cursor_key.lower(),)


KIND = HeaderCursorKind()
