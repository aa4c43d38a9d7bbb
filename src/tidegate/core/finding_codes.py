"""The codes of findings: how severe each is, its label, what it means and what to do.

Owns the one table that `doctor`, the pages, `explain` and `docs/reference/findings.md` read. To add a finding, add a
row and report it. Invariant: a code that is reported somewhere is a row here (`tests/pure/test_findings.py`). `{name}`
in a remedy is the name in the finding's subject.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Severity(StrEnum):
    """`error`: events are delayed or can be lost until you act. `warning`: look at it. `notice`: for information."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


class FindingCode(NamedTuple):
    severity: Severity
    title: str
    meaning: str
    remedy: str


ERROR, WARNING, NOTICE = Severity
UNKNOWN = FindingCode(WARNING, "unknown finding", "This release has no description of this code.", "")

CODES: dict[str, FindingCode] = {
    # -- credentials
    "credential_dead": FindingCode(
        ERROR,
        "credential is dead",
        "The provider does not accept the credential any more, and Tidegate cannot renew it. Polls and deliveries that "
        "use it wait.",
        "sign in again: tidegate auth connect {name}",
    ),
    "credential_failing": FindingCode(
        ERROR,
        "no token",
        "The token service does not give a token. Polls and deliveries wait and go on by themselves when it does.",
        "tidegate auth status",
    ),
    "credential_refused": FindingCode(
        WARNING,
        "credential is refused",
        "The API answers 401 although the token is new. It may lack a permission, or belong to another API.",
        "check the scopes and the account of the credential: tidegate auth status",
    ),
    "credential_expiring": FindingCode(
        WARNING,
        "credential expires",
        "The token ends within a day, and the provider gave nothing to renew it with.",
        "sign in again: tidegate auth connect {name}",
    ),
    "credential_scopes": FindingCode(
        WARNING,
        "scopes are missing",
        "The provider granted fewer scopes than the configuration names.",
        "allow the scopes in the app at the provider, then: tidegate auth connect {name}",
    ),
    # -- destinations
    "destination_failing": FindingCode(
        ERROR,
        "not answering",
        "The destination's circuit is open: it fails, and only probes are sent. Its deliveries stay pending.",
        "tidegate test {name}",
    ),
    "dead_letters": FindingCode(
        ERROR,
        "dead letters",
        "Deliveries used all their attempts. They are kept until you replay them or retention removes their events.",
        "fix the cause, then: tidegate replay --destination {name} --state exhausted",
    ),
    "cannot_render": FindingCode(
        ERROR,
        "deliveries cannot be rendered",
        "A transform or a template failed for these events, so no request could be made. The deliveries are exhausted.",
        "correct the transform of the route or the template of the destination, then: "
        "tidegate replay --destination {name} --state exhausted",
    ),
    "destination_retrying": FindingCode(
        WARNING,
        "retrying",
        "All pending deliveries of the destination have failed and wait for their retry.",
        "tidegate test {name}",
    ),
    "destination_paused": FindingCode(
        WARNING, "paused", "An operator paused the destination. Its deliveries stay pending.", "tidegate resume {name}"
    ),
    "destination_stopped": FindingCode(
        WARNING,
        "stopped",
        "The destination answered 410 Gone, so nothing more is sent to it. Its deliveries stay pending.",
        "correct its `url`, then: tidegate resume {name}",
    ),
    "destination_owed_much": FindingCode(
        ERROR,
        "holds most of the log",
        "The log is larger than `size` of [retention] allows, and more than half of it are events that this destination"
        " is owed. They stay, and sources are answered 429 when there is no more space.",
        "tidegate resume {name}, or delete the destination, or raise `size` of [retention]",
    ),
    "destination_left_file": FindingCode(
        WARNING,
        "not in the file",
        "The destination is no longer in the configuration file, so it is paused. Its deliveries stay pending.",
        "put it back into the file, or delete it with its pending deliveries: tidegate config apply --prune",
    ),
    "destination_rate_limited": FindingCode(
        NOTICE,
        "rate limited",
        "The destination sent Retry-After. Deliveries continue by themselves when that time has passed.",
        "set a lower `rate` to stay within its limit",
    ),
    "backlog_growing": FindingCode(
        WARNING,
        "backlog growing",
        "The destination has many pending deliveries, and more of them than some minutes ago.",
        "raise `concurrency` or `rate` of [destinations.{name}], or find out why it is slow: tidegate test {name}",
    ),
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
    "rejected_too_many_items": FindingCode(
        NOTICE, "too many events", "The request has more events than are split.", "send smaller batches"
    ),
    "rejected_other": FindingCode(
        NOTICE, "rejected", "Requests were rejected for another reason.", "see the reason in the samples"
    ),
    # -- store and nodes
    "store_unreachable": FindingCode(
        ERROR,
        "not answering",
        "The database does not answer. Nothing is accepted until it does; the gateway continues by itself.",
        "check that the database server runs and that this machine can reach it",
    ),
    "store_setting_unsafe": FindingCode(
        ERROR,
        "unsafe setting",
        "A setting of the store can lose or damage events that were acknowledged.",
        "ALTER SYSTEM SET {name} = on; then SELECT pg_reload_conf()",
    ),
    "connections_short": FindingCode(
        ERROR,
        "too few connections",
        "The database server allows fewer connections than the nodes may need.",
        "raise `max_connections` of the server, then restart it",
    ),
    "disk_low": FindingCode(
        ERROR,
        "disk nearly full",
        "Little disk space is free. A full disk accepts no events.",
        "free disk space, or lower `size` of [retention]",
    ),
    "standby_asynchronous": FindingCode(
        WARNING,
        "asynchronous standby",
        "A standby replicates asynchronously. After a failover, the latest acknowledged events can be missing.",
        "ALTER SYSTEM SET synchronous_standby_names = '*' (appends then wait for it), or accept the risk",
    ),
    "clock_skew": FindingCode(
        WARNING,
        "clock skew",
        "The clocks of this machine and of the database server differ. This node follows the server's clock.",
        "synchronize the clocks of both machines with chrony or systemd-timesyncd",
    ),
    "partitions_unassigned": FindingCode(
        NOTICE,
        "moving",
        "Some partitions belong to no node at the moment. Nodes take them over within seconds.",
        "if this lasts longer than a minute, check the logs of the nodes",
    ),
    # -- process
    "connections_full": FindingCode(
        WARNING,
        "too many connections",
        "Clients opened as many connections as this process may hold. The longest idle connection of the address with"
        " the most gives way to a new one.",
        "allow the process more open files (`ulimit -n`), or find the address that opens so many connections",
    ),
    "local_resources": FindingCode(
        ERROR,
        "out of local resources",
        "This machine had no file, socket or memory for a connection. Deliveries wait until it has; none of their"
        " attempts is used for that.",
        "allow the process more open files (`ulimit -n`), and check what else runs on this machine",
    ),
    "config_warning": FindingCode(
        WARNING,
        "configuration warning",
        "The configuration file is valid and says something that is probably not intended.",
        "correct the file, then: tidegate config apply",
    ),
    "config_out_of_date": FindingCode(
        ERROR,
        "configuration not read",
        "The configuration that another node changed could not be read, so this node still uses the previous one.",
        "check the database; the node tries again by itself where a retry can help",
    ),
    "rejections_not_stored": FindingCode(
        WARNING,
        "rejections not stored",
        "Rejected requests could not be written to the store, so `doctor` and the pages do not show them.",
        "check the store: tidegate doctor",
    ),
    "rejections_dropped": FindingCode(
        NOTICE,
        "rejections dropped",
        "More requests were rejected at once than are kept, so the list of rejected requests has gaps.",
        "look at the list for what sends them: tidegate doctor",
    ),
    "findings_dropped": FindingCode(
        WARNING,
        "findings dropped",
        "There were more findings than are kept, so the least severe and oldest were dropped.",
        "resolve the findings in this list; the samples name some of those that were dropped",
    ),
    "source_over_share": FindingCode(
        ERROR,
        "over its share",
        "The log is as large as `size` of [retention] allows, with events whose deliveries are pending. This source"
        " sent more than its share of them, so its new events are answered 429.",
        "resume or delete the destination that holds its deliveries, or raise `size` of [retention]",
    ),
    "polls_over_share": FindingCode(
        ERROR,
        "over its share",
        "The source sent more than its share of a log that is full of pending deliveries, so it is not polled. Changes"
        " are found when there is space again.",
        "see the finding `source_over_share`",
    ),
    "rejected_over_share": FindingCode(
        NOTICE,
        "over its share",
        "The source sent more than its share of what is stored.",
        "see the finding `source_over_share`",
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
        "rotated secret is not in the file",
        "`tidegate rotate` added a secret to a source of the configuration file. Both are accepted until the file has "
        "the new one.",
        "set the new secret where `secret` of [sources.{name}.webhook] comes from, then: tidegate config apply",
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
    # -- resources
    "rows_skipped": FindingCode(
        WARNING,
        "rows skipped",
        "Rows of the source could not be read, so they have no record. Their reasons and examples are stored.",
        "set primary_key or data_selector to fit the rows, then: tidegate poll {name}",
    ),
    "duplicate_keys": FindingCode(
        WARNING,
        "key not unique",
        "Different rows of the list have the same key. One of them is the record; the others are ignored.",
        'make primary_key a list of the fields that tell rows apart, such as ["id", "location"]',
    ),
    "version_opaque": FindingCode(
        NOTICE,
        "versions without an order",
        "The versions are neither numbers nor times, so they cannot be put in order. The later read wins.",
        "nothing, if the source has no better field; else set version, or version_kind of the resource",
    ),
    "version_missing": FindingCode(
        WARNING,
        "version missing",
        "Rows have no value at `version`, so they are compared by their content.",
        "set version to a field that every row has, or remove it",
    ),
    "cursor_missing": FindingCode(
        WARNING,
        "cursor missing",
        "Rows have no value at incremental.cursor_path, so the cursor does not follow them.",
        'name fallbacks, such as cursor_path = ["updated_at", "created_at"]',
    ),
    "fetch_back_failed": FindingCode(
        WARNING,
        "fetch-back failed",
        "A single item could not be fetched or read, so what a webhook announced waits for the next poll.",
        "check item_path, item_selector and primary_key against the answer: tidegate pull {name} KEY",
    ),
    "version_went_back": FindingCode(
        WARNING,
        "version went back",
        "A record came with a lower version and other content. It is held until the source confirms it.",
        'nothing: the next poll or a fetch-back decides; set version_kind = "opaque" if lower versions are normal here',
    ),
    "version_not_ordered": FindingCode(
        WARNING,
        "version not in order",
        "The source confirmed an update with a lower version, so the update was taken.",
        'set version_kind = "opaque", or set version to a field that grows',
    ),
    "seen_after_delete": FindingCode(
        NOTICE,
        "listed after its delete",
        "A record that a webhook deleted is still in the list. It is held as deleted until it changes.",
        "nothing: lists lag behind webhooks; it counts as created again after 15 minutes",
    ),
    "copies_not_held": FindingCode(
        WARNING,
        "copies not held",
        "More records contradict their versions than are held, so some copies were ignored.",
        'set version_kind = "opaque", or set version to a field that grows',
    ),
    "shapes_differ": FindingCode(
        NOTICE,
        "two notations",
        "A webhook and the list write the same record in different ways. Fields that both have are compared by value.",
        "nothing; with item_path and no version, a webhook is only a hint, and records have the list's fields",
    ),
    "paginator_found": FindingCode(
        NOTICE,
        "paginator found",
        'The resource has paginator = { type = "auto" }; the first page showed which one fits.',
        "copy the line into the resource, so that a change of the source does not change how pages are found",
    ),
    "row_order_broken": FindingCode(
        WARNING,
        "rows in another order",
        'The resource has row_order = "desc", and rows came in another order, so each poll reads the whole list.',
        "sort the list by the cursor, newest first, with a parameter of the source; or remove row_order",
    ),
    "parent_failed": FindingCode(
        WARNING,
        "parent without a list",
        "The source has no list for a parent record, or the parent lacks a field of `parent.with`. Others are read.",
        "check path and parent of the resource; a parent that was deleted at the source needs deletes on the parent",
    ),
    "parents_without_cursor": FindingCode(
        NOTICE,
        "too many parents for cursors",
        "There are more parents than cursors are kept for. The lists of the others are read in full by each poll.",
        "poll less often, or ask for all children by one list, if the source has one",
    ),
    "sync_token_missing": FindingCode(
        WARNING,
        "no sync token",
        "The last page has nothing at token_path or link_path, so the next poll asks from the same place again.",
        "look at the last page: tidegate pull {name}, then correct token_path or link_path",
    ),
    "page_end_unclear": FindingCode(
        WARNING,
        "end of the list unclear",
        "Signs for the end of the list contradict each other, so the run may not have read all of it.",
        "check the paginator of the resource: total_path, has_more_path, max_pages, and the parameter names",
    ),
    "pages_not_read": FindingCode(
        WARNING,
        "pages not read",
        "The only page that was read has a sign of a next page. Records of the other pages are not found.",
        "copy the paginator that the sample names into the resource; or ask for fewer rows, so that one page has all",
    ),
    "partial_page": FindingCode(
        WARNING,
        "errors beside the rows",
        "The source answered rows and errors together, so rows may be missing. Nothing counts as deleted in that run.",
        "correct what the source complains about; to make such an answer a failed poll, set error_path on the resource",
    ),
    "place_lost": FindingCode(
        NOTICE,
        "page lost",
        "The source does not know the page where the last run stopped, so the run began again.",
        "nothing; a higher `rate` or a larger page lets one run reach the end",
    ),
    "cursor_expired": FindingCode(
        NOTICE,
        "cursor expired",
        "The source does not accept the cursor any more, so the whole list was read and compared.",
        "nothing",
    ),
    "cursor_clamped": FindingCode(
        WARNING,
        "cursor in the future",
        "A row has a cursor after the source's own time. The cursor of the resource stays at the present.",
        "correct the row at the source; until then some rows are read again by every poll",
    ),
    "cursor_unclear": FindingCode(
        NOTICE,
        "cursor unclear",
        "The only cursor seen may be a time in the future or a counter, so it was not used yet.",
        "set incremental.format of the resource: epoch_s, epoch_ms, or text for a counter",
    ),
    "lag_ignored": FindingCode(
        WARNING,
        "lag ignored",
        "`lag` cannot be subtracted from cursors of this format, so polls start at the cursor.",
        "set incremental.format of the resource, or remove lag",
    ),
    "list_never_seen": FindingCode(
        WARNING,
        "list never seen",
        "The answers of the source never had a list at data_selector. They count as empty lists.",
        "if the answer has the list elsewhere, set data_selector; look at it: tidegate pull {name}",
    ),
    "snapshot_empty": FindingCode(
        NOTICE,
        "no records yet",
        "No poll has found a record yet. The first one that does makes the snapshot, and no events.",
        'nothing; set initial = "events" if the first records shall make events',
    ),
    "deletes_stopped": FindingCode(
        ERROR,
        "deletes stopped",
        "A scan missed more records than max_ratio allows, so nothing was deleted.",
        "look at the source; if the records are gone: tidegate poll {name} --accept-deletes",
    ),
    "deletes_unconfirmed": FindingCode(
        WARNING,
        "deletes not confirmed",
        "The source did not answer for missing records, so it is not known whether they were deleted.",
        "check item_path; for an answer that means deleted, set gone (such as [404, 410, 403]) or gone_path",
    ),
    "unlisted_records": FindingCode(
        NOTICE,
        "records not listed",
        "The source has records that it does not list. They stay records, and each scan asks for them again.",
        "nothing, if they are archived or hidden",
    ),
    "webhooks_skipped": FindingCode(
        WARNING,
        "webhooks skipped",
        "Webhooks of the source had no record that could be read.",
        "correct webhook.record and webhook.key of the resource",
    ),
    "rate_limit_cut": FindingCode(
        WARNING,
        "rate limit cut",
        "The source asked to wait for longer than a day. Tidegate waits a day.",
        "check the rate limit headers of the source",
    ),
    "rate_limit_long": FindingCode(
        NOTICE,
        "long rate limit",
        "The source asked to wait for longer than an hour.",
        "wait, or set a lower `rate` so that the quota lasts",
    ),
    "rate_limit_unreadable": FindingCode(
        WARNING,
        "rate limit unreadable",
        "A rate limit header of the source is not plausible and was ignored.",
        "set `rate` of the source to its documented limit",
    ),
}
