"""What names say: the paginator, the key, the version and the cursor of a list, from names of parameters and fields.

Owns the tables of names. A guess is a guess: every caller notes what was guessed and from which name. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from tidegate.rules.imports.result import Tree
from tidegate.rules.sync.paginators.detect import LINKS, MORE, PAGE_TOTALS, ROW_TOTALS, TOKENS

MAX_NAME = 63
PAGES = ("page", "page[number]", "pageNumber", "page_number", "pageNum", "currentPage", "p")
OFFSETS = ("offset", "skip", "startAt", "start", "$skip", "page[offset]", "_start")
LIMITS = ("limit", "per_page", "page_size", "pageSize", "perPage", "maxResults", "max_results", "page[size]",
          "page[limit]", "$top", "top", "size", "count", "max", "_limit")  # fmt: skip
CURSORS = ("cursor", "page_token", "pageToken", "next_token", "nextToken", "NextToken", "after", "page[after]",
           "page[cursor]", "continuation_token", "continuationToken", "pagination_token", "start_cursor", "marker",
           "next_cursor", "nextPageToken", "next_page_token")  # fmt: skip
KEYS = ("id", "uuid", "gid", "guid", "sid", "key", "slug", "number", "code", "name")
VERSIONS = (
    "updated_at", "updatedAt", "updated", "modified_at", "modifiedAt", "modified", "last_modified", "lastModified",
    "last_updated", "lastUpdated", "date_updated", "dateUpdated", "date_modified", "dateModified", "updated_on",
    "modified_on", "changed_at", "update_time", "updateTime", "last_edited_time", "last_updated_at", "lastModifiedTime",
    "version", "revision",
)  # fmt: skip
_SINCE = re.compile(
    r"(?:last_?)?(?:updated?|modified|changed?|edited)(?:_?(?:at|on|date|time))?"
    r"[_\[.]{0,2}(?:since|after|gte?|from|min|start)\]?|(?:since|after|from|min)_?(?:updated|modified|changed)(?:_?at)?"
    r"|if_modified_since|modified_?since|updated_?since|since",
    re.IGNORECASE,
)  # fmt: skip
_EXCLUSIVE = re.compile(r"after|gt\]?$", re.IGNORECASE)


class Guess(NamedTuple):
    """`value`: keys of the configuration. `by`: what it was read from. `limit_param`: what sets the size of a page."""

    value: Tree
    by: str
    limit_param: str = ""


def slug(text: str, fallback: str = "x") -> str:
    """A name of the configuration from any text: `listPetOwners` -> list_pet_owners."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text[:400])
    found = re.sub(r"[^a-z0-9]+", "_", spaced.lower()).strip("_")[:MAX_NAME].strip("_")
    return found or fallback


def unique(name: str, taken: Collection[str]) -> str:
    """The name, with a number when it is taken. Numbers are given in order, so a free one is found by halves."""
    if name not in taken:
        return name
    start = name[: MAX_NAME - 6]
    low, high = 1, 2
    while f"{start}_{high}" in taken:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if f"{start}_{middle}" in taken else (low, middle)
    return f"{start}_{high}"


def paginator(params: Collection[str], fields: Collection[str], headers: Collection[str], limit: int = 100) -> Guess:
    """The paginator of a list by the names of its parameters, the fields of its answer and the headers of its answer.

    `fields`: dotted paths. `limit`: what a page should have.
    """
    size = next((one for one in LIMITS if one in params), "")
    more = next((one for one in MORE if one in fields), "")
    extra = {"has_more_path": more} if more else {}
    if "link" in {one.lower() for one in headers}:
        return Guess({"type": "header_link"}, "the response header Link", size)
    if "starting_after" in params and more:
        found = {"type": "cursor", "cursor_from_last": "id", "cursor_param": "starting_after", **extra}
        return Guess(found, f"the parameter starting_after, and {more}", size)
    for path, usual in TOKENS.items():
        if path not in fields or (path in ("offset", "after", "cursor") and usual not in params):
            continue
        last = path.rpartition(".")[2]
        param = next((one for one in (usual, last, *CURSORS) if one in params), "")
        if param:
            return Guess(
                {"type": "cursor", "cursor_path": path, "cursor_param": param, **extra},
                f"the parameter {param}, and the field {path}", size,
            )  # fmt: skip
    page = next((one for one in PAGES if one in params), "")
    offset = next((one for one in OFFSETS if one in params), "")
    link = next((one for one in LINKS if one in fields), "")
    if link and (not (page or offset) or link not in ("nextPage", "next_page", "next")):
        return Guess({"type": "json_link", "next_url_path": link, **extra}, f"the field {link}", size)
    if page:
        total = next((one for one in PAGE_TOTALS if one in fields and one not in ("pages",)), "")
        found = {"type": "page_number", "page_param": page, **({"total_path": total} if total else {}), **extra}
        return Guess(found, f"the parameter {page}", size)
    if offset and size:
        total = next((one for one in ROW_TOTALS if one in fields and one != "count"), "")
        counted: Tree = {"type": "offset", "offset_param": offset, "limit_param": size, "limit": limit}
        return Guess(
            {**counted, **({"total_path": total} if total else {}), **extra}, f"the parameters {offset}, {size}"
        )
    if size or any(one in params for one in (*CURSORS, *OFFSETS)):
        return Guess({"type": "auto"}, "nothing that says how the next page is found", size)
    return Guess({"type": "single_page"}, "no parameter for pages", "")


def key_of(fields: Collection[str], param: str = "", noun: str = "") -> str:
    """The field that is the key: what the parameter of the item's path names, else the usual names; "" without one.

    With `param` (petId, issue_number), a field is found only where it fits that parameter.
    """
    snake = slug(param)
    by_slug = {slug(one): one for one in fields if "." not in one}
    if param:
        if snake in by_slug:
            return by_slug[snake]
        tail = snake.rpartition("_")[2]
        if tail in by_slug and tail in KEYS:
            return by_slug[tail]
        return by_slug["id"] if snake.endswith("id") and "id" in by_slug else ""
    own = [f"{noun}_id", f"{noun}_uuid", f"{noun}_key"] if noun else []
    return next((by_slug[one] for one in ("id", "uuid", "gid", "guid", "sid", *own, *KEYS[5:7]) if one in by_slug), "")


def version_of(fields: Collection[str]) -> str:
    """The field that says when a record changed, "" without one."""
    return next((one for one in VERSIONS if one in fields), "")


def since_in(params: Mapping[str, Any]) -> str:
    """The parameter that asks for what changed since a time, "" without one."""
    return next((one for one in params if _SINCE.fullmatch(one)), "")


def is_exclusive(param: str) -> bool:
    return _EXCLUSIVE.search(param) is not None


def singular(word: str) -> str:
    """pets -> pet, companies -> company."""
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word
