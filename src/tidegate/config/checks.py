"""What the structs cannot say: names that refer to something, keys that contradict each other, ranges.

Owns the judgement of a whole `Config` and of a single item that came by the API. It compiles filters, texts
and transforms only to learn whether they are right, and keeps nothing of it. Pure but for reading the
provider files that ship with the package. Invariant: what passes here can be put in force without a refusal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import UNSET

from tidegate.config.checks_source import check_source
from tidegate.config.lines import Path
from tidegate.config.problems import Problems, nearest
from tidegate.config.spec import Config, Source
from tidegate.config.validate import DAY, MILLISECOND, MINUTE, SECOND, Judge
from tidegate.core import clock, units
from tidegate.core.errors import ConfigError
from tidegate.core.spec import Destination, Route
from tidegate.kinds import kind_of

MAX_RETRIES = 100
_NONE: Mapping[str, Sequence[str]] = {}
MIN_STORE_BYTES = 16 << 20


def check_config(config: Config, problems: Problems, refused: Mapping[str, Sequence[str]] = _NONE) -> None:
    """Everything of a whole configuration, items and references.

    `refused`: names by their table of what the file has and `config` has not, because it was refused already.
    """
    judge = Judge(problems)
    _settings(judge, config)
    for name, source in config.sources.items():
        check_source(judge, ("sources", name), source, config.gateway.public_url)
    for name, destination in config.destinations.items():
        _destination(judge, ("destinations", name), destination)
    for name, route in config.routes.items():
        _route(judge, ("routes", name), route)
    _references(judge, config, refused)
    _reachable(judge, config)


def check_item(kind: str, name: str, item: Source | Destination | Route, problems: Problems) -> None:
    """One item by itself, `kind` = source, destination or route; paths start at `$`. Names are not looked up."""
    judge = Judge(problems)
    if isinstance(item, Source):
        check_source(judge, (), item, None)
    elif isinstance(item, Destination):
        _destination(judge, (), item)
    else:
        _route(judge, (), item)


def _reachable(judge: Judge, config: Config) -> None:
    """Warns of addresses that stand in the file and are not allowed: all that goes there would be blocked."""
    from tidegate.rules.outbound import addresses

    called: dict[Path, str] = {
        ("destinations", name, "url"): kind_of(one).address(one) for name, one in config.destinations.items()
    }
    called |= {
        ("sources", name, "api", "base_url"): one.api.base_url for name, one in config.sources.items() if one.api
    }
    try:
        allow = addresses.parse_allow(config.egress.allow)
        targets = {path: addresses.parse_target(url) for path, url in called.items()}
    except ConfigError:
        return  # refused where it stands
    for path, target in targets.items():
        host = "127.0.0.1" if target.host == "localhost" else target.host
        word = addresses.judge(host, target.port, allow, frozenset())
        if word not in (None, "not_an_address"):
            kind = str(word).replace("_", " ")
            judge.problems.warn(path, f"nothing goes to this {kind} address unless `allow` of [egress] has it")


# -- the gateway's own settings --------------------------------------------------------------------------


def _settings(judge: Judge, config: Config) -> None:
    from tidegate.rules.outbound.addresses import parse_allow

    if config.gateway.public_url:
        judge.url(("gateway", "public_url"), config.gateway.public_url, bare=True)
    for number, host in enumerate(config.gateway.allowed_hosts):
        if not host or "/" in host or " " in host:
            judge.add(
                ("gateway", "allowed_hosts", number), f"{host!r} is no host name", "write it without scheme and path"
            )
    for number, entry in enumerate(config.egress.allow):
        judge.compiled(("egress", "allow", number), parse_allow, [entry])
    at: Path = ("retention",)
    judge.duration((*at, "events"), config.retention.events, MINUTE, 3650 * DAY)
    judge.duration((*at, "dedupe"), config.retention.dedupe, MINUTE, 365 * DAY)
    if units.size_bytes(config.retention.size) < MIN_STORE_BYTES:
        shown = judge.problems.show((*at, "size"), config.retention.size)
        judge.add((*at, "size"), f"{shown} is out of range", "write 16MiB or more")


# -- destinations ----------------------------------------------------------------------------------------


def _destination(judge: Judge, path: Path, destination: Destination) -> None:
    from tidegate.rules.language.transforms import path_of

    kind_of(destination).check(judge, path, destination)
    judge.duration((*path, "timeout"), destination.timeout, 100 * MILLISECOND, 10 * MINUTE)
    judge.rate((*path, "rate"), destination.rate)
    judge.duration((*path, "retry_after_cap"), destination.retry_after_cap, SECOND, 7 * DAY)
    judge.duration((*path, "give_up_after"), destination.give_up_after, MINUTE, 365 * DAY)
    if len(destination.retry) > MAX_RETRIES:
        judge.add((*path, "retry"), f"{len(destination.retry)} waits are more than {MAX_RETRIES}", "write fewer")
    for number, wait in enumerate(destination.retry):
        judge.duration((*path, "retry", number), wait, MILLISECOND, 30 * DAY)
    if destination.ordered_by:
        judge.compiled((*path, "ordered_by"), path_of, destination.ordered_by, "$.ordered_by")
    _start(judge, (*path, "start"), destination.start)


def _start(judge: Judge, path: Path, start: str) -> None:
    if start in ("end", "beginning"):
        return
    try:
        clock.parse_instant(start)
    except ValueError:
        judge.add(
            path,
            f"{judge.problems.show(path, start)} is neither 'end', 'beginning' nor a time",
            'write a time as "2026-11-24T12:00:00Z"',
        )


# -- routes ----------------------------------------------------------------------------------------------


def _route(judge: Judge, path: Path, route: Route) -> None:
    from tidegate.rules.language.filters import compile_filter
    from tidegate.rules.language.patterns import compile_types
    from tidegate.rules.language.transforms import compile_transform

    for key, names in (("from", names_of(route.from_)), ("to", names_of(route.to))):
        if not names:
            judge.add((*path, key), f"'{key}' is empty", "name at least one")
        for number, name in enumerate(names):
            if name in names[:number]:
                judge.add((*path, key, number), f"'{name}' is named twice", "name it once")
    for key, value in (("types", route.types), ("changes", route.changes)):
        if value is UNSET:
            continue
        if not value:
            judge.add((*path, key), f"the list '{key}' is empty, so nothing would match", "leave it out, or name one")
    if route.types is not UNSET:
        judge.compiled((*path, "types"), compile_types, route.types)
    if route.filter:
        judge.compiled((*path, "filter"), compile_filter, route.filter, "$.filter", item=path)
    if route.transform is not None:
        judge.compiled((*path, "transform"), compile_transform, route.transform, item=path)


def names_of(value: str | list[str]) -> list[str]:
    """A name or a list of them, as a list."""
    return [value] if isinstance(value, str) else list(value)


def _references(judge: Judge, config: Config, refused: Mapping[str, Sequence[str]]) -> None:
    known = [*config.sources, *refused.get("sources", ())]
    receivers = [*config.destinations, *refused.get("destinations", ())]
    for name, route in config.routes.items():
        path: Path = ("routes", name)
        sources = names_of(route.from_)
        if "*" in sources and len(sources) > 1:
            judge.add((*path, "from"), "'*' stands with other names", 'write from = "*" alone')
        _exist(judge, (*path, "from"), [s for s in sources if s != "*"], known, "source")
        _exist(judge, (*path, "to"), names_of(route.to), receivers, "destination")
        if route.changes is not UNSET and not ("*" in sources and refused.get("sources")):
            _changes_exist(judge, (*path, "changes"), route, config)


def _exist(judge: Judge, path: Path, names: list[str], known: Sequence[str], what: str) -> None:
    for name in names:
        if name not in known:
            hint = nearest(name, known, what)
            if not known:
                hint = f"add one: [{what}s.{name}]"
            judge.add(path, f"unknown {what} '{name}'", hint)


def _changes_exist(judge: Judge, path: Path, route: Route, config: Config) -> None:
    names = names_of(route.from_)
    if any(name != "*" and name not in config.sources for name in names):
        return  # refused already; which resources it has is not known
    sources = (
        list(config.sources.values()) if "*" in names else [config.sources[n] for n in names if n in config.sources]
    )
    known = {resource for source in sources for resource in source.resources}
    for number, name in enumerate(route.changes or []):
        if name not in known and name != "*":
            hint = nearest(name, known, "resource") if known else "add one: [sources.NAME.resources." + name + "]"
            judge.add((*path, number), f"unknown resource '{name}' of {', '.join(names)}", hint)
