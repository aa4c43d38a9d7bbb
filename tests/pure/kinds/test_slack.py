"""Slack: what is sent, what is cut, and what its answers mean."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.receiver.kinds import event, message, prepared, read
from tidegate.core.errors import ConfigError
from tidegate.core.model import Outcome
from tidegate.core.spec import Transform
from tidegate.rules.language.templates import RenderFailed, compile_template
from tidegate.rules.language.transforms import compile_transform


def test_the_message_is_one_text_and_the_request_carries_no_header_of_the_gateway() -> None:
    request = prepared("slack", event({"id": "o1"}), text="<!here> {{ data.id }}")
    text = {"type": "mrkdwn", "verbatim": True, "text": "<!here> o1"}
    assert json.loads(request.body) == {
        "text": "<!here> o1",
        "blocks": [{"type": "section", "expand": True, "text": text}],
    }
    names = [line.partition(":")[0] for line in request.head.decode().splitlines()]
    assert names == ["user-agent", "content-type"]


def test_the_text_is_that_of_the_transformed_event() -> None:
    pick = compile_transform(Transform(pick=["data.id"]))
    request = prepared("slack", event({"id": "o1", "n": 2}), pick, text="{{ data.id }}/{{ data.n }}")
    assert json.loads(request.body)["text"] == "o1/"


@pytest.mark.parametrize("foreign", ["<!channel>", "<@U1>", "<https://evil.example|your bank>", "a & b"])
def test_text_of_an_event_cannot_mention_anybody_or_label_a_link(foreign: str) -> None:
    sent, _ = message("slack", {"name": foreign}, "<!here> {{ data.name }}")
    rest = sent["text"].removeprefix("<!here> ")
    assert not set("<>") & set(rest)
    assert rest.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == foreign


@pytest.mark.parametrize(
    "foreign", ["https://evil.example", "evil.example", "#general", "@ada", "mailto:a@evil.example"]
)
def test_text_of_an_event_is_no_link_because_slack_is_asked_to_make_none(foreign: str) -> None:
    sent, _ = message("slack", {"name": foreign}, "{{ data.name }}")
    assert [block["text"] for block in sent["blocks"]] == [{"type": "mrkdwn", "verbatim": True, "text": foreign}]


@pytest.mark.parametrize(
    ("template", "sent"),
    [
        ("See https://status.example/o1.", "See <https://status.example/o1>."),
        ("https://a.example/{{ data.id }}/x and {{ data.id }}", "<https://a.example/o%7C1%20%3E/x> and o|1 &gt;"),
        ("<{{ data.url }}|the order>", "<https://shop.example/?a=1&amp;b=2%7Cbank|the order>"),
        ("<{{ data.mention }}> {{ data.mention }}", "<%21channel> !channel"),
        ("<{% if data.id %}{{ data.mention }}{% endif %}>", "<%21channel>"),
        ("<{{ data.none }}{{ data.mention }}>", "<%21channel>"),
        ("<@{{ data.user }}> https://a.example{% if data.user %}/{{ data.user }}{% endif %}",
         "<@U1> <https://a.example>/U1"),
        ("<https://a.example|label>, `curl https://b.example`",
         "<https://a.example|label>, `curl <https://b.example>`"),
    ],
)  # fmt: skip
def test_the_links_that_the_author_of_the_template_wrote_are_links(template: str, sent: str) -> None:
    data = {"id": "o|1 >", "url": "https://shop.example/?a=1&b=2|bank", "mention": "!channel", "user": "U1"}
    assert message("slack", data, template)[0]["text"] == sent


@pytest.mark.parametrize(
    "text",
    ["x" * 39_000, "word " * 7_900, "a line\n" * 5_000, "&" * 7_999, "<https://a.example/" + "x" * 900 + "> " * 3],
)
def test_a_long_text_is_cut_into_sections_that_slack_takes(text: str) -> None:
    values = {"text": text}
    sent, _ = message("slack", values, "{{ data.text }}")
    parts = [block["text"]["text"] for block in sent["blocks"]]
    assert "".join(parts) == sent["text"]
    assert len(parts) <= 50
    assert all(len(part) <= 3_000 and not re.search(r"&[a-z]{0,3}\Z", part) for part in parts)


def test_a_link_is_not_cut_into_two_sections() -> None:
    link = "<https://a.example/" + "x" * 500 + ">"
    sent, _ = message("slack", {}, "y" * 2_800 + link)
    assert [block["text"]["text"] for block in sent["blocks"]] == ["y" * 2_800, link]


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


PARTS = ["<", ">", "|", " ", "https://a.example/", "{{ data.x }}", "{{ data.y }}", "{% if data.x %}", "{% else %}",
         "{% endif %}", "text", ".", "\n"]  # fmt: skip
HOSTILE = ["!channel", "@U1", "#C1", "https://evil.example|x>", " a|b", "<!here>", ""]


@given(st.lists(st.sampled_from(PARTS), max_size=14), st.sampled_from(HOSTILE))
def test_no_template_lets_a_value_mention_anybody(parts: list[str], foreign: str) -> None:
    try:
        render = compile_template("".join(parts))
    except ConfigError:
        return
    assert not re.search("<[!@#]", render({"data": {"x": foreign, "y": foreign}}).text)
