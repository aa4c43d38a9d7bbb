"""`tidegate simulate`: what polling and webhooks would cost on a trace of changes.

Owns the options, the table and the way from the events of a gateway to a trace; traces and policies are those of
`rules/measure/`, the picture that of `dashboard/charts/`. Needs a gateway only for --resource. Changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import click
import msgspec

from tidegate.cli.options import ResourceName, data_option, json_option
from tidegate.core import units
from tidegate.rules.measure import policies, simulation, traces, wording
from tidegate.rules.measure.simulation import Outcome, Terms
from tidegate.rules.measure.traces import Trace

STANDARD = ("poll:1m", "poll:5m", "poll:1h", "adaptive:1m..1h", "webhook", "webhook:loss=1%,reconcile=1h")
CURVE = ("10s", "30s", "1m", "2m", "5m", "15m", "30m", "1h", "3h", "6h", "1d")
FEW = 20  # changes
_MAKERS: dict[str, Callable[[float, float, Random], Trace]] = {
    "poisson": traces.poisson,
    "bursty": traces.bursty,
    "diurnal": traces.diurnal,
}


@click.command()
@click.option("--poisson", metavar="RATE", help="Changes at random, such as 3/h.")
@click.option("--bursty", metavar="RATE", help="The same number of changes in bursts.")
@click.option("--diurnal", metavar="RATE", help="The same number of changes, nearly all in nine hours of a day.")
@click.option("--trace", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A file: a time per line.")
@click.option("--resource", type=ResourceName(), help="SOURCE/RESOURCE: the changes that the gateway recorded.")
@click.option("--for", "duration", default="30d", show_default=True, help="How long the trace lasts.")
@click.option("--policy", "chosen", multiple=True, metavar="POLICY", help=f"Repeatable: {policies.EXAMPLES}.")
@click.option("--price-per-call", type=float, help="The price of one request, for the column `cost`.")
@click.option("--delay-price", type=float, help="What one change costs that is one hour late, for the same column.")
@click.option("--reads", metavar="RATE", help="How often the data is read, for the policy `cache`: 60/h.")
@click.option("--answers", type=click.IntRange(1, 100_000), default=1, show_default=True,
              help="How many different answers are read, each with a copy of its own, for `cache`.")  # fmt: skip
@click.option("--body", default="20KiB", show_default=True, help="The size of an answer with the list.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed makes the same trace.")
@click.option("--svg", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="Write a picture there.")
@data_option
@json_option
def simulate(chosen: tuple[str, ...], duration: str, data: Path, as_json: bool, **given: Any) -> None:
    """Show what policies cost on a trace of changes: requests, delay, missed changes.

    Of several changes of one record between two polls only the last is seen; the others count as missed. `adaptive` is
    what a resource with `poll = "auto"` does.
    """
    try:
        terms, seed = _terms(given), int(given["seed"])
        trace = _trace(given, units.seconds(duration), data)
        parsed = [policies.parse_policy(text) for text in chosen or STANDARD]
        outcomes = [simulation.run(one, trace, _chance(seed), terms) for one in parsed]
        if given["svg"] is not None:
            _draw(given["svg"], trace, outcomes, _chance(seed))
    except (ValueError, OSError) as error:
        raise click.UsageError(str(error)) from None
    if as_json:
        click.echo(msgspec.json.encode({"trace": _facts(trace, outcomes), "policies": outcomes}))
        return
    _table(trace, outcomes)


def _terms(given: dict[str, Any]) -> Terms:
    for name in ("price_per_call", "delay_price"):
        price = given[name]
        if price is not None and not (price >= 0 and math.isfinite(price)):
            raise ValueError(f"{price} is not a price (0 or more)")
    return Terms(
        price_per_call=given["price_per_call"],
        delay_price=given["delay_price"],
        body_bytes=units.size_bytes(given["body"]),
        reads=None if given["reads"] is None else units.per_second(given["reads"]),
        answers=given["answers"],
    )


def _trace(given: dict[str, Any], seconds: float, data: Path) -> Trace:
    named = [name for name in (*_MAKERS, "trace", "resource") if given[name] is not None]
    if len(named) != 1:
        raise ValueError(
            "name one trace: --poisson 3/h, --bursty 3/h, --diurnal 3/h, --trace FILE or --resource SOURCE/RESOURCE"
        )
    name, value = named[0], given[named[0]]
    if name == "trace":
        return traces.from_lines(value.read_text(errors="replace").splitlines(), value.name)
    if name == "resource":
        from tidegate.cli.recorded import recorded_trace

        return recorded_trace(value, seconds, data)
    return _MAKERS[name](units.per_second(str(value)), seconds, _chance(given["seed"]))


def _chance(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - a simulation, not a secret


def _facts(trace: Trace, outcomes: list[Outcome]) -> dict[str, object]:
    return {
        "name": trace.name, "seconds": trace.seconds, "changes": len(trace.changes),
        "notes": [*trace.notes, *_doubts(trace, outcomes)],
    }  # fmt: skip


def _doubts(trace: Trace, outcomes: list[Outcome]) -> list[str]:
    """What the figures cannot say."""
    notes, changes = [], len(trace.changes)
    if not changes:
        notes.append("no change in the trace, so no policy can be late or miss one")
    elif changes < FEW:
        notes.append(f"{wording.count(changes, 'changes')} only: percentiles of so few say little")
    silent = [one.policy for one in outcomes if not one.requests and not one.policy.startswith("webhook")]
    if silent:
        within = wording.span(trace.seconds)
        notes.append(f"{', '.join(silent)}: no request within {within}; name shorter intervals, or a longer trace")
    return notes


def _draw(path: Path, trace: Trace, outcomes: list[Outcome], chance: Random) -> None:
    """A picture of its own: the curve of polling, and each policy as a point."""
    from tidegate.dashboard.charts.policies import PolicyPoint, policy_chart

    polls = [simulation.run(policies.parse_policy(f"poll:{every}"), trace, chance) for every in CURVE]
    curve = [PolicyPoint.of(one) for one in polls if one.requests and one.delay_p95_seconds is not None]
    points = [PolicyPoint.of(one) for one in outcomes if one.delay_p95_seconds is not None]
    if not points:
        raise ValueError("no policy saw a change, so there is nothing to draw")
    path.write_text(policy_chart(curve, points, _headline(trace)), "utf-8")


def _headline(trace: Trace) -> str:
    days = trace.seconds / 86_400
    span = f"{days:.1f} days" if days >= 1 else wording.span(trace.seconds)
    return f"{wording.count(len(trace.changes), 'changes')} in {span} ({trace.name})"


def _table(trace: Trace, outcomes: list[Outcome]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    names = ["policy", "requests/day", "MB/day", "empty", "p50 delay", "p95 delay", "p99 delay", "missed"]
    cached = any(one.cached_share is not None for one in outcomes)
    names += (["cached"] if cached else []) + (["cost"] if outcomes[0].cost is not None else [])
    for name in names:
        table.add_column(name, justify="left" if name == "policy" else "right", no_wrap=True)
    for one in outcomes:
        row = [
            one.policy,
            f"{one.requests_per_day:,.1f}",
            f"{one.bytes / 1e6 * 86_400 / trace.seconds:,.1f}",
            f"{one.empty / one.requests:.1%}" if one.requests else "-",
            _spoken(one.delay_p50_seconds),
            _spoken(one.delay_p95_seconds),
            _spoken(one.delay_p99_seconds),
            f"{one.missed / one.changes:.1%}" if one.changes else "-",
        ]
        row += [_share(one.cached_share)] if cached else []
        table.add_row(*row, *([f"{one.cost:,.2f}"] if one.cost is not None else []))
    click.echo(_headline(trace))
    for note in (*trace.notes, *_doubts(trace, outcomes)):
        click.echo(f"Note: {note}")
    Console(width=130, highlight=False).print(table)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _spoken(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"
