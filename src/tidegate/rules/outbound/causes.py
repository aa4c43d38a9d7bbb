"""Why a delivery failed, and what to do about it. Pure.

Owns one phrase and one remedy for each outcome of an attempt and each cause of an end, so that the dashboard, `explain`
and `doctor` say the same. Takes the words of the API (`http_error`, `expired`, ...) and HTTP statuses; the text of an
error decides nothing.
"""

from __future__ import annotations

_LOG = "check the receiver's log"
_IDENTITY = (
    "the receiver rejects the credentials: check `auth` and `headers`, and the signing secret that the receiver uses"
)
_BODY = "the receiver rejects the body: check `body` and the transform of the route"
# outcome or cause -> (what happened, of the destination; what to do)
_CAUSES: dict[str, tuple[str, str]] = {
    "http_error": ("answered with an error", _LOG),
    "timeout": ("timed out", "check the receiver, or raise `timeout`"),
    "refused": ("connection refused", "start the receiver, or correct its `url`"),
    "reset": ("connection lost", f"{_LOG}, and any proxy in front of it"),
    "blocked": ("address not allowed", "if you trust this network, add it to `allow` of [egress]"),
    "bad_answer": ("invalid HTTP response", "correct its `url`: the server there does not speak HTTP"),
    "tls": ("TLS certificate rejected", "renew its certificate, or correct the host in its `url`"),
    "dns": ("host name not found", "correct the host in its `url`"),
    "render": ("body could not be rendered", "correct the transform of the route, or the `text` of the destination"),
    "credential": ("no token for it", "see which credential fails: tidegate auth status"),
    "conflict": ("changed in both systems", "decide which value stays: tidegate conflicts"),
    "expired": ("expired before it was delivered", "fix the receiver, then replay"),
    "gone": ("answered 410 Gone", "correct its `url`, then resume it"),
    "operator": ("by an operator", ""),
}
# What a status says beyond "an error"; 3xx and the rest of 4xx and 5xx are handled below.
_STATUSES: dict[int, str] = {
    400: _BODY,
    401: _IDENTITY,
    403: _IDENTITY,
    404: "correct the path in its `url`",
    405: "correct the path in its `url`: that endpoint does not accept POST",
    413: "the body is too large for the receiver: select fields with a transform",
    415: "the receiver does not accept this content type: check `body`",
    422: _BODY,
    429: "the receiver limits the rate: set a lower `rate`",
}


def why(cause: str, status: int | None = None) -> str:
    """`connection refused`; with a status, `answered 404`. An unknown cause is given in its own words."""
    if status is not None and cause in ("http_error", ""):
        return f"answered {status} with an error" if cause and 200 <= status < 300 else f"answered {status}"
    return _CAUSES[cause][0] if cause in _CAUSES else cause.replace("_", " ")


def what_to_do(cause: str, status: int | None = None) -> str:
    """The remedy, without a full stop; "" when there is none."""
    if status is not None and cause in ("http_error", ""):
        if 300 <= status < 400:
            return "redirects are not followed: set `url` to the address that the redirect names"
        return _STATUSES.get(status, _LOG)
    return _CAUSES[cause][1] if cause in _CAUSES else ""
