"""What one provider file offers, in short: for `tidegate providers` and the reference page.

Owns the words for pages, cursors, deletes and limits. Pure. Crash: nothing is kept.
"""

from __future__ import annotations

import tomllib

import msgspec

from tidegate.core.spec import Operation
from tidegate.providers import provider_text
from tidegate.providers.api import ApiFile, ProviderResource, api_file
from tidegate.rules.sync.spec import Incremental

TESTED = {
    "program": "the real program ran in the tests",
    "double": "a double made from its documentation",
    "nothing": "nothing: written from its documentation",
}


class ResourceSummary(msgspec.Struct, frozen=True):
    name: str
    description: str
    pages: str
    cursor: str
    deletes: str
    webhook: list[str]  # event types that update it
    needs: list[str]  # other resources that must be taken too


class OperationSummary(msgspec.Struct, frozen=True):
    name: str
    description: str
    request: str
    once: str  # what keeps it from acting twice; "" when nothing does


class ProviderSummary(msgspec.Struct, frozen=True):
    """`can`: receive, poll, call. The lists are empty without an API half."""

    name: str
    title: str
    can: list[str]
    docs: str = ""
    auth: list[str] = []
    limits: str = ""
    resources: list[ResourceSummary] = []
    operations: list[OperationSummary] = []
    tested: str = ""  # program, double or nothing
    tested_with: str = ""  # the same in words
    unconfirmed: list[str] = []
    sources: list[str] = []


def summary(name: str) -> ProviderSummary:
    """Of one provider. ConfigError when the name is unknown."""
    return summary_of(name, provider_text(name))


def summary_of(name: str, text: str) -> ProviderSummary:
    """Of the text of a file that was checked."""
    data = tomllib.loads(text)
    file = api_file(data)
    can = ["receive"] if "webhook" in data else []
    can += ["poll"] if file.resources else []
    can += ["call"] if file.operations else []
    title = str(data.get("title") or name)
    if file.api is None:
        return ProviderSummary(name, title, can)
    api = file.api
    return ProviderSummary(
        name,
        title,
        can,
        api.docs,
        list(api.auth),
        api.limits_help or api.rate or "none that is known",
        [_resource(key, one) for key, one in file.resources.items()],
        [_operation(key, one) for key, one in file.operations.items()],
        api.tested_with,
        TESTED[api.tested_with],
        api.unconfirmed,
        api.sources,
    )


def needed(file: ApiFile, names: list[str]) -> list[str]:
    """The resources of `names` with those that they cannot do without, in the order of the file."""
    wanted = set(names)
    while more := {other for name in wanted for other in _needs(file.resources[name])} - wanted:
        wanted |= more
    return [name for name in file.resources if name in wanted]


def _needs(resource: ProviderResource) -> list[str]:
    parent = [resource.parent.resource] if resource.parent is not None else []
    return parent + ([resource.deletes.resource] if resource.deletes.resource else [])


def _resource(name: str, one: ProviderResource) -> ResourceSummary:
    types = one.webhook.types if one.webhook is not None else []
    pages = str(one.paginator.__struct_config__.tag).replace("_", " ")
    return ResourceSummary(name, one.description, pages, _cursor(one.incremental), _deletes(one), types, _needs(one))


def _cursor(rule: Incremental | None) -> str:
    if rule is None:
        return "none: compared as a whole"
    if rule.token_path:
        return f"the token {rule.token_path}"
    if rule.link_path:
        return f"the link {rule.link_path}"
    path = rule.cursor_path if isinstance(rule.cursor_path, str) else " or ".join(rule.cursor_path)
    order = {"asc": "oldest first", "desc": "newest first"}.get(rule.row_order, "in any order")
    edge = ", exclusive" if rule.exclusive else ""
    return f"{path}, {order}{edge}"


def _deletes(one: ProviderResource) -> str:
    rule = one.deletes
    return {
        "none": "not seen" if one.webhook is None or not one.webhook.deleted_types else "by webhook",
        "scan": f"a scan each {rule.every}",
        "flag": f"the field {rule.path}",
        "feed": f"the list {rule.resource}",
        "in_band": f"rows with {rule.path}",
    }[rule.mode]


def _operation(name: str, one: Operation) -> OperationSummary:
    once = f"the header {one.idempotency_header}" if one.idempotency_header else ""
    if one.look_up is not None:
        once = once or "a look-up"
    return OperationSummary(name, one.description, f"{one.method} {one.path}", once)
