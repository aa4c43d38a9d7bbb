"""Findings about credentials and destinations.

Rows of the table in `tidegate.core.finding_codes`: code -> severity, label, meaning, remedy. Pure data.
"""

from __future__ import annotations

from tidegate.core.finding_codes.shape import ERROR, NOTICE, WARNING, FindingCode

DELIVERIES: dict[str, FindingCode] = {
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
    "certificate_expiring": FindingCode(
        WARNING,
        "certificate expires",
        "A client certificate or an authority (`ca`) ends within 30 days. Connections fail from then on.",
        "put the new certificate into its file or variable, then: tidegate config apply",
    ),
    "certificate_expired": FindingCode(
        ERROR,
        "certificate expired",
        "A client certificate or every authority in `ca` has expired, so connections that use it fail.",
        "put a new certificate into its file or variable, then: tidegate config apply",
    ),
    "credential_capture": FindingCode(
        WARNING,
        "captured value is missing",
        "The answer of the token service, or the redirect of the consent, lacks a field that `capture` names. Requests "
        "that need it are not sent.",
        "compare capture of the credential with what the provider answers, then sign in again",
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
        "holds much of the log",
        "The log is larger than `size` of [retention] allows, and this destination is owed more than its part of it."
        " What only such destinations are owed is kept apart, up to `backlog`. Then the sources that sent most of it"
        " are answered 429.",
        "tidegate resume {name}, or delete the destination, or raise `backlog` of [retention]",
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
}
