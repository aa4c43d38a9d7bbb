"""Discord: what is sent, what is cut, and what its answers mean."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.receiver.kinds import event, message, prepared, read
from tidegate.core.model import Outcome
from tidegate.kinds import KINDS
from tidegate.kinds.discord import DiscordDestination
from tidegate.rules.language.templates import RenderFailed

URL = "https://discord.com/api/webhooks/1/hush"


def unescaped(text: str) -> str:
    """What Discord shows: a backslash takes the meaning off the character after it."""
    return re.sub(r"\\([^0-9A-Za-z\s])", r"\1", text)


def test_a_message_notifies_nobody_and_shows_no_preview() -> None:
    sent, detail = message("discord", {"id": "o1"}, "**New** @everyone {{ data.id }}")
    assert sent == {"content": "**New** @everyone o1", "allowed_mentions": {"parse": []}, "flags": 4}
    assert detail == ""


@pytest.mark.parametrize(
    ("foreign", "escaped"),
    [
        ("@everyone", r"\@everyone"),
        ("<@123>", r"\<\@123\>"),
        ("[bank](https://evil.example)", r"\[bank\]\(https\://evil\.example\)"),
        ("**bold** _it_ ~~no~~ `code` ||spoiler||",
         r"\*\*bold\*\* \_it\_ \~\~no\~\~ \`code\` \|\|spoiler\|\|"),
        ("# title\n> quote\n- item\n1. first", "\\# title\n\\> quote\n\\- item\n1\\. first"),
        ("a\\*b", r"a\\\*b"),
        ("plain text - with. dots", "plain text - with. dots"),
        ("discord.gg/evil", r"discord\.gg/evil"),
    ],
)  # fmt: skip
def test_text_of_an_event_has_no_markup(foreign: str, escaped: str) -> None:
    sent, _ = message("discord", {"name": foreign}, "{{ data.name }}")
    assert sent["content"] == escaped
    assert unescaped(escaped) == foreign


@pytest.mark.parametrize(
    ("template", "sent"),
    [
        ("https://a.example/{{ data.id }} {{ data.id }}", r"https://a.example/o_1%28%29 o\_1\(\)"),
        ("[order]({{ data.url }})", "[order](https://shop.example/?a=1&b=2%29)"),
        ("<{{ data.user }}>", "<%40123>"),
    ],
)
def test_the_links_that_the_author_of_the_template_wrote_are_links(template: str, sent: str) -> None:
    data = {"id": "o_1()", "url": "https://shop.example/?a=1&b=2)", "user": "@123"}
    assert message("discord", data, template)[0]["content"] == sent


@given(st.text(min_size=1, max_size=200))
def test_every_character_with_a_meaning_is_escaped(foreign: str) -> None:
    escape = KINDS["discord"].escaping.escape  # type: ignore[attr-defined]
    bare = re.sub(r"\\[^0-9A-Za-z\s]", "", escape(foreign))
    assert not re.search(r"[\\*_~`|>#\[\]()<:@]", bare)


@pytest.mark.parametrize("foreign", ["x" * 3000, "*" * 3000, "x" + "*" * 3000, "\\" * 3000])
def test_a_text_beyond_2000_characters_is_cut_between_escapes_and_the_attempt_says_so(foreign: str) -> None:
    sent, detail = message("discord", {"name": foreign}, "{{ data.name }}")
    assert len(sent["content"]) <= 2000
    assert detail.startswith("the text was cut to ") and detail.endswith("the most that Discord takes")
    body = sent["content"].removesuffix("…")
    assert len(re.search(r"\\*\Z", body)[0]) % 2 == 0, "the last backslash escapes the ellipsis"


def test_an_empty_text_is_a_render_failure() -> None:
    with pytest.raises(RenderFailed, match="the text is empty"):
        prepared("discord", event(), text="{{ data.nothing }}")


@pytest.mark.parametrize(
    ("url", "called"),
    [
        (URL, f"{URL}?wait=true"),
        (f"{URL}?thread_id=5", f"{URL}?thread_id=5&wait=true"),
        (f"{URL}?wait=false", f"{URL}?wait=false"),
    ],
)
def test_the_answer_is_waited_for_unless_the_address_says_otherwise(url: str, called: str) -> None:
    spec = DiscordDestination(url=url, text="x")
    assert KINDS["discord"].address(spec) == called
    assert KINDS["discord"].shown_address(spec) == "https://discord.com/..."


def test_the_wait_of_a_429_is_in_its_body_with_a_fraction() -> None:
    body = b'{"message":"You are being rate limited.","retry_after":0.653,"global":false}'
    result = read("discord", 429, body, retry_after="1")
    assert (result.outcome, result.status, result.retry_after) == (Outcome.HTTP_ERROR, 429, 0.653)
    assert result.detail == "You are being rate limited."
    assert read("discord", 429, b"<html>", retry_after="7").retry_after == 7.0


@pytest.mark.parametrize(
    ("status", "body", "code", "detail"),
    [
        (404, b'{"message":"Unknown Webhook","code":10015}', "10015", "10015: the webhook was deleted"),
        (401, b'{"message":"Invalid Webhook Token","code":50027}', "50027", "50027: the webhook's address is wrong"),
        (400, b'{"message":"Something new","code":99}', "99", "99: Something new"),
    ],
)
def test_an_error_has_a_number_and_words(status: int, body: bytes, code: str, detail: str) -> None:
    result = read("discord", status, body)
    assert (result.outcome, result.code) == (Outcome.HTTP_ERROR, code)
    assert result.detail.startswith(detail)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"code":"x"}', b"\xff", b'{"retry_after":1e999}'])
def test_an_error_without_readable_words_is_an_error_all_the_same(body: bytes) -> None:
    assert read("discord", 500, body).outcome is Outcome.HTTP_ERROR


def test_success_is_the_message_or_204() -> None:
    assert read("discord", 200, b'{"id":"1","content":"x"}').outcome is Outcome.OK
    assert read("discord", 204).outcome is Outcome.OK
