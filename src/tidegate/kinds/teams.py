"""Microsoft Teams messages by a webhook of the Workflows app, or by an old connector. Pure.

Sources:
- learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using: a message with an
  Adaptive Card as its attachment, at most 28 KB, four requests a second, 429 beyond that with the advice to back off;
- github.com/MicrosoftDocs/msteams-docs issues 1810 and 7425: an old connector wraps an error (413, 429) into a 200
  whose text begins with `Webhook message delivery failed`, by design; issue 11274: a workflow counts more bytes
  (28,897) than were sent to it (24,453), because it encodes the card once more;
- learn.microsoft.com/adaptive-cards/authoring-cards/text-features: a RichTextBlock reads no Markdown.

The text is sent as a RichTextBlock, one for each line, so nothing in it is formatted, linked or a mention, neither what
the user wrote nor what comes from an event.
"""

from __future__ import annotations

import bisect
import json
import re

import msgspec

from tidegate.core.model import JsonObject, Outcome
from tidegate.core.spec import Concurrency, Rate
from tidegate.kinds.base import Answer, Result, read_http
from tidegate.kinds.chat import KEYS, ChatDestination, ChatKind
from tidegate.rules.language.templates import PLAIN

MAX_COUNTED_BYTES = 24 * 1024  # of the 28 KB: what a workflow adds to a message is not documented
_FAILED = b"Webhook message delivery failed"
_STATUS = re.compile(rb"HTTP error ([0-9]{3})\b")
_STATUSES = {
    400: "Teams could not read the message",
    404: "the connector or its channel is gone: make a new webhook in Teams",
    413: "the message is too large for Teams: shorten the text",
    429: "Teams wants fewer messages: set a lower `rate`",
}


class TeamsDestination(ChatDestination, frozen=True, kw_only=True, tag="teams"):
    concurrency: Concurrency = 1
    rate: Rate | None = "2/s"


class _Error(msgspec.Struct):
    code: str = ""
    message: str = ""


class _Body(msgspec.Struct):
    """The members of a workflow's error that are read."""

    error: _Error


class Teams(ChatKind[TeamsDestination]):
    name = "teams"
    title = "Microsoft Teams"
    spec = TeamsDestination
    help = "A message in a channel or chat of Microsoft Teams, by a webhook of the Workflows app. Plain text."
    keys = {
        **KEYS,
        "concurrency": "Requests under way at the same time. One keeps messages in order.",
        "rate": "Messages; Teams takes four a second for each webhook.",
    }
    escaping = PLAIN
    limit = 28 * 1024

    def payload(self, text: str) -> tuple[bytes, str]:
        """The card, cut at the end so that it is small enough however Teams encodes it."""
        lines = text.split("\n")
        left = MAX_COUNTED_BYTES - _counted_bytes(_message([]))
        ellipsis = _counted_bytes(_block("…"))
        blocks: list[JsonObject] = []
        for number, line in enumerate(lines, 1):
            block = _block(line)
            counted = _counted_bytes(block)
            if counted > (left if number == len(lines) else left - ellipsis):
                kept = _fitting(line, left)
                blocks.append(_block(f"{line[:kept]}…"))
                length = sum(len(one) + 1 for one in lines[: number - 1]) + kept + 1
                detail = f"the text was cut to {length:,} characters, because Teams takes 28 KB"
                return msgspec.json.encode(_message(blocks)), detail
            blocks.append(block)
            left -= counted
        return msgspec.json.encode(_message(blocks)), ""

    def read(self, answer: Answer, now_us: int) -> Result:
        """A connector answers 200 also for an error, with its status in the text; a workflow answers with JSON."""
        result = read_http(answer, now_us)
        if answer.body.startswith(_FAILED):
            found = _STATUS.search(answer.body)
            status = int(found[1]) if found else answer.status
            words = _STATUSES.get(status or 0, "Teams did not take the message")
            detail = f"the connector answered {answer.status} with an error, HTTP {status}: {words}"
            return Result(Outcome.HTTP_ERROR, status, f"http_{status}", detail, result.retry_after)
        if result.outcome is Outcome.OK or answer.status is None:
            return result
        try:
            error = msgspec.json.decode(answer.body, type=_Body).error
        except (msgspec.DecodeError, UnicodeDecodeError):
            return msgspec.structs.replace(result, detail=_STATUSES.get(answer.status, result.detail))
        detail = f"{error.code}: {error.message}"[:300]
        return msgspec.structs.replace(result, code=error.code[:80], detail=detail)


def _message(blocks: list[JsonObject]) -> JsonObject:
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": blocks,
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    return {"type": "message", "attachments": [attachment]}


def _block(line: str) -> JsonObject:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": line or "\N{NO-BREAK SPACE}"}]}


def _fitting(line: str, room: int) -> int:
    """How many characters of a line fit, with an ellipsis after them."""
    return max(0, bisect.bisect_right(range(len(line)), room, key=lambda n: _counted_bytes(_block(f"{line[:n]}…"))) - 1)


def _counted_bytes(part: JsonObject) -> int:
    """The size of a part of the message as JSON inside JSON, in ASCII: the largest form that Teams may count."""
    return len(json.dumps(json.dumps(part)))


KIND = Teams()
