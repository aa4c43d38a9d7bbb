"""The next page is in the `Link` header, RFC 8288."""

from __future__ import annotations

from tidegate.rules.sync.links import follow, link_target
from tidegate.rules.sync.page_end import End
from tidegate.rules.sync.paginators.base import PAGE_KEYS, PageRequest, Pages, PaginatorKind, Step


class HeaderLink(Pages, frozen=True, tag="header_link"):
    rel: str = "next"


class HeaderLinkKind(PaginatorKind[HeaderLink]):
    name = "header_link"
    spec = HeaderLink
    help = "The next page is in the `Link` header."
    keys = {"rel": "The relation of the next-page link in the `Link` header.", **PAGE_KEYS}
    no_next = End.NO_LINK

    def step(self, spec: HeaderLink, step: Step) -> PageRequest | None:
        link = link_target(step.answer.headers, spec.rel)
        return (
            None if link is None else PageRequest(follow(step.request.url, link, step.origins), (), step.request.body)
        )

    def headers(self, spec: HeaderLink) -> tuple[str, ...]:
        return ("link",)


KIND = HeaderLinkKind()
