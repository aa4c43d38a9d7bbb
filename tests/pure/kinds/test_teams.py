"""Microsoft Teams: what is sent, what is cut, and what its answers mean."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from support.receiver.kinds import event, message, prepared, read
from tidegate.core.model import Outcome
from tidegate.rules.language.templates import RenderFailed

FAILED = (
    b"Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error %d"
    b" with ContextId tcid=0,server=msgapi-production,cv=x.0.."
)


def lines_of(sent: Any) -> list[str]:
    (attachment,) = sent["attachments"]
    return [inline["text"] for block in attachment["content"]["body"] for inline in block["inlines"]]


def test_a_message_is_an_adaptive_card_with_a_block_for_each_line() -> None:
    sent, detail = message("teams", {"id": "o1"}, "New: {{ data.id }}\n\nsecond line")
    assert sent["type"] == "message"
    (attachment,) = sent["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert attachment["content"]["type"] == "AdaptiveCard"
    assert {block["type"] for block in attachment["content"]["body"]} == {"RichTextBlock"}
    assert lines_of(sent) == ["New: o1", "\N{NO-BREAK SPACE}", "second line"]
    assert detail == ""


@pytest.mark.parametrize("foreign", ["<at>everyone</at>", "[bank](https://evil.example)", '"}]}}', "**b** & <i>"])
def test_text_of_an_event_stays_text(foreign: str) -> None:
    sent, _ = message("teams", {"name": foreign}, "{{ data.name }}")
    assert lines_of(sent) == [foreign]
    assert "entities" not in json.dumps(sent), "a mention needs an entity beside its text"


@pytest.mark.parametrize(
    "foreign",
    ["x" * 40_000, '"' * 40_000, "\\" * 40_000, "\n" * 40_000, "\N{SNOWMAN}" * 40_000, "\N{GRINNING FACE}" * 40_000,
     "a" * 20_000 + '"' * 20_000, "line\n" * 9_000, "x" * 23_000 + "\n" * 90],
)  # fmt: skip
def test_a_message_is_cut_below_28_kb_however_it_is_encoded_and_the_attempt_says_so(foreign: str) -> None:
    began = time.process_time()
    request = prepared("teams", event({"name": foreign}), text="{{ data.name }}")
    assert time.process_time() - began < 0.3
    assert len(json.dumps(json.dumps(json.loads(request.body)))) < 28 * 1024
    assert len(request.body) > 1_000
    assert lines_of(json.loads(request.body))[-1].endswith("…")
    shown = "\n".join(lines_of(json.loads(request.body))).replace("\N{NO-BREAK SPACE}", "")
    assert request.detail == f"the text was cut to {len(shown):,} characters, because Teams takes 28 KB"
    assert foreign.startswith(shown.removesuffix("…"))


def test_a_text_that_fits_is_not_cut() -> None:
    sent, detail = message("teams", {"name": "x" * 20_000}, "{{ data.name }}")
    assert (lines_of(sent), detail) == (["x" * 20_000], "")


def test_an_empty_text_is_a_render_failure() -> None:
    with pytest.raises(RenderFailed, match="the text is empty"):
        prepared("teams", event(), text="{{ data.nothing }}\n")


@pytest.mark.parametrize("error", [413, 429, 400, 503])
def test_a_200_of_a_connector_with_an_error_is_that_error(error: int) -> None:
    result = read("teams", 200, FAILED % error)
    assert (result.outcome, result.status, result.code) == (Outcome.HTTP_ERROR, error, f"http_{error}")
    assert f"HTTP {error}" in result.detail


@pytest.mark.parametrize(("status", "body"), [(200, b"1"), (202, b""), (200, b"")])
def test_success_of_connectors_and_workflows(status: int, body: bytes) -> None:
    assert read("teams", status, body).outcome is Outcome.OK


def test_an_error_of_a_workflow_has_a_code_and_words() -> None:
    body = b'{"error":{"code":"WorkflowTriggerIsNotEnabled","message":"The flow is turned off."}}'
    result = read("teams", 400, body)
    assert (result.outcome, result.code) == (Outcome.HTTP_ERROR, "WorkflowTriggerIsNotEnabled")
    assert result.detail == "WorkflowTriggerIsNotEnabled: The flow is turned off."


def test_a_429_of_a_workflow_holds_as_long_as_it_says() -> None:
    result = read("teams", 429, b"", retry_after="17")
    assert (result.outcome, result.retry_after) == (Outcome.HTTP_ERROR, 17.0)
    assert result.detail.startswith("Teams wants fewer messages")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error":"x"}', b"\xff"])
def test_an_error_without_readable_words_is_an_error_all_the_same(body: bytes) -> None:
    assert read("teams", 500, body).outcome is Outcome.HTTP_ERROR
