"""Findings about rejected requests, by the reason that follows `rejected_`.

Rows of the table in `tidegate.core.finding_codes`: code -> severity, label, meaning, remedy. Pure data.
"""

from __future__ import annotations

from tidegate.core.finding_codes.shape import NOTICE, WARNING, FindingCode

REJECTIONS: dict[str, FindingCode] = {
    "rejected_signature_wrong": FindingCode(
        NOTICE,
        "signature wrong",
        "The signature does not match the body.",
        "see the cause in the sample; without one, compare `secret` of [sources.{name}.webhook] with the secret that"
        " the provider shows",
    ),
    "rejected_signature_missing": FindingCode(
        NOTICE,
        "signature missing",
        "The request has no signature.",
        "turn signing on at the provider, or find out who else knows the address",
    ),
    "rejected_secret_unset": FindingCode(
        NOTICE,
        "no secret",
        "The source has no secret to verify signatures with.",
        "set `secret` of [sources.{name}.webhook]",
    ),
    "rejected_timestamp_missing": FindingCode(
        NOTICE,
        "timestamp missing",
        "The signature has no timestamp.",
        "check that `verify` of [sources.{name}.webhook] names the scheme that the sender uses",
    ),
    "rejected_malformed": FindingCode(
        NOTICE,
        "signature malformed",
        "The signature header does not have the format of the scheme.",
        "check that `verify` of [sources.{name}.webhook] names the scheme that the sender uses",
    ),
    "rejected_too_old": FindingCode(
        NOTICE,
        "timestamp too old",
        "The signature is right and its timestamp is too old.",
        "check this machine's clock; if it is right, an old request was sent again",
    ),
    "rejected_too_new": FindingCode(
        NOTICE,
        "timestamp too new",
        "The signature is right and its timestamp is in the future.",
        "check this machine's clock and the sender's",
    ),
    "rejected_too_large": FindingCode(
        NOTICE,
        "body too large",
        "The body is larger than `max_body` allows.",
        "if such bodies are expected, raise `max_body` of [sources.{name}.webhook] or [sources.{name}.form]",
    ),
    "rejected_too_slow": FindingCode(
        NOTICE,
        "body too slow",
        "The body did not arrive in time.",
        "check the network between the sender and this machine",
    ),
    "rejected_hops_exceeded": FindingCode(
        NOTICE,
        "loop",
        "The event passed through too many gateways, which is probably a loop.",
        "find the destination that sends events back to source {name}",
    ),
    "rejected_content_type": FindingCode(
        NOTICE,
        "not a form",
        "The request to a form input is not a form.",
        "send the form as application/x-www-form-urlencoded",
    ),
    "rejected_too_many_fields": FindingCode(
        NOTICE, "too many fields", "The form has more fields than are read.", "send a form with fewer fields"
    ),
    "rejected_source_unknown": FindingCode(
        NOTICE,
        "unknown address",
        "The address names no source.",
        "correct the address at the sender, or add the source",
    ),
    "rejected_method_not_allowed": FindingCode(
        NOTICE,
        "method not allowed",
        "The method is not one that the source accepts, and the request is not a handshake that it answers.",
        "correct the method at the sender, or set `methods` or `handshake` of [sources.{name}.webhook]",
    ),
    "rejected_key_unknown": FindingCode(
        NOTICE,
        "key not fetched",
        "The provider signed with a key that could not be fetched.",
        "check that this machine can reach the address of the provider's keys",
    ),
    "rejected_subscription_unknown": FindingCode(
        NOTICE,
        "subscription not asked for",
        "A request asked to verify a WebSub subscription that this gateway did not ask for.",
        "nothing, if you did not subscribe to something by hand; else remove that subscription at the hub",
    ),
    "rejected_query_too_long": FindingCode(
        NOTICE,
        "query string too long",
        "The query string is longer than what is stored with an event.",
        "have the sender put the values into the body",
    ),
    "rejected_content_type_unusable": FindingCode(
        NOTICE,
        "Content-Type not usable",
        "The Content-Type is too long to be passed on, or has bytes that no header can have.",
        "find out why the sender sets such a Content-Type",
    ),
    "rejected_too_many_items": FindingCode(
        NOTICE, "too many events", "The request has more events than are split.", "send smaller batches"
    ),
    "rejected_form_unreadable": FindingCode(
        NOTICE, "form not readable", "The fields of a form could not be read.", "see the reason in the samples"
    ),
    "rejected_form_files": FindingCode(
        NOTICE,
        "form with files",
        "A form had files, which are not accepted.",
        "leave out the file fields of the page",
    ),
    "rejected_origin_not_allowed": FindingCode(
        NOTICE,
        "page not allowed",
        "A page sent the form that `allowed_origins` does not name.",
        "add the origin to `allowed_origins` of [sources.{name}.form], if the page is yours",
    ),
    "rejected_address_not_allowed": FindingCode(
        NOTICE,
        "address not allowed",
        "The request came from an address that `allow_from` does not name.",
        "if it is the provider's, add its network to `allow_from` of [sources.{name}.webhook]; behind a proxy, set"
        " `trusted_proxies` in [gateway]",
    ),
    "rejected_not_from_proxy": FindingCode(
        NOTICE,
        "not from a trusted proxy",
        "The request did not come through a trusted proxy, so its client certificate proves nothing.",
        "set `trusted_proxies` in [gateway] to the network of the proxy that checks certificates",
    ),
    "rejected_rate_limited": FindingCode(
        NOTICE,
        "too many forms",
        "An address sent more forms than `rate` allows.",
        "raise `rate` of [sources.{name}.form], if these are people",
    ),
    "rejected_honeypot": FindingCode(
        NOTICE,
        "form of a bot",
        "The field that only bots fill was filled. The form was answered and not stored.",
        "nothing; if people fill it, hide it better on the page",
    ),
    "rejected_schema_invalid": FindingCode(
        NOTICE,
        "event refused by its schema",
        "The event does not fit the JSON Schema of its type and was answered 422.",
        'ask the sender, correct `schemas` in [sources.{name}.webhook], or set on_invalid = "mark"',
    ),
    "rejected_over_share": FindingCode(
        WARNING,
        "source over its share",
        "The log is full of events that are owed, and the source has more than its share of them.",
        "see why deliveries wait: tidegate doctor",
    ),
    "rejected_visit_failed": FindingCode(
        WARNING,
        "subscription not confirmed",
        "The URL that confirms a subscription could not be fetched. The provider was asked to send it again.",
        "check that this machine can reach the provider",
    ),
    "rejected_other": FindingCode(
        NOTICE, "rejected", "Requests were rejected for another reason.", "see the reason in the samples"
    ),
}
