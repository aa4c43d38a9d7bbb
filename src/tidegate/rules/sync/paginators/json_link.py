"""The URL of the next page is in the body."""

from __future__ import annotations

from tidegate.rules.language.view import MISSING
from tidegate.rules.sync.canonical import parse_json
from tidegate.rules.sync.links import follow, link_in
from tidegate.rules.sync.page_end import End
from tidegate.rules.sync.paginators.base import PAGE_KEYS, PageRequest, Pages, PaginatorKind, Step
from tidegate.rules.sync.paths import skim


class JsonLink(Pages, frozen=True, tag="json_link"):
    next_url_path: str = "next"


class JsonLinkKind(PaginatorKind[JsonLink]):
    name = "json_link"
    spec = JsonLink
    help = "The URL of the next page is in the body."
    keys = {"next_url_path": "The path of the next page's URL, or of a link object or a list of them.", **PAGE_KEYS}
    no_next = End.NO_LINK

    def step(self, spec: JsonLink, step: Step) -> PageRequest | None:
        raw = skim(step.answer.body, spec.next_url_path)
        link = None if raw is MISSING else link_in(parse_json(raw))
        return (
            None if link is None else PageRequest(follow(step.request.url, link, step.origins), (), step.request.body)
        )


KIND = JsonLinkKind()
