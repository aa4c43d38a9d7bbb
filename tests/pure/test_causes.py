"""Every way in which a delivery can fail has a phrase and a remedy."""

from __future__ import annotations

import pytest

from tidegate.core.finding_codes import CODES
from tidegate.core.model import Outcome
from tidegate.rules.inbound.signatures import Verification
from tidegate.rules.outbound import causes


@pytest.mark.parametrize("outcome", [one.name.lower() for one in Outcome if one is not Outcome.OK])
def test_every_outcome_has_a_phrase_and_a_remedy(outcome: str) -> None:
    assert causes.why(outcome) != outcome.replace("_", " ")
    assert causes.what_to_do(outcome)


def test_a_response_is_named_by_its_status() -> None:
    assert causes.why("http_error", 404) == "answered 404"
    assert causes.why("http_error", 200) == "answered 200 with an error", (
        "a condition on the body, or a chat's own word"
    )
    assert "path" in causes.what_to_do("http_error", 404)
    assert "secret" in causes.what_to_do("http_error", 401)
    assert "redirects are not followed" in causes.what_to_do("http_error", 308)
    assert causes.what_to_do("http_error", 503) == "check the receiver's log"
    assert causes.why("timeout", 200) == "timed out", "a cause counts before a status"


def test_an_unknown_cause_is_given_in_its_own_words_without_a_remedy() -> None:
    assert causes.why("left_file") == "left file"
    assert causes.what_to_do("left_file") == ""


def test_every_reason_of_a_wrong_signature_is_a_finding_with_a_remedy() -> None:
    reasons = {verdict.value for verdict in Verification if verdict is not Verification.OK}
    assert {f"rejected_{reason}" for reason in reasons} <= CODES.keys()
    assert "[sources.{name}.webhook]" in CODES["rejected_signature_wrong"].remedy
