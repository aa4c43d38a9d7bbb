"""The two parts of a resource with `shadow`: the one that makes its records, and the one that only measures. Pure.

Owns their names and their configuration. The part that measures is a resource of its own beside the other one, with
records of its own, so neither can change what the other knows. Its name has a `~`, which no name that a user writes
has.
"""

from __future__ import annotations

import msgspec

from tidegate.rules.sync.canonical import hash_bytes
from tidegate.rules.sync.spec import Deletes, Resource, Shadow

_SUFFIX = "~shadow"


def main_of(resource: Resource) -> Resource:
    """The part that makes records and events: all of it, except a webhook that only measures."""
    if resource.shadow is not None and resource.shadow.way == "webhook":
        return msgspec.structs.replace(resource, webhook=None)
    return resource


def shadow_of(resource: Resource) -> Resource | None:
    """The part that only measures; None without one."""
    shadow = resource.shadow
    if shadow is None:
        return None
    plain = msgspec.structs.replace(resource, poll=None, schedule="", reconcile=None, initial="snapshot")
    if shadow.way == "webhook":
        return msgspec.structs.replace(plain, deletes=Deletes(), incremental=None)
    return msgspec.structs.replace(plain, webhook=None, poll=shadow.poll)


def tag_of(rule: Shadow) -> str:
    """What the figures of a comparison belong to: another configuration of `shadow` begins another one."""
    return hash_bytes(msgspec.json.encode(rule)).hex()[:16]


def shadow_name(resource: str) -> str:
    return resource + _SUFFIX


def main_name(resource: str) -> str:
    return resource.removesuffix(_SUFFIX)


def is_shadow(name: str) -> bool:
    """Whether a resource, or SOURCE/RESOURCE, is the part that measures."""
    return name.endswith(_SUFFIX)
