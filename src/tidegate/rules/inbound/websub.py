"""WebSub as a subscriber (W3C Recommendation of 2018-01-23): what a topic says, what a hub asks, and when. Pure.

Owns discovery (section 4), the form of a request to a hub (5.1), the verification of intent (5.3), and the times at
which a subscription is renewed or tried again. Knows no request and no store. Invariants: any bytes of a topic or a hub
give an answer; a hub's word about the lease is bounded. Crash: nothing is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, urlencode, urljoin

import msgspec

from tidegate.core.errors import UpstreamError
from tidegate.rules.sync.links import origin_of, parse_link

SECRET_BYTES = 199  # "MUST be less than 200 bytes in length", section 5.1
MAX_HUBS = 8
MAX_QUERY_BYTES = 8192
MAX_REASON = 300
LONGEST_LEASE_SECONDS = 30 * 86_400.0  # a longer one is renewed as if it were this long
UNREADABLE_LEASE_SECONDS = 86_400.0  # of a lease that is not a number: it may be a short one
_LEASE = re.compile(r"\d{1,12}(?:\.\d{1,9})?", re.ASCII)
VERIFY_SECONDS = 300.0  # how long a hub may take to verify a request that it accepted
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 5.0, 3600.0
DENIED_WAIT_SECONDS = 6 * 3600.0
SUBSCRIBE, UNSUBSCRIBE, DENIED = "subscribe", "unsubscribe", "denied"


class Topic(msgspec.Struct, frozen=True):
    """What a topic says about itself: its own URL and its hubs, in its order."""

    url: str
    hubs: tuple[str, ...]


def read_topic(url: str, headers: Iterable[tuple[str, str]], body: bytes) -> Topic:
    """The links of a topic that was fetched from `url`. UpstreamError when it names no hub.

    Links of the header are used before those of the content, which is HTML, Atom or RSS (section 4).
    """
    lines = list(headers)
    found = [
        (target, relation)
        for name, value in lines
        if name == "link"
        for target, parameters in parse_link(value)
        for relation in parameters.get("rel", "").lower().split()
        if not parameters.get("anchor")
    ]
    if not any(relation == "hub" for _, relation in found):
        from tidegate.rules.inbound.topic_links import content_links  # a parser that most gateways never need

        found += content_links(body)
    hubs = tuple(dict.fromkeys(filter(None, (_absolute(url, to) for to, relation in found if relation == "hub"))))
    own = [to for to in (_absolute(url, target) for target, relation in found if relation == "self") if to]
    if not hubs:
        raise UpstreamError(
            f"{origin_of(url)} names no hub in its Link header, HTML or feed",
            code="no_hub",
            hint="set `hub` if the publisher documents one, or poll the feed as a resource",
        )
    return Topic(own[0] if own else url, hubs[:MAX_HUBS])


def _absolute(base: str, link: str) -> str:
    """The URL of a link, "" when it is not an http or https URL."""
    try:
        target = urljoin(base, link.strip())
        origin_of(target)
    except ValueError:
        return ""
    return "" if any(one <= " " for one in target) else target


def request_form(mode: str, topic: str, callback: str, lease_seconds: int = 0, secret: str = "") -> bytes:
    """The body of a request to a hub. `lease_seconds` and `secret` belong to a subscription."""
    fields = {"hub.mode": mode, "hub.topic": topic, "hub.callback": callback}
    if mode == SUBSCRIBE:
        fields |= {"hub.lease_seconds": str(lease_seconds), "hub.secret": secret}
    return urlencode(fields).encode()


class HubRequest(msgspec.Struct, frozen=True):
    """A GET of a hub at the callback: a verification of intent, or a denial."""

    mode: str
    topic: str
    challenge: str
    lease_seconds: float | None
    reason: str
    token: str


def read_hub_request(query_string: bytes) -> HubRequest | None:
    """None for a query without `hub.mode`."""
    if b"hub.mode=" not in query_string or len(query_string) > MAX_QUERY_BYTES:
        return None
    try:
        fields = dict(parse_qsl(query_string.decode("latin-1"), keep_blank_values=True, max_num_fields=100))
    except ValueError:
        return None
    lease = fields.get("hub.lease_seconds", "").strip()
    return HubRequest(
        fields.get("hub.mode", ""),
        fields.get("hub.topic", ""),
        fields.get("hub.challenge", ""),
        _lease_of(lease),
        "".join(one for one in fields.get("hub.reason", "") if one.isprintable())[:MAX_REASON],
        fields.get("token", ""),
    )


def _lease_of(text: str) -> float | None:
    """Seconds, also with a fraction; None when the hub named none, or 0."""
    if not text or (text.isdigit() and not text.strip("0")):
        return None
    return float(text) if _LEASE.fullmatch(text) else UNREADABLE_LEASE_SECONDS


def usable_lease(given_seconds: float | None, asked_seconds: float) -> float:
    """How long a verified subscription is taken to last. A hub that names no time accepted the one that was asked."""
    if not given_seconds:
        return asked_seconds
    return min(max(given_seconds, 1.0), max(asked_seconds, LONGEST_LEASE_SECONDS))


def renew_in(lease_seconds: float) -> float:
    """Seconds from the start of a lease to its renewal: two thirds of it leave a third for retries."""
    return max(1.0, lease_seconds * 2 / 3)


def retry_in(failures: int, left_seconds: float, random: float) -> float:
    """Seconds to the next try after `failures` in a row (1 or more); `left_seconds`: what is left of a lease, or 0.

    5 s, doubled up to an hour, and at most a tenth of what is left, so that a short lease gets its retries too.
    """
    wait = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** min(failures - 1, 12))
    if left_seconds > 0:
        wait = min(wait, max(1.0, left_seconds / 10))
    return wait * (0.8 + 0.4 * random)


def ends_soon(left_seconds: float, lease_seconds: float) -> bool:
    """Whether a lease that could not be renewed is a reason to act now."""
    return left_seconds < min(86_400.0, lease_seconds / 5)
