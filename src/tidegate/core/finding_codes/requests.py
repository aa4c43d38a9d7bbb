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
    "handshake_answered": FindingCode(
        NOTICE,
        "handshake answered",
        "The provider verified the address of this source and got its answer. Such requests are not stored.",
        "nothing; if these were events, set `verify` or `handshake` of [sources.{name}.webhook] to what sends them",
    ),
    "handshake_value": FindingCode(
        NOTICE,
        "value from a handshake",
        "The provider sent a value when it tested the address. It needs it back from you, or signs with it from now on."
        " Anybody can send such a request, so use a value only if you have just registered the address.",
        "set the value as `secret` of [sources.{name}.webhook], and enter it at the provider if it asks for it",
    ),
    "subscription_confirmed": FindingCode(
        NOTICE,
        "subscription confirmed",
        "A provider asked to confirm a subscription of this address, and its URL was opened.",
        "nothing, if the subscription in the sample is yours; else remove `handshake_token` of"
        " [sources.{name}.webhook]",
    ),
    "subscription_unconfirmed": FindingCode(
        WARNING,
        "subscription not confirmed",
        "A provider asked to confirm a subscription of this address. Anybody can have it ask, so nothing was done. The"
        " request was stored as an event.",
        "set `handshake_token` of [sources.{name}.webhook] to what the sample names, if it is yours, and let the"
        " provider ask again; or open the SubscribeURL of the event",
    ),
    "handshake_stored": FindingCode(
        WARNING,
        "handshake stored as an event",
        "A request that looks like the handshake of a provider was stored as an event, because this source verifies"
        " nothing and answers no handshake. The provider did not get the answer that it needs.",
        "set `verify` or `handshake` in [sources.{name}.webhook] to the provider",
    ),
    "charset_guessed": FindingCode(
        NOTICE,
        "charset guessed",
        "Bodies of this source are not in the charset that they name, or name none and are not UTF-8, or have half of a"
        " character. What filters, envelopes and templates see of them may have wrong characters. The bytes were stored"
        " as they came.",
        "have the sender name the charset in its Content-Type, such as `; charset=windows-1252`",
    ),
    "value_unusable": FindingCode(
        NOTICE,
        "value not usable",
        "Requests of this source had a value at the place of the event type, the key or the time that is none. The"
        " events were stored without it.",
        "correct `type_path`, `key_path` or `time_path` in [sources.{name}.webhook]: tidegate explain ID",
    ),
    "headers_left_out": FindingCode(
        NOTICE,
        "headers left out",
        "Requests of this source had more than 64 headers, or more than 8 KiB of them. The headers of the sample were"
        " not stored, so filters and receivers do not see them.",
        "have the sender, or the proxy in front, send fewer headers",
    ),
    "members_repeated": FindingCode(
        WARNING,
        "member twice",
        "An object in the JSON of accepted requests has a member twice. Filters, templates and places read the last"
        " one; a receiver may read the first. Up to 20 requests a second are looked at.",
        "ask the sender to write each member once; see the body: tidegate explain ID",
    ),
    "cloudevent_invalid": FindingCode(
        WARNING,
        "not CloudEvents 1.0",
        "Accepted requests of this source are not valid CloudEvents 1.0. They were stored and are delivered as they"
        " came; a receiver may reject them. Up to 20 requests a second are looked at.",
        "correct the attribute that the sample names at the sender: tidegate explain ID",
    ),
    "body_unreadable": FindingCode(
        WARNING,
        "body not readable",
        "The body of accepted requests of this source could not be read, so filters, keys and event types see nothing"
        " of it. The bytes were stored and are delivered as they came.",
        "compare the Content-Type and Content-Encoding that the sender sets with what it sends: tidegate explain ID",
    ),
}
