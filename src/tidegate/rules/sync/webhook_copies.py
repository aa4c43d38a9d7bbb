"""Turns a webhook of the source into a copy of a record. Pure.

Owns `[sources.S.resources.R.webhook]`: which event types carry a record of the resource, where the record is in the
data of the event, and which types are deletes; and `deletes = { mode = "feed" }`: the changes of another resource that
name deleted records. Knows no log. Invariant: a resource never reads its own change events, since that would update the
records with their own output.
"""

from __future__ import annotations

from tidegate.core.model import Event, JsonObject, Origin
from tidegate.rules.language.patterns import compile_types
from tidegate.rules.sync.canonical import parse_json
from tidegate.rules.sync.changes import Copy, make_copy
from tidegate.rules.sync.items import field, record_key, record_version
from tidegate.rules.sync.spec import Deletes, Resource, WebhookFeed


class WebhookRule:
    """A resource's `webhook` with its types compiled. ConfigError for a type pattern that is not valid."""

    def __init__(self, places: WebhookFeed) -> None:
        self.places = places
        self._matches = compile_types([*places.types, *places.deleted_types])
        self._deletes = compile_types(places.deleted_types)

    def matches(self, event: Event) -> bool:
        """Whether an event of the source carries a record of the resource."""
        return not event.change and self._matches(event.type)

    def deletes(self, event: Event) -> bool:
        """Whether it says that the record was deleted."""
        return self._deletes(event.type)


def copy_of(rule: WebhookRule, resource: Resource, event: Event) -> Copy:
    """The copy in an event. ValueError when it has no JSON or no key."""
    places = rule.places
    record = field(field(parse_json(event.body), event.data_path), places.record)
    key = record_key(record, places.key) or (event.key if isinstance(places.key, str) else None)
    if not key:
        raise ValueError(f"no key at {places.key!r} of {places.record or 'the data'!r}")
    deleted = rule.deletes(event)
    if not isinstance(record, dict):
        if not deleted:
            raise ValueError(f"no record at {places.record or 'the data'!r}")
        record = None
    else:
        record = {**_parent_fields(record, places, resource), **record}
    return make_copy(
        key,
        record,
        ignore=resource.ignore,
        version=record_version(record, places.version or resource.version),
        origin=Origin.WEBHOOK,
        asked_at_us=event.received_at_us,
        answered_at_us=event.received_at_us,
        deleted=deleted,
        pushed=True,
    )


def _parent_fields(record: JsonObject, places: WebhookFeed, resource: Resource) -> JsonObject:
    """The fields of the key that rows get from their parent: a webhook has them at a place of its own."""
    if resource.parent is None or isinstance(places.key, str) or isinstance(resource.primary_key, str):
        return {}
    begins = f"_{resource.parent.resource}_"
    pairs = zip(resource.primary_key, places.key, strict=False)
    return {name: str(field(record, path)) for name, path in pairs if name.startswith(begins)}


class FeedRule:
    """A resource's `deletes` with `mode = "feed"`: each new row of the other resource is a delete of this one."""

    def __init__(self, deletes: Deletes) -> None:
        self._types = (f"{deletes.resource}.created", f"{deletes.resource}.updated")
        self._id_path = deletes.id_path

    def matches(self, event: Event) -> bool:
        """Whether an event of the source is a new row of the feed."""
        return bool(event.change) and event.type in self._types

    def copy_of(self, event: Event) -> Copy:
        """The delete in an event. ValueError when it has no key."""
        key = record_key(parse_json(event.body), self._id_path)
        if not key:
            raise ValueError(f"no key at id_path {self._id_path!r}")
        return make_copy(
            key,
            None,
            ignore=(),
            version=None,
            origin=event.origin,
            asked_at_us=event.received_at_us,
            answered_at_us=event.received_at_us,
            deleted=True,
            pushed=True,
        )
