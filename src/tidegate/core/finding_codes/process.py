"""Findings about the store, the nodes and the process.

Rows of the table in `tidegate.core.finding_codes`: code -> severity, label, meaning, remedy. Pure data.
"""

from __future__ import annotations

from tidegate.core.finding_codes.shape import ERROR, NOTICE, WARNING, FindingCode

PROCESS: dict[str, FindingCode] = {
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
    "events_over_capacity": FindingCode(
        WARNING,
        "over capacity",
        "More events came than the store writes in time, so new events of this source were answered 503 at once. Their"
        " senders send them again.",
        "check the disk or the database, or have less sent at once: tidegate doctor",
    ),
    "source_floods": FindingCode(
        NOTICE,
        "takes turns",
        "The source sends more than 500 requests a second while others send too, so its requests wait for their turn."
        " Others are answered nearly as fast as without it. When 2,000 wait, more are answered 503.",
        "nothing has to be done; look at {name} if you did not expect so much from it: tidegate stats",
    ),
    "source_over_share": FindingCode(
        ERROR,
        "over its share",
        "The log is as large as `size` of [retention] allows, with events whose deliveries are pending, or what is kept"
        " apart for destinations that take nothing is as large as `backlog` allows. This source sent more than its"
        " share, so its new events are answered 429.",
        "resume or delete the destination that holds its deliveries, or raise `size` or `backlog` of [retention]",
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
}
