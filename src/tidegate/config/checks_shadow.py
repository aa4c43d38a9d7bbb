"""What a resource needs to run both ways at once (`shadow`). Adds to `Problems`. Pure."""

from __future__ import annotations

from tidegate.config.lines import Path
from tidegate.config.spec import Source
from tidegate.config.validate import DAY, MINUTE, SECOND, Validator
from tidegate.rules.sync.spec import Resource


def check_shadow(validator: Validator, path: Path, resource: Resource, source: Source) -> None:
    rule = resource.shadow
    assert rule is not None
    validator.duration((*path, "duration"), rule.duration, MINUTE, 30 * DAY)
    validator.duration((*path, "wait"), rule.wait, SECOND, 7 * DAY)
    validator.duration((*path, "poll"), rule.poll, SECOND, DAY)
    if source.api is None:
        validator.add(path, "'shadow' polls, and the source has no API", "add [sources.NAME.api]")
    if resource.webhook is None or (source.webhook is None and source.publish is None):
        hint = "add webhook = { types = [...] } to the resource, and [sources.NAME.webhook]"
        validator.add(path, "'shadow' compares polls with webhooks, and this resource has no webhook", hint)
    if not resource.version:
        hint = 'version = "updated_at": what tells two states of a record apart'
        validator.add(path, "'shadow' knows a change by the version of its record, and the resource has none", hint)
    if rule.way == "webhook" and not resource.polls:
        text = "way = 'webhook' measures webhooks beside polls, and the resource is not polled"
        validator.add((*path, "way"), text, 'add poll = "5m", or way = "poll"')
    if rule.way == "webhook" and resource.reconcile is not None:
        text = "'reconcile' heals webhooks, and with way = 'webhook' they only measure"
        validator.add((*path, "way"), text, "remove reconcile until the webhook updates the records")
    if rule.way == "poll" and resource.polls:
        text = "way = 'poll' measures polls beside webhooks, and the resource is polled already"
        validator.add((*path, "way"), text, 'way = "webhook", or remove poll and schedule')
