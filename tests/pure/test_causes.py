"""Every way in which a delivery can fail is told in words, with something to do about it."""

from __future__ import annotations

import pytest

from tidegate.core.model import Outcome
from tidegate.rules.inbound.signatures import Verification
from tidegate.rules.outbound import causes


@pytest.mark.parametrize("outcome", [one.name.lower() for one in Outcome if one is not Outcome.OK])
def test_every_outcome_has_words_of_its_own_and_an_advice(outcome: str) -> None:
    assert causes.why(outcome) != outcome.replace("_", " ")
    assert causes.what_to_do(outcome)


def test_an_answer_is_told_by_its_status() -> None:
    assert causes.why("http_error", 404) == "the receiver answered 404"
    assert "path" in causes.what_to_do("http_error", 404)
    assert "secret" in causes.what_to_do("http_error", 401)
    assert "redirects are not followed" in causes.what_to_do("http_error", 308)
    assert causes.what_to_do("http_error", 503) == "check the log of the receiver"
    assert causes.why("timeout", 200) == "no answer before the timeout", "a cause stands above a status"


def test_what_is_not_known_is_said_in_its_own_words_and_advises_nothing() -> None:
    assert causes.why("left_file") == "left file"
    assert causes.what_to_do("left_file") == ""


def test_what_to_do_about_a_refusal_names_the_source() -> None:
    assert causes.after_rejection("signature_wrong", "code") == (
        "compare `secret` in [sources.code.webhook] with the secret that the provider shows"
    )
    signed = {
        Verification.SIGNATURE_MISSING,
        Verification.SIGNATURE_WRONG,
        Verification.SECRET_UNSET,
        Verification.TOO_OLD,
        Verification.TOO_NEW,
    }
    assert all(causes.after_rejection(verdict.value, "code") for verdict in signed)
    assert causes.after_rejection("honeypot", "leads") == ""
