"""All recommendations at once, as a person reads them before they are applied: what changes, by whom, and what is left.

Owns which of them a button applies (the API owns the source and nothing is missing), which are lines of the file, which
need a person, and the digest of what was read. Pure: advice in, lists out. Nothing is cut without its number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from tidegate.dashboard.comparison.cards import Line, line_of
from tidegate.dashboard.comparison.subject import STAYS
from tidegate.query.schemas import AdviceSchema

MOST = 30  # of each list on one page, and so applied with one button


class Change(Struct, kw_only=True):
    """What one recommendation changes. `needs`: what a person has to do first, "" for nothing."""

    resource: str
    label: str
    lines: list[Line]
    settings: dict[str, Any]
    needs: str


class Everything(Struct, kw_only=True):
    """`left`: how many of each list are not on the page. `digest`: of what the button applies."""

    ready: list[Change]
    file: list[Change]
    person: list[Change]
    undoable: list[str]
    left: dict[str, int]
    waiting: int  # resources without enough data
    digest: str
    undo_digest: str


def everything(advised: Sequence[AdviceSchema]) -> Everything:
    ready: list[Change] = []
    file: list[Change] = []
    person: list[Change] = []
    for one in advised:
        if one.apply is None or one.recommendation in STAYS:
            continue
        group = person if not one.apply.ready else ready if one.apply.owner == "api" else file
        group.append(_change(one))
    undoable = [one.resource for one in advised if one.undo]
    sizes = {"ready": len(ready), "file": len(file), "person": len(person), "undoable": len(undoable)}
    return Everything(
        ready=ready[:MOST],
        file=file[:MOST],
        person=person[:MOST],
        undoable=undoable[:MOST],
        left={name: max(0, size - MOST) for name, size in sizes.items()},
        waiting=sum(one.recommendation == "not_enough_data" for one in advised),
        digest=digest([(one.resource, one.settings) for one in ready[:MOST]]),
        undo_digest=digest(undoable[:MOST]),
    )


def digest(what: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(what, order="deterministic")).hexdigest()[:16]


def _change(one: AdviceSchema) -> Change:
    assert one.apply is not None
    return Change(
        resource=one.resource,
        label=one.label,
        lines=[line_of(text) for text in one.apply.toml],
        settings={setting.key: setting.after for setting in one.apply.settings},
        needs=one.apply.needs,
    )
