"""Addresses in a chat template: which parts of the message are a link because the author of the template wrote one.

Chats make links of everything that looks like an address. Text of an event must not become one, so each kind of chat
turns that off or escapes it, and what the author wrote must still work: `https://status.example/{{ data.id }}`,
`<{{ data.url }}|the order>`. This module finds the values of a template that are inside such an address; they are
percent-encoded there, so that they can neither end it nor add a label.

Owns the reading of the author's text. Pure; may not know what a chat is sent. Invariants: a value at the beginning of
an address is an `http` or `https` address or has no meaning at all (`<{{ data.x }}>` with `!channel` mentions nobody);
a value that is not inside an address is left to the chat's escaping. Crash: nothing is kept.
"""

from __future__ import annotations

import re
from copy import copy
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

if TYPE_CHECKING:
    from jinja2 import nodes

FILTER = "in_address "  # with a blank, so that no template can name it
START_FILTER = "address "
_SAFE = "-._~!$'*+,;=:/?#&%"
_WEB = re.compile(r"https?://", re.IGNORECASE)
_PUNCTUATION = ".,;:!?'\"*_~)`"


class Address(str):
    """A value inside an address: written as it is, not escaped again."""

    __slots__ = ()


class Links(NamedTuple):
    """How a chat writes links. `opening` matches the beginning of an address at the end of a text.

    `closing` matches what ends such an address, `wraps`: bare addresses of the author are put into angle brackets,
    because the chat is asked to make no links by itself. `ampersand`: how it is written.
    """

    opening: re.Pattern[str]
    closing: re.Pattern[str]
    wraps: bool
    ampersand: str = "&"


ANGLES = Links(re.compile(r"<(?![@!#])[^<>|\s]*\Z"), re.compile(r"[<>|\s]"), True, "&amp;")  # Slack
MARKDOWN = Links(re.compile(r"(?:<(?![@#:])[^<>\s]*|\]\([^()<>\s]*)\Z"), re.compile(r"[<>()\s]"), False)  # Discord
_BARE_END = re.compile(r"[<>|\s]")


def in_address(value: str, ampersand: str) -> Address:
    return Address(quote(value, safe=_SAFE, errors="replace").replace("&", ampersand))


def at_start(value: str, ampersand: str) -> Address:
    """A whole address, or the beginning of one."""
    return in_address(value, ampersand) if _WEB.match(value) else Address(quote(value, safe="", errors="replace"))


def mark_addresses(tree: nodes.Template, links: Links) -> None:
    """Change a checked syntax tree: values inside addresses get a filter, and bare addresses their brackets."""
    _walk(tree.body, _State(links))


def _walk(body: list[Any], state: _State) -> None:
    """The parts of a template in their order. A bare address ends before an `if`; markup may go through it."""
    from jinja2 import nodes

    for node in list(body):
        if isinstance(node, nodes.Output):
            _mark(node, state)
        elif isinstance(node, nodes.If):
            _close_bare(body, body.index(node), state)
            exits = [copy(state)]  # no branch is taken
            for branch in (node.body, *(one.body for one in node.elif_), node.else_):
                inner = copy(state)
                _walk(branch, inner)
                exits.append(inner)
            state.inside = max(one.inside for one in exits)
            state.at_start = any(one.at_start for one in exits)
    _close_bare(body, len(body), state)


def _mark(output: Any, state: _State) -> None:
    from jinja2 import nodes

    for number, node in enumerate(output.nodes):
        if isinstance(node, nodes.TemplateData):
            node.data = state.text(node.data)
        elif state.inside:
            name = START_FILTER if state.at_start else FILTER
            output.nodes[number] = nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


def _close_bare(body: list[Any], before: int, state: _State) -> None:
    from jinja2 import nodes

    if state.inside == "bare":
        state.inside = ""
        if state.links.wraps:
            last = body[before - 1].nodes[-1]  # the output that the address is in
            if isinstance(last, nodes.TemplateData):
                last.data = _closed(last.data)
            else:
                body[before - 1].nodes.append(nodes.TemplateData(">", lineno=last.lineno))


class _State:
    """Where the text that was read so far ends: in an address of markup, in a bare one, or outside ("")."""

    def __init__(self, links: Links) -> None:
        self.links = links
        self.inside = ""
        self.at_start = False

    def text(self, text: str) -> str:
        """The text with what has to be added."""
        done = ""
        if self.inside:
            end = (self.links.closing if self.inside == "markup" else _BARE_END).search(text)
            if end is None and text:
                self.at_start = False
                return text
            cut = end.start() if end is not None else 0
            done, text = text[:cut], text[cut:]
            if self.inside == "bare" and self.links.wraps:
                done = _closed(done)
            self.inside = ""
        while (bare := _WEB.search(text)) is not None:
            if self.links.opening.search(text[: bare.start()]):  # it is in markup already
                closed = self.links.closing.search(text, bare.start())
                if closed is None:
                    break
                done, text = done + text[: closed.start()], text[closed.start() :]
                continue
            end = _BARE_END.search(text, bare.end())
            before, address = text[: bare.start()], text[bare.start() : end.start() if end else len(text)]
            opened = "<" if self.links.wraps else ""
            if end is None:
                self.inside = "bare"
                return f"{done}{before}{opened}{address}"
            done += before + (opened + _closed(address) if self.links.wraps else address)
            text = text[end.start() :]
        if self.links.opening.search(text):
            self.inside = "markup"
            self.at_start = text.endswith(("<", "("))
        return done + text


def _closed(address: str) -> str:
    """`>` before the punctuation that ends a sentence."""
    kept = address.rstrip(_PUNCTUATION)
    return f"{kept}>{address[len(kept) :]}"
