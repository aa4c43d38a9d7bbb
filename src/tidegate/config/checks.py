"""Checks what the structs cannot express: references between items, keys that exclude each other, ranges.

Owns the checks of a whole `Config` and of a single item from the API. It compiles filters, templates and transforms
only to find their errors. May not know the store. Pure, except that it reads the provider files of the package.
Invariant: a configuration that passes can be applied without an error. Crash: nothing is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import UNSET

from tidegate.config.checks_alerts import check_alerts, check_name
from tidegate.config.checks_connection import check_connection, proxy_target, unreachable_reason
from tidegate.config.checks_credential import check_credential, check_credential_references
from tidegate.config.checks_operation import check_operation_references, check_preferred_sources
from tidegate.config.checks_routes import check_routes
from tidegate.config.checks_source import check_source
from tidegate.config.lines import Path
from tidegate.config.problems import Problems, nearest
from tidegate.config.spec import Config, Credential, Source
from tidegate.config.validate import DAY, MILLISECOND, MINUTE, SECOND, Validator
from tidegate.core import clock, units
from tidegate.core.errors import ConfigError
from tidegate.core.model import SYSTEM_SOURCE
from tidegate.core.spec import CustomScheme, Destination, Route
from tidegate.kinds import kind_of
from tidegate.rules.outbound.addresses import Target
from tidegate.rules.outbound.retry_on import parse_retry_on
from tidegate.rules.sync.base_urls import captured_names

MAX_RETRIES = 100
_NONE: Mapping[str, Sequence[str]] = {}
MIN_STORE_BYTES = 16 << 20


def check_config(config: Config, problems: Problems, rejected: Mapping[str, Sequence[str]] = _NONE) -> None:
    """Check a whole configuration: settings, items and references.

    `rejected`: by table, the names of items that the file has and `config` lacks, because they have errors already.
    """
    validator = Validator(problems)
    _settings(validator, config)
    for name, credential in config.credentials.items():
        check_credential(validator, ("credentials", name), credential)
    check_alerts(validator, config.alerts, [*config.sources, *rejected.get("sources", ())])
    for name, source in config.sources.items():
        check_name(validator, ("sources", name), name)
        check_source(validator, ("sources", name), source, config.gateway.public_url)
    for name, destination in config.destinations.items():
        _destination(validator, ("destinations", name), destination)
    for name, route in config.routes.items():
        _route(validator, ("routes", name), route)
    _references(validator, config, rejected)
    _reachable(validator, config)


def check_item(kind: str, name: str, item: Credential | Source | Destination | Route, problems: Problems) -> None:
    """Check one item by itself, without references. `kind` is credential, source, destination or route; paths start at
    `$`.
    """
    validator = Validator(problems)
    if isinstance(item, Credential):
        check_credential(validator, (), item)
    elif isinstance(item, Source):
        check_name(validator, (), name)
        check_source(validator, (), item, None)
    elif isinstance(item, Destination):
        _destination(validator, (), item)
    else:
        _route(validator, (), item)


def _reachable(validator: Validator, config: Config) -> None:
    """Warn about addresses in the file that `allow` does not cover, because every request to them is blocked."""
    from tidegate.rules.outbound import addresses

    called: dict[Path, str] = {
        ("destinations", name, "url"): address
        for name, one in config.destinations.items()
        if (address := kind_of(one).address(one))
    }
    called |= {
        ("sources", name, "api", "base_url"): one.api.base_url
        for name, one in config.sources.items()
        if one.api and not captured_names(one.api.base_url)
    }
    try:
        allow = addresses.parse_allow(config.egress.allow)
        targets = {path: addresses.parse_target(url, addresses.ALL) for path, url in called.items()}
    except ConfigError:
        return  # reported at its own path
    proxies: dict[Path, Target | None] = {
        ("destinations", name, "proxy"): proxy_target(one.proxy) for name, one in config.destinations.items()
    }
    proxies |= {
        ("sources", name, "api", "proxy"): proxy_target(one.api.proxy)
        for name, one in config.sources.items()
        if one.api
    }
    targets |= {path: target for path, target in proxies.items() if target is not None}
    for path, target in targets.items():
        kind = unreachable_reason(target, allow)
        if kind is not None:
            validator.problems.warn(path, f"requests to this {kind} address are blocked; add it to `allow` in [egress]")


# -- the gateway's own settings --------------------------------------------------------------------------


def _settings(validator: Validator, config: Config) -> None:
    from tidegate.rules.inbound.senders import parse_networks
    from tidegate.rules.outbound.addresses import parse_allow

    if config.gateway.public_url:
        validator.url(("gateway", "public_url"), config.gateway.public_url, bare=True)
    validator.compiled(("gateway", "trusted_proxies"), parse_networks, config.gateway.trusted_proxies)
    for name, source in config.sources.items():
        scheme = source.webhook.verify if source.webhook is not None else ""
        if isinstance(scheme, CustomScheme) and scheme.type == "mtls" and not config.gateway.trusted_proxies:
            message = "the subject of a client certificate comes from a proxy, and no proxy is trusted"
            place: Path = ("sources", name, "webhook", "verify")
            validator.add(place, message, "set trusted_proxies in [gateway] to the network of the proxy")
    for number, host in enumerate(config.gateway.allowed_hosts):
        if not host or "/" in host or " " in host:
            validator.add(
                ("gateway", "allowed_hosts", number), f"{host!r} is not a host name", "write it without scheme and path"
            )
    for number, entry in enumerate(config.egress.allow):
        validator.compiled(("egress", "allow", number), parse_allow, [entry])
    at: Path = ("retention",)
    validator.duration((*at, "events"), config.retention.events, MINUTE, 3650 * DAY)
    validator.duration((*at, "dedupe"), config.retention.dedupe, MINUTE, 365 * DAY)
    if units.size_bytes(config.retention.size) < MIN_STORE_BYTES:
        shown = validator.problems.show((*at, "size"), config.retention.size)
        validator.add((*at, "size"), f"{shown} is out of range", "write 16MiB or more")


# -- destinations ----------------------------------------------------------------------------------------


def _destination(validator: Validator, path: Path, destination: Destination) -> None:
    from tidegate.rules.language.transforms import path_of

    kind_of(destination).check(validator, path, destination)
    validator.duration((*path, "timeout"), destination.timeout, 100 * MILLISECOND, 10 * MINUTE)
    validator.rate((*path, "rate"), destination.rate)
    validator.duration((*path, "retry_after_cap"), destination.retry_after_cap, SECOND, 7 * DAY)
    validator.duration((*path, "give_up_after"), destination.give_up_after, MINUTE, 365 * DAY)
    if len(destination.retry) > MAX_RETRIES:
        validator.add((*path, "retry"), f"{len(destination.retry)} waits are too many", f"write at most {MAX_RETRIES}")
    for number, wait in enumerate(destination.retry):
        validator.duration((*path, "retry", number), wait, MILLISECOND, 30 * DAY)
    validator.compiled((*path, "retry_on"), parse_retry_on, destination.retry_on)
    if destination.ordered_by:
        validator.compiled((*path, "ordered_by"), path_of, destination.ordered_by, "$.ordered_by")
    _start(validator, (*path, "start"), destination.start)
    keys = (destination.ca, destination.proxy)
    check_connection(
        validator, path, kind_of(destination).address(destination), keys, getattr(destination, "auth", None)
    )


def _start(validator: Validator, path: Path, start: str) -> None:
    if start in ("end", "beginning"):
        return
    try:
        clock.parse_instant(start)
    except ValueError:
        validator.add(
            path,
            f"{validator.problems.show(path, start)} is not 'end', 'beginning' or a time",
            'write a time as "2026-11-24T12:00:00Z"',
        )


# -- routes ----------------------------------------------------------------------------------------------


def _route(validator: Validator, path: Path, route: Route) -> None:
    from tidegate.rules.language.filters import compile_filter
    from tidegate.rules.language.patterns import compile_types
    from tidegate.rules.language.transforms import compile_transform

    for key, names in (("from", names_of(route.from_)), ("to", names_of(route.to))):
        if not names:
            validator.add((*path, key), f"'{key}' is empty", "write at least one name")
        for number, name in enumerate(names):
            if name in names[:number]:
                validator.add((*path, key, number), f"'{name}' is in the list twice", "remove one of them")
    for key, value in (("types", route.types), ("changes", route.changes)):
        if value is UNSET:
            continue
        if not value:
            validator.add((*path, key), f"the list '{key}' is empty, so nothing matches", "remove it, or add an entry")
    if route.types is not UNSET:
        validator.compiled((*path, "types"), compile_types, route.types)
    if route.filter:
        validator.compiled((*path, "filter"), compile_filter, route.filter, "$.filter", item=path)
    if route.transform is not None:
        validator.compiled((*path, "transform"), compile_transform, route.transform, item=path)


def names_of(value: str | list[str]) -> list[str]:
    """One name or a list of names, as a list."""
    return [value] if isinstance(value, str) else list(value)


def _references(validator: Validator, config: Config, rejected: Mapping[str, Sequence[str]]) -> None:
    known = [*config.sources, *rejected.get("sources", ()), SYSTEM_SOURCE]
    receivers = [*config.destinations, *rejected.get("destinations", ())]
    check_operation_references(validator, config, rejected.get("sources", ()))
    check_preferred_sources(validator, config)
    check_credential_references(validator, config, rejected.get("credentials", ()))
    for name, route in config.routes.items():
        path: Path = ("routes", name)
        sources = names_of(route.from_)
        if "*" in sources and len(sources) > 1:
            validator.add((*path, "from"), "the list has '*' and other names", 'write from = "*"')
        _exist(validator, (*path, "from"), [s for s in sources if s != "*"], known, "source")
        _exist(validator, (*path, "to"), names_of(route.to), receivers, "destination")
        if route.changes is not UNSET and not ("*" in sources and rejected.get("sources")):
            _changes_exist(validator, (*path, "changes"), route, config)
        _texts(validator, (*path, "to"), route, config)
    if not rejected.get("sources"):
        check_routes(validator, config)


def _texts(validator: Validator, path: Path, route: Route, config: Config) -> None:
    """A chat without `text` takes system events only."""
    if set(names_of(route.from_)) == {SYSTEM_SOURCE}:
        return
    for name in names_of(route.to):
        one = config.destinations.get(name)
        if one is not None and getattr(one, "text", None) == "" and hasattr(one, "alert_text"):
            validator.add(
                ("destinations", name, "text"),
                f"the destination '{name}' gets events of {', '.join(names_of(route.from_))} and has no text",
                'write text = "{{ type }} from {{ source }}"',
            )


def _exist(validator: Validator, path: Path, names: list[str], known: Sequence[str], what: str) -> None:
    for name in names:
        if name not in known:
            hint = nearest(name, known, what)
            if not known or known == [SYSTEM_SOURCE]:
                hint = f"add [{what}s.{name}]"
            validator.add(path, f"unknown {what} '{name}'", hint)


def _changes_exist(validator: Validator, path: Path, route: Route, config: Config) -> None:
    names = names_of(route.from_)
    if set(names) == {SYSTEM_SOURCE} or any(
        name not in ("*", SYSTEM_SOURCE) and name not in config.sources for name in names
    ):
        return  # reported already; its resources are not known
    sources = (
        list(config.sources.values()) if "*" in names else [config.sources[n] for n in names if n in config.sources]
    )
    known = {resource for source in sources for resource in source.resources}
    for number, name in enumerate(route.changes or []):
        if name not in known and name != "*":
            hint = (
                nearest(name, known, "resource")
                if known
                else f"add [sources.{names[0]}.resources.{name}]".replace("*", "NAME")
            )
            validator.add((*path, number), f"unknown resource '{name}' in {', '.join(names)}", hint)
