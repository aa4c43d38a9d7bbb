"""Why a delivery failed and what to do about it, in plain words. Pure.

Owns one sentence and one advice for each outcome of an attempt and each cause of an end, so that the dashboard,
`explain` and `doctor` never tell two stories. Takes the words of the API (`http_error`, `expired`, ...) and statuses:
nothing is decided by what the text of an error says.
"""

from __future__ import annotations

_LOG = "look at the receiver's own log"
# outcome or cause -> (what happened, said of the destination; what to do)
_CAUSES: dict[str, tuple[str, str]] = {
    "http_error": ("it answered with an error", _LOG),
    "timeout": ("it did not answer in time", "look at the receiver, or give it longer with `timeout`"),
    "refused": ("nothing listens there", "start the receiver, or correct its `url`"),
    "reset": ("the line broke", f"{_LOG}, and at a proxy before it"),
    "blocked": ("its address is not allowed", "if it is meant, add its network to `allow` of [egress]"),
    "bad_answer": ("its answer was no HTTP", "correct its `url`: what answers there speaks something else"),
    "tls": ("its certificate was not accepted", "renew its certificate, or correct the host in its `url`"),
    "dns": ("its name was not found", "correct the host in its `url`"),
    "render": ("the body could not be made", "correct the transform of the route, or the `text` of the destination"),
    "expired": ("it waited too long", "mend the receiver, then replay"),
    "gone": ("it answered 410 Gone", "correct its `url`, then resume it"),
    "operator": ("by a person", ""),
}
# What an answer tells beyond "an error"; 3xx and 5xx are told below.
_STATUSES: dict[int, str] = {
    400: "it does not understand the body: look at its `body` and at the transform of the route",
    401: "it does not accept who we are: look at its `auth` and `headers`, and at the secret it verifies with",
    403: "it does not accept who we are: look at its `auth` and `headers`, and at the secret it verifies with",
    404: "correct the path in its `url`",
    405: "correct the path in its `url`: what is there takes no POST",
    413: "it takes no body this large: pick fields with a transform",
    415: "it takes no body of this kind: look at its `body`",
    422: "it does not understand the body: look at its `body` and at the transform of the route",
    429: "it wants fewer: set a lower `rate`",
}


def why(cause: str, status: int | None = None) -> str:
    """`nothing listens there`; with a status, `it answered 404`. An unknown cause in its own words."""
    if status is not None and cause in ("http_error", ""):
        return f"it answered {status}"
    return _CAUSES[cause][0] if cause in _CAUSES else cause.replace("_", " ")


def what_to_do(cause: str, status: int | None = None) -> str:
    """The advice, without a full stop; "" when there is none to give."""
    if status is not None and cause in ("http_error", ""):
        if 300 <= status < 400:
            return "redirects are not followed: put the address it leads to into its `url`"
        return _STATUSES.get(status, _LOG)
    return _CAUSES[cause][1] if cause in _CAUSES else ""


# Why the door turned a request away -> what to do, said to the operator of source {name}.
_REFUSALS: dict[str, str] = {
    "signature_wrong": "compare `secret` of [sources.{name}.webhook] with the one that the provider shows",
    "signature_missing": "who called did not sign: have the provider sign, or see who else knows the address",
    "secret_unset": "set `secret` of [sources.{name}.webhook]",
    "timestamp_missing": "who called did not sign as `verify` of [sources.{name}.webhook] says",
    "too_old": "a repeated old request, or this machine's clock is ahead: compare it",
    "too_new": "this machine's clock is behind, or the sender's ahead: compare them",
    "too_large": "if it is meant, raise `max_body` of the input",
    "content_type": "a form is sent as application/x-www-form-urlencoded",
}


def after_refusal(reason: str, name: str) -> str:
    """What to do about a request that was turned away at the door of source `name`; "" when nothing is to be done."""
    return _REFUSALS.get(reason, "").format(name=name)
