"""Explains why a delivery failed and what to do about it. Pure.

Owns one explanation and one remedy for each outcome of an attempt and each cause of an end, so that the dashboard,
`explain` and `doctor` say the same. Works on the words of the API (`http_error`, `expired`, ...) and on statuses, and
may not know the text of an error. Invariant: an unknown word still gives an explanation. Crash: nothing is kept.
"""

from __future__ import annotations

_LOG = "check the log of the receiver"
# outcome or cause -> (what happened, what to do)
_CAUSES: dict[str, tuple[str, str]] = {
    "http_error": ("the receiver answered with an error", _LOG),
    "timeout": ("no answer before the timeout", "check the receiver, or increase the `timeout` of the destination"),
    "refused": ("connection refused", "start the receiver, or correct the `url` of the destination"),
    "reset": ("the connection was closed before the answer", f"{_LOG} and of the proxies before it"),
    "blocked": ("the address is blocked", "if you want to call it, add its network to `allow` in [egress]"),
    "bad_answer": (
        "the answer was not HTTP",
        "correct the `url` of the destination: the server there does not speak HTTP",
    ),
    "tls": (
        "the TLS certificate was not accepted",
        "renew the certificate of the receiver, or correct the host in the `url`",
    ),
    "dns": ("the host name was not found", "correct the host in the `url` of the destination"),
    "render": (
        "the body could not be rendered",
        "correct the transform of the route, or the `text` of the destination",
    ),
    "expired": ("it was pending for too long", "fix the receiver, then replay"),
    "gone": ("the receiver answered 410 Gone", "correct the `url` of the destination, then resume it"),
    "operator": ("by a person", ""),
}
# Status -> what to do; `what_to_do` has the advice for other statuses.
_STATUSES: dict[int, str] = {
    400: "the receiver rejects the body: check the `body` setting and the transform of the route",
    401: "the receiver rejects the credentials: check `auth`, `headers` and the secret that the receiver verifies with",
    403: "the receiver rejects the credentials: check `auth`, `headers` and the secret that the receiver verifies with",
    404: "correct the path in the `url` of the destination",
    405: "correct the path in the `url` of the destination: this path does not accept POST",
    413: "the body is too large for the receiver: pick fields with a transform",
    415: "the receiver does not accept this content type: check the `body` setting",
    422: "the receiver rejects the body: check the `body` setting and the transform of the route",
    429: "the receiver wants fewer requests: set a lower `rate`",
}


def why(cause: str, status: int | None = None) -> str:
    """`connection refused`; with a status, `the receiver answered 404`. An unknown cause is shown as it is."""
    if status is not None and cause in ("http_error", ""):
        return f"the receiver answered {status}"
    return _CAUSES[cause][0] if cause in _CAUSES else cause.replace("_", " ")


def what_to_do(cause: str, status: int | None = None) -> str:
    """The advice, without a period at the end; "" when there is none."""
    if status is not None and cause in ("http_error", ""):
        if 300 <= status < 400:
            return "redirects are not followed: write the new address into the `url` of the destination"
        return _STATUSES.get(status, _LOG)
    return _CAUSES[cause][1] if cause in _CAUSES else ""


# Reason of a rejected request -> what the operator of source {name} can do.
_REJECTIONS: dict[str, str] = {
    "signature_wrong": "compare `secret` in [sources.{name}.webhook] with the secret that the provider shows",
    "signature_missing": "the caller did not sign: turn on signing at the provider, or check who else has the address",
    "secret_unset": "set `secret` in [sources.{name}.webhook]",
    "timestamp_missing": "the caller does not sign as `verify` in [sources.{name}.webhook] requires",
    "too_old": "the request is an old one sent again, or the clock of this machine is ahead: check the clock",
    "too_new": "the clock of this machine is behind, or that of the sender is ahead: check both clocks",
    "too_large": "to accept larger bodies, increase `max_body` of the input",
    "content_type": "send the form as application/x-www-form-urlencoded",
}


def after_rejection(reason: str, name: str) -> str:
    """What to do about a rejected request of source `name`; "" when there is nothing to do."""
    return _REJECTIONS.get(reason, "").format(name=name)
