"""The store: one durable log and everything that reads it, as ten protocols of domain operations.

`log`, `deliveries`, `records`, `settings`, `credentials`, `operations`, `rollups`, `budgets`, `conflicts` and `leases`
each hold one protocol and its shapes. Engines import from this file only; `sqlite/` and `postgres/` implement the
protocols and pass `tests/conformance/`. The store knows no HTTP, no routes and no filters.
"""

from __future__ import annotations

from tidegate.store.budgets import Budgets
from tidegate.store.conflicts import Conflicts, OtherChange, Side, StoredConflict
from tidegate.store.credentials import Credentials, SealedToken
from tidegate.store.deliveries import Counters, Deliveries, Replay, Settlement, Standing
from tidegate.store.facts import PostgresFacts, SqliteFacts, StoreFacts
from tidegate.store.leases import (
    FOREVER_US,
    PARTITIONS,
    Holder,
    Leases,
    Node,
    partition_of,
    partition_of_name,
)
from tidegate.store.log import EventHead, EventPage, EventQuery, Listener, Log, Receipt, Thinned, Weighed
from tidegate.store.operations import ANSWERED, DELETES, MERGED, SENT, Operations, PendingWrite, StoredCall
from tidegate.store.records import RecordCommit, Records, ResourceState
from tidegate.store.rollups import HOURS_KEPT, MINUTES_KEPT, Rollups
from tidegate.store.settings import ApiKey, Feed, FeedAck, Item, Rejection, Settings
from tidegate.store.store import Store

__all__ = [
    "ANSWERED",
    "DELETES",
    "FOREVER_US",
    "HOURS_KEPT",
    "MERGED",
    "MINUTES_KEPT",
    "PARTITIONS",
    "SENT",
    "ApiKey",
    "Budgets",
    "Conflicts",
    "Counters",
    "Credentials",
    "Deliveries",
    "EventHead",
    "EventPage",
    "EventQuery",
    "Feed",
    "FeedAck",
    "Holder",
    "Item",
    "Leases",
    "Listener",
    "Log",
    "Node",
    "Operations",
    "OtherChange",
    "PendingWrite",
    "PostgresFacts",
    "Receipt",
    "RecordCommit",
    "Records",
    "Rejection",
    "Replay",
    "ResourceState",
    "Rollups",
    "SealedToken",
    "Settings",
    "Settlement",
    "Side",
    "SqliteFacts",
    "Standing",
    "Store",
    "StoreFacts",
    "StoredCall",
    "StoredConflict",
    "Thinned",
    "Weighed",
    "partition_of",
    "partition_of_name",
]
