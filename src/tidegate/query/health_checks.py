"""What `doctor` says of the store and the nodes: settings of the server that cost safety, connections that will not do.

Pure: from the facts that the store tells of itself. An entry is `failing` when a promise rests on it (doctor ends with
exit 1 then), `waiting` when it is only worth knowing. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tidegate.query.health import Trouble
from tidegate.store import PARTITIONS, Node

SESSIONS_BESIDE_POOL = 2  # the node's own, and one that looks whether the server is back
RESERVED = 3  # superuser_reserved_connections
LEAST_FREE_BYTES = 512 << 20
FULL = 2  # PRAGMA synchronous

_MUST_BE_ON = {
    "fsync": "a crash of the server's machine can lose or damage what was acknowledged",
    "full_page_writes": "a crash of the server's machine can damage what is stored",
    "autovacuum": "tables that are written often grow without end",
}


def of_store(facts: dict[str, Any], nodes: Sequence[Node]) -> list[Trouble]:
    """`facts` as `Store.facts()` gives them."""
    if facts.get("kind") == "postgresql":
        return [
            *_settings(facts),
            *_connections(facts, len(nodes)),
            *_standby(facts),
            *_clock(facts),
            *_partitions(nodes),
        ]
    return list(_embedded(facts))


def away(message: str) -> Trouble:
    """The store cannot be asked."""
    hint = "is the server running, and can this machine reach it? The gateway goes on by itself when it answers"
    return _of("store", "failing", "not answering", message, hint)


def _settings(facts: dict[str, Any]) -> list[Trouble]:
    found = []
    for name, what in _MUST_BE_ON.items():
        if facts[name] != "on":
            hint = f"ALTER SYSTEM SET {name} = on; then SELECT pg_reload_conf()"
            found.append(_of(name, "failing", f"is {facts[name]}", what, hint))
    if facts["synchronous_commit"] in ("off", "local"):
        what = "an answer 2xx may come before the event is on disk everywhere it should be"
        hint = "let nobody set it for our sessions: Tidegate asks for `on`"
        found.append(_of("synchronous_commit", "failing", f"is {facts['synchronous_commit']}", what, hint))
    return found


def _connections(facts: dict[str, Any], nodes: int) -> list[Trouble]:
    needed = nodes * (facts["pool_size"] + SESSIONS_BESIDE_POOL) + RESERVED
    if facts["max_connections"] >= needed:
        return []
    what = f"{nodes} nodes may need {needed} connections ({facts['pool_size']} and {SESSIONS_BESIDE_POOL} each)"
    hint = f"ALTER SYSTEM SET max_connections = {needed + RESERVED}; then restart the server"
    return [_of("max_connections", "failing", f"is {facts['max_connections']}", what, hint)]


def _standby(facts: dict[str, Any]) -> list[Trouble]:
    if not facts["standbys"] or facts["synchronous_standby_names"]:
        return []
    what = "a standby follows behind: when it is promoted, what was acknowledged last may be missing"
    hint = "ALTER SYSTEM SET synchronous_standby_names = '*' (appends wait for it then), or accept it"
    return [_of("synchronous_standby_names", "waiting", "is empty", what, hint)]


def _clock(facts: dict[str, Any]) -> list[Trouble]:
    """A correction is made only of what is off by more than a second."""
    ahead = facts["clock_ahead_seconds"]
    if not ahead:
        return []
    word = f"{abs(ahead):.0f} s {'ahead' if ahead > 0 else 'behind'}"
    what = (
        "this machine's clock, against the database server's: this node goes by the server's, so one of them is wrong"
    )
    return [
        _of(
            "clock",
            "waiting",
            word,
            what,
            "keep the clock of both machines by a time service: chrony, or systemd-timesyncd",
        )
    ]


def _partitions(nodes: Sequence[Node]) -> list[Trouble]:
    free = PARTITIONS - sum(node.partitions for node in nodes)
    if free <= 0:
        return []
    what = f"{free} of {PARTITIONS} shares are held by no living node"
    return [
        _of("partitions", "waiting", "on their way", what, "look again in five seconds: nodes take them by themselves")
    ]


def _embedded(facts: dict[str, Any]) -> list[Trouble]:
    found = []
    if facts["synchronous"] < FULL:
        what = "an answer 2xx may come before the event is on disk"
        hint = "restart this gateway: it sets PRAGMA synchronous = FULL"
        found.append(_of("synchronous", "failing", f"is {facts['synchronous']}", what, hint))
    if facts["free_bytes"] < LEAST_FREE_BYTES:
        what = f"{facts['free_bytes'] >> 20} MiB are free on the disk; a full one accepts nothing"
        found.append(_of("disk", "failing", "nearly full", what, "make room, or lower [retention] size"))
    return found


def _of(name: str, state: str, word: str, what: str, hint: str) -> Trouble:
    return Trouble(kind="store", name=name, state=state, word=word, what=what, hint=hint)
