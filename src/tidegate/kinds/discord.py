"""Discord messages by a webhook. Pure.

Sources, pages of discord.com/developers/docs:
- resources/webhook, "Execute Webhook": `content` has at most 2,000 characters; with `wait=true` Discord answers 200
  once the message is stored, or with the error; without it, 204 says nothing about the message;
- resources/message, "Allowed Mentions Object": an empty `parse` notifies nobody; message flag 4 (SUPPRESS_EMBEDS) shows
  no preview of links;
- topics/rate-limits: 429 with `retry_after` in seconds, a number with a fraction, in the JSON body.

Text of an event is escaped by a backslash before each character with a meaning in Discord's Markdown, and before a dot
in a word, which may be an invite (discord.gg/...). So it can neither format, mention, nor link. What the user wrote in
the template keeps its Markdown and its links (`rules/language/chat_links.py`), but notifies nobody either.
"""

from __future__ import annotations

import math
import re

import msgspec

from tidegate.core.spec import Concurrency, Rate
from tidegate.kinds.base import Answer, Result, read_http
from tidegate.kinds.chat import KEYS, ChatDestination, ChatKind
from tidegate.rules.language.chat_links import MARKDOWN
from tidegate.rules.language.templates import Escaping

_SUPPRESS_EMBEDS = 4
_MEANING = re.compile(r"[\\*_~`|>#\[\]()<:@]|(?<=\w)\.(?=\w)")
_LIST = re.compile(r"^(\s*(?:[0-9]+(?=\.)|(?=[-+])))", re.MULTILINE)
# JSON error codes -> what to do (topics/opcodes-and-status-codes).
_ERRORS = {
    10015: "the webhook was deleted: make a new one in Discord",
    50027: "the webhook's address is wrong or was replaced: copy it from Discord again",
    50006: "the message is empty",
    50035: "Discord rejects a part of the message",
    200000: "the server's AutoMod blocked the message",
    240000: "Discord blocked the message, because it takes a link in it for harmful",
}


class _Body(msgspec.Struct):
    """The members of an error's body that are read."""

    code: int = 0
    message: str = ""
    retry_after: float | None = None


def _escape(value: str) -> str:
    return _LIST.sub(r"\1\\", _MEANING.sub(r"\\\g<0>", value))


class DiscordDestination(ChatDestination, frozen=True, kw_only=True, tag="discord"):
    concurrency: Concurrency = 1
    rate: Rate | None = "2/s"


class Discord(ChatKind[DiscordDestination]):
    name = "discord"
    title = "Discord"
    spec = DiscordDestination
    help = "A message in a channel of Discord, by a webhook. It notifies nobody."
    keys = {
        **KEYS,
        "concurrency": "Requests under way at the same time. One keeps messages in order.",
        "rate": "Messages; Discord states its limit in each answer, usually 5 in 2 seconds.",
    }
    escaping = Escaping(_escape, re.compile(r"(?<!\\)(?:\\\\)*\\\Z"), MARKDOWN)
    limit = 2_000
    alert_text = "{{ data.message }}{% if data.url %}\n[Open in Tidegate]({{ data.url }}){% endif %}"

    def address(self, spec: DiscordDestination) -> str:
        """With `wait=true`, so that the answer is about the message."""
        if "wait=" in spec.url.partition("?")[2]:
            return spec.url
        return f"{spec.url}{'&' if '?' in spec.url else '?'}wait=true"

    def payload(self, text: str) -> tuple[bytes, str]:
        body = {"content": text, "allowed_mentions": {"parse": []}, "flags": _SUPPRESS_EMBEDS}
        return msgspec.json.encode(body), ""

    def read(self, answer: Answer, now_us: int) -> Result:
        """Errors are JSON with a number and words; a wait is in the body, with a fraction of a second."""
        result = read_http(answer, now_us)
        if answer.status is None or 200 <= answer.status < 300:
            return result
        try:
            body = msgspec.json.decode(answer.body, type=_Body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return result
        wait = result.retry_after
        if answer.status == 429 and body.retry_after is not None and math.isfinite(body.retry_after):
            wait = max(0.0, body.retry_after)
        words = _ERRORS.get(body.code, body.message[:200])
        detail = f"{body.code}: {words}" if body.code else words
        return msgspec.structs.replace(
            result, code=str(body.code or ""), detail=detail or result.detail, retry_after=wait
        )


KIND = Discord()
