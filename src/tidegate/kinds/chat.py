"""What kinds of chat destination share: a text for people, made of an event by a template.

Owns the keys `url` and `text`, the cut at the chat's limit and the test message. Each chat's own file has its limit,
its escaping, its payload and the reading of its answers. Pure. Invariants: text that comes from an event can neither
mention a person nor hide a link behind other words; an empty text is a render failure, never a message; a text that
was cut says so in the attempt. A system event has a text of its own, so a chat for alerts needs no `text`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, TypeVar

import msgspec

from tidegate.core.checking import Checker, Path
from tidegate.core.model import Event, Origin
from tidegate.core.spec import Destination
from tidegate.kinds.base import Kind, Prepare, Request, Transform, http_head
from tidegate.rules.language.templates import Escaping, RenderFailed, compile_template
from tidegate.rules.language.view import event_view

TEST_TEXT = "A test message from Tidegate for the destination {{ data.destination }}."
_SHOWN_TEXT = 120
KEYS = {
    "url": "The address that the chat gave you. Anyone who knows it can post, so it is shown nowhere.",
    "text": "The message, with {{ path }} of the event. System events have their own text.",
    "alert_text": "The message for system events. Default: what happened, the next step and a link.",
}


class ChatDestination(Destination, frozen=True, kw_only=True, tag=None):
    """The keys that all chats have."""

    url: str
    text: str = ""  # may be left out for a chat that only gets system events
    alert_text: str = ""


S = TypeVar("S", bound=ChatDestination)


class ChatKind(Kind[S]):
    """A chat that takes one JSON document at a secret address."""

    examples = {"url": '"https://..."', "text": '"{{ type }} from {{ source }}"'}
    secret_address = True
    escaping: ClassVar[Escaping]
    limit: ClassVar[int]  # characters of a text
    # Of system events, which bring their own sentences. A chat with markup makes the address a link.
    alert_text: ClassVar[str] = "{{ data.message }}{% if data.url %}\n{{ data.url }}{% endif %}"

    def payload(self, text: str) -> tuple[bytes, str]:
        """(JSON body, what had to be cut of this text or "")."""
        raise NotImplementedError

    def check(self, checker: Checker, path: Path, spec: S) -> None:
        checker.url((*path, "url"), spec.url)
        for key in ("text", "alert_text"):
            checker.compiled((*path, key), compile_template, getattr(spec, key), item=path)

    def address(self, spec: S) -> str:
        return spec.url

    def prepare(self, spec: S, secrets: Sequence[str], transform: Transform | None) -> Prepare:
        head = f"{http_head({})}content-type: application/json\r\n".encode("latin-1")
        render = compile_template(spec.text, self.escaping, self.limit)
        render_alert = compile_template(spec.alert_text or self.alert_text, self.escaping, self.limit)

        def prepare(event: Event, event_id: str, attempt: int, timestamp: int) -> Request:
            view = event_view(event)
            chosen = render_alert if event.origin is Origin.SYSTEM else render
            made = chosen(transform(view) if transform is not None else view)
            if not made.text.strip():
                if not spec.text:
                    raise RenderFailed("the destination has no `text`, so it takes system events only")
                raise RenderFailed("the text is empty: the event has none of the fields that the template names")
            body, cut = self.payload(made.text)
            if made.cut and not cut:
                cut = f"the text was cut to {len(made.text):,} characters, the most that {self.title} takes"
            return Request(head, body, cut, len(head), harmless=True)

        return prepare

    def prepare_test(self, spec: S, secrets: Sequence[str]) -> Prepare:
        return self.prepare(msgspec.structs.replace(spec, text=TEST_TEXT), secrets, None)

    def settings(self, spec: S) -> list[tuple[str, str]]:
        text = spec.text if len(spec.text) <= _SHOWN_TEXT else f"{spec.text[:_SHOWN_TEXT]}..."
        return [("Text", text)]
