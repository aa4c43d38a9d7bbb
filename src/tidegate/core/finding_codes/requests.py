"""Findings about what sources send: webhooks, mailboxes, rejected requests.

Rows of the table in `tidegate.core.finding_codes`: code -> severity, label, meaning, remedy. Pure data.
"""

from __future__ import annotations

from tidegate.core.finding_codes.shape import ERROR, NOTICE, WARNING, FindingCode

REQUESTS: dict[str, FindingCode] = {
    # -- sources
    "source_quiet": FindingCode(
        WARNING,
        "quiet",
        "The source sent nothing for longer than it usually does, or than [alerts] allows.",
        "check the sender's log of deliveries and its address for {name}; set the wait in [alerts.quiet]",
    ),
    "webhooks_missed": FindingCode(
        WARNING,
        "webhooks missed",
        "Reconciliation found changes that no webhook had reported.",
        "check the deliveries of the provider: tidegate advise",
    ),
    "requests_rejected": FindingCode(
        WARNING,
        "many rejected requests",
        "The source rejected as many requests within an hour as `requests_rejected` of [alerts] says.",
        "see the reasons below, and: tidegate doctor",
    ),
    "polls_failing": FindingCode(
        ERROR,
        "polls failing",
        "Polls of the resource fail, so its changes are not found. They are tried again by themselves.",
        "see what the source answers: tidegate pull {name} --fresh",
    ),
    # -- WebSub
    "subscription_failing": FindingCode(
        ERROR,
        "subscription failing",
        "The WebSub topic of the source is not subscribed to, or its renewal fails. It is tried again by itself.",
        "see the reason below, and `topic`, `hub` and public_url of [sources.{name}.webhook.websub]",
    ),
    "subscription_denied": FindingCode(
        ERROR,
        "subscription denied",
        "The hub denied the WebSub subscription of the source. It is asked again after some hours.",
        "ask the publisher for access to the topic, or use another `hub` in [sources.{name}.webhook.websub]",
    ),
    "subscription_ends_soon": FindingCode(
        ERROR,
        "subscription ends soon",
        "The WebSub subscription of the source could not be renewed, and its lease is nearly over. Then"
        " nothing arrives.",
        "see the reason below; the hub must reach the address of the source",
    ),
    # -- mailboxes
    "mailbox_failing": FindingCode(
        ERROR,
        "mailbox not readable",
        "The mail server cannot be reached, refuses the login or does not answer. It is tried again by itself.",
        "check host, port and auth of [sources.{name}.imap]",
    ),
    "mail_without_idle": FindingCode(
        WARNING,
        "no IDLE",
        "The mail server does not offer IDLE, so it is polled, although `mode` asks for IDLE.",
        'set mode = "poll" of [sources.{name}.imap], and `poll` to the delay that you accept',
    ),
    "mail_folder_renumbered": FindingCode(
        WARNING,
        "mail folder renumbered",
        "The mail server gave the mails of a folder new numbers (UIDVALIDITY changed), so its place in it was set "
        "again. Mail that arrived meanwhile was looked for by its time.",
        "compare the folder with GET /api/v1/events?source={name} for the hour before",
    ),
    "mail_too_large": FindingCode(
        WARNING,
        "mail too large",
        "A mail is larger than `max_message`, so only its header was read. Its event says so in `problems`.",
        "raise `max_message` of [sources.{name}.imap]",
    ),
    "mail_unreadable": FindingCode(
        NOTICE,
        "mail not fully readable",
        "A part of a mail could not be read as it declares itself. Its event has what could be read, and `problems`.",
        "look at `problems` in the event",
    ),
    # -- rejected requests; the part after `rejected_` is the reason
    "rejected_signature_wrong": FindingCode(
        NOTICE,
        "signature wrong",
        "The signature does not match the body.",
        "compare `secret` of [sources.{name}.webhook] with the secret that the provider shows",
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
    "rejected_too_many_items": FindingCode(
        NOTICE, "too many events", "The request has more events than are split.", "send smaller batches"
    ),
    "rejected_other": FindingCode(
        NOTICE, "rejected", "Requests were rejected for another reason.", "see the reason in the samples"
    ),
    # -- requests
    "bodies_full": FindingCode(
        WARNING,
        "too many bytes at once",
        "Requests of this source held more bytes of bodies at once than the process may hold. The one that was read for"
        " the longest was answered 503.",
        "lower `max_body` of the source, or find out who sends bodies so slowly",
    ),
    "delivery_id_reused": FindingCode(
        WARNING,
        "delivery id used again",
        "Requests of this source carried a delivery id that came before with another type or another body. Each was"
        " stored as an event of its own.",
        "set `dedupe` in [sources.{name}.webhook]: `scope` for what the id is unique by, `volatile` for paths that"
        " differ between repeats, or `enabled = false`",
    ),
    "keys_not_fetched": FindingCode(
        ERROR,
        "keys not fetched",
        "A provider signs with keys that it publishes, and they could not be fetched. Its requests are answered 503.",
        "check that this machine can reach the address in the sample",
    ),
    "batch_empty": FindingCode(
        NOTICE,
        "request without events",
        "Requests of this source had an empty list where their events should be. They were answered and not stored.",
        "nothing, if the provider sends empty lists to test the address or regularly to show that it works",
    ),
    "split_not_a_list": FindingCode(
        WARNING,
        "nothing to split",
        "Requests of this source had no list at the path that `split` names, so each was stored as one event.",
        "correct `split` in [sources.{name}.webhook]",
    ),
    "secret_not_in_file": FindingCode(
        NOTICE,
        "rotated secret not in the file",
        "`tidegate rotate` added a secret to a source of the configuration file. Both are accepted until the file has "
        "the new one.",
        "set the new secret where `secret` of [sources.{name}.webhook] comes from, then: tidegate config apply",
    ),
    "schema_invalid": FindingCode(
        WARNING,
        "event does not fit its schema",
        "An event does not fit the JSON Schema of its type. It was stored and is marked with `schema_error`.",
        "ask the sender, or correct `schemas` in [sources.{name}.webhook]",
    ),
    "handshake_value": FindingCode(
        NOTICE,
        "value from a handshake",
        "The provider sent a value when it tested the address. It needs it back from you, or signs with it from now on."
        " Anybody can send such a request, so use a value only if you have just registered the address.",
        "set the value as `secret` of [sources.{name}.webhook], and enter it at the provider if it asks for it",
    ),
    "handshake_stored": FindingCode(
        WARNING,
        "handshake stored as an event",
        "A request that looks like the handshake of a provider was stored as an event, because this source verifies"
        " nothing and answers no handshake. The provider did not get the answer that it needs.",
        "set `verify` or `handshake` in [sources.{name}.webhook] to the provider",
    ),
    "body_unreadable": FindingCode(
        WARNING,
        "body not readable",
        "The body of accepted requests of this source could not be read, so filters, keys and event types see nothing"
        " of it. The bytes were stored and are delivered as they came.",
        "compare the Content-Type and Content-Encoding that the sender sets with what it sends: tidegate explain ID",
    ),
}
