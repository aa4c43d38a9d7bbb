"""Slack messages by an incoming webhook. Pure.

Sources, pages of docs.slack.dev and api.slack.com:
- messaging/sending-messages-using-incoming-webhooks: the payload, and the words that Slack answers errors with;
- docs/rate-limits: one message a second for a webhook with short bursts, and 429 with `Retry-After` beyond that;
- changelog/2018-04-truncating-really-long-messages: Slack truncates a text of more than 40,000 characters;
- messaging/formatting-message-text: `&`, `<` and `>` are the control characters; mentions and links are written in
  angle brackets;
- reference/block-kit/composition-objects/text-object: without `verbatim`, addresses, channels and some mentions become
  links by themselves; with it only what is in angle brackets is one. The text of a section has at most 3,000
  characters (reference/block-kit/blocks/section-block), and a message at most 50 blocks.

So a message is sent as sections with `verbatim`, and addresses that the author of the template wrote are put into angle
brackets (`rules/language/chat_links.py`). `text` is what a notification shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from tidegate.core.model import JsonObject, Outcome
from tidegate.core.spec import Concurrency, Rate
from tidegate.kinds.base import Answer, Result, read_http
from tidegate.kinds.chat import KEYS, ChatDestination, ChatKind
from tidegate.rules.language.templates import MARKUP

# What Slack answers as plain text -> what it means and what to do.
_ERRORS = {
    "invalid_payload": "Slack could not read the message",
    "no_text": "the message has no text",
    "invalid_token": "the webhook's address is wrong or was revoked: copy it from Slack again",
    "no_active_hooks": "the webhook was disabled: enable it in Slack or make a new one",
    "no_service": "the webhook was removed or disabled: make a new one in Slack",
    "no_service_id": "the webhook's address is not complete: copy it from Slack again",
    "no_team": "the workspace is gone, or the webhook's address is wrong: copy it from Slack again",
    "team_disabled": "the workspace is disabled",
    "channel_not_found": "the channel is gone: make a new webhook in Slack",
    "channel_is_archived": "the channel is archived: unarchive it, or make a webhook for another one",
    "action_prohibited": "an administrator restricts posting to this channel",
    "posting_to_general_channel_denied": "an administrator restricts posting to #general",
    "user_not_found": "the person that the webhook posts to is gone",
    "too_many_attachments": "the message has too many attachments",
    "rate_limited": "Slack wants fewer messages: set a lower `rate`",
    "rollup_error": "Slack failed, and asks to send the message again",
}


SECTION = 3_000  # characters
_BLANK_LINE = "\N{NO-BREAK SPACE}"
# What must not be cut in two: an entity, and what is in angle brackets.
_WHOLE = re.compile(r"(?:&[a-z]{0,3}|<[^<>]{0,1000})\Z")


def _verbatim(text: str) -> JsonObject:
    return {"type": "mrkdwn", "verbatim": True, "text": text if text.strip() else _BLANK_LINE}


def _sections(text: str) -> Iterator[str]:
    """Parts of at most SECTION characters, cut at the end of a line or between words where there is one."""
    while len(text) > SECTION:
        least = SECTION * 3 // 4
        end = text.rfind("\n", least, SECTION)
        if end < 0:
            end = text.rfind(" ", least, SECTION)
            end = SECTION - 1 if end < 0 else end
            begun = _WHOLE.search(text, end - 1001, end + 1)
            end = begun.start() - 1 if begun is not None else end
        yield text[: end + 1]
        text = text[end + 1 :]
    if text:
        yield text


class SlackDestination(ChatDestination, frozen=True, kw_only=True, tag="slack"):
    concurrency: Concurrency = 1
    rate: Rate | None = "1/s"


class Slack(ChatKind[SlackDestination]):
    name = "slack"
    title = "Slack"
    spec = SlackDestination
    help = "A message in a channel of Slack, by an incoming webhook."
    keys = {
        **KEYS,
        "concurrency": "Requests under way at the same time. One keeps messages in order.",
        "rate": "Messages; Slack takes one a second for each webhook.",
    }
    escaping = MARKUP
    limit = 40_000
    alert_text = "{{ data.message }}{% if data.url %}\n<{{ data.url }}|Open in Tidegate>{% endif %}"

    def payload(self, text: str) -> tuple[bytes, str]:
        blocks = [{"type": "section", "expand": True, "text": _verbatim(part)} for part in _sections(text)]
        return msgspec.json.encode({"text": text, "blocks": blocks}), ""

    def read(self, answer: Answer, now_us: int) -> Result:
        """Errors are words of Slack in a plain text. A 200 is a message only when its text is `ok`, or not an error."""
        result = read_http(answer, now_us)
        word = answer.body[:64].decode("utf-8", "replace").strip()
        if word not in _ERRORS:
            return result
        outcome = Outcome.HTTP_ERROR if result.outcome is Outcome.OK else result.outcome
        detail = f"{word}: {_ERRORS[word]}"
        return msgspec.structs.replace(result, outcome=outcome, code=word, detail=detail)


KIND = Slack()
