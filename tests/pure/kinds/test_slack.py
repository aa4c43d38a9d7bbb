"""Slack: what is sent, what is cut, and what its answers mean."""

from __future__ import annotations

import pytest

from support.receiver.kinds import event, message, prepared, read
from tidegate.core.model import Outcome
from tidegate.core.spec import Transform
from tidegate.rules.language.templates import RenderFailed
from tidegate.rules.language.transforms import compile_transform


def test_the_message_is_one_text_and_the_request_carries_no_header_of_the_gateway() -> None:
    request = prepared("slack", event({"id": "o1"}), text="<!here> {{ data.id }}")
    assert request.body == b'{"text":"<!here> o1"}'
    names = [line.partition(":")[0] for line in request.head.decode().splitlines()]
    assert names == ["user-agent", "content-type"]


def test_the_text_is_that_of_the_transformed_event() -> None:
    pick = compile_transform(Transform(pick=["data.id"]))
    assert prepared("slack", event({"id": "o1", "n": 2}), pick, text="{{ data.id }}/{{ data.n }}").body == (
        b'{"text":"o1/"}'
    )


@pytest.mark.parametrize("foreign", ["<!channel>", "<@U1>", "<https://evil.example|your bank>", "a & b"])
def test_text_of_an_event_cannot_mention_anybody_or_label_a_link(foreign: str) -> None:
    sent, _ = message("slack", {"name": foreign}, "<!here> {{ data.name }}")
    rest = sent["text"].removeprefix("<!here> ")
    assert not set("<>") & set(rest)
    assert rest.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == foreign


@pytest.mark.parametrize(("length", "cut"), [(40_000, False), (40_001, True), (3_000_000, True)])
def test_a_text_beyond_40000_characters_is_cut_and_the_attempt_says_so(length: int, cut: bool) -> None:
    sent, detail = message("slack", {"name": "x" * length}, "{{ data.name }}")
    assert len(sent["text"]) == 40_000
    assert detail == ("the text was cut to 40,000 characters, the most that Slack takes" if cut else "")


def test_a_cut_leaves_no_broken_entity() -> None:
    sent, _ = message("slack", {"name": "<" * 40_000}, "{{ data.name }}")
    assert sent["text"].replace("&lt;", "") == "…"


@pytest.mark.parametrize("text", ["{{ data.nothing }}", " {{ data.nothing }}\n", "{% if data.x %}x{% endif %}"])
def test_an_empty_text_is_a_render_failure_and_no_message(text: str) -> None:
    with pytest.raises(RenderFailed, match="the text is empty"):
        prepared("slack", event(), text=text)


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (400, b"invalid_payload", "invalid_payload"),
        (400, b"no_text\n", "no_text"),
        (403, b"action_prohibited", "action_prohibited"),
        (404, b"channel_not_found", "channel_not_found"),
        (410, b"channel_is_archived", "channel_is_archived"),
        (200, b"no_text", "no_text"),
    ],
)
def test_the_words_of_slack_are_failures_in_plain_words(status: int, body: bytes, code: str) -> None:
    result = read("slack", status, body)
    assert (result.outcome, result.status, result.code) == (Outcome.HTTP_ERROR, status, code)
    assert result.detail.startswith(f"{code}: ")


@pytest.mark.parametrize("body", [b"ok", b"", b'{"ok":true}'])
def test_a_200_without_an_error_word_is_a_success(body: bytes) -> None:
    assert read("slack", 200, body).outcome is Outcome.OK


def test_retry_after_of_a_429_is_read_in_seconds() -> None:
    result = read("slack", 429, b"rate_limited", retry_after="30")
    assert (result.code, result.retry_after) == ("rate_limited", 30.0)
