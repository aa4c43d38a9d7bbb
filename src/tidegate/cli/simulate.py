"""`tidegate simulate`: what polling and webhooks would cost on a trace of changes. Needs no gateway.

Owns the options and the table; the trace and the policies are those of `rules/measure/`. Changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from random import Random

import click
import msgspec

from tidegate.cli.options import json_option
from tidegate.core import units
from tidegate.rules.measure import policies, traces
from tidegate.rules.measure.policies import Outcome
from tidegate.rules.measure.traces import Trace

STANDARD = ("poll:1m", "poll:5m", "poll:1h", "adaptive:1m..1h", "webhook", "webhook:loss=1%,reconcile=1h")
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
@click.option("--for", "duration", default="30d", show_default=True, help="How long a made trace lasts.")
@click.option(
    "--policy", "chosen_policies", multiple=True, metavar="POLICY", help="poll:5m, adaptive:1m..1h, webhook:loss=1%."
)
@click.option("--price", type=float, help="The price of one request, for the column `cost`.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed makes the same trace.")
@json_option
def simulate(
    chosen_policies: tuple[str, ...], duration: str, price: float | None, seed: int, as_json: bool, **made: object
) -> None:
    """Show what policies cost on a trace of changes: requests, delay, missed changes.

    Of several changes of one record between two polls only the last is seen; the others count as missed.
    """
    try:
        if price is not None and not (price >= 0 and math.isfinite(price)):
            raise ValueError(f"{price} is not a price (0 or more)")
        trace = _trace(made, units.seconds(duration), seed)
        chosen = [policies.parse_policy(text) for text in chosen_policies or STANDARD]
        outcomes = [policies.run(one, trace, _chance(seed), price) for one in chosen]
    except (ValueError, OSError) as error:
        raise click.UsageError(str(error)) from None
    if as_json:
        click.echo(msgspec.json.encode({"trace": _facts(trace), "policies": outcomes}))
        return
    _table(trace, outcomes)


def _trace(made: dict[str, object], seconds: float, seed: int) -> Trace:
    given = {name: value for name, value in made.items() if value is not None}
    if len(given) != 1:
        raise ValueError("name one trace: --poisson 3/h, --bursty 3/h, --diurnal 3/h or --trace FILE")
    name, value = given.popitem()
    if isinstance(value, Path):
        return traces.from_lines(value.read_text(errors="replace").splitlines(), value.name)
    return _MAKERS[name](units.per_second(str(value)), seconds, _chance(seed))


def _chance(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - a simulation, not a secret


def _facts(trace: Trace) -> dict[str, object]:
    return {"name": trace.name, "seconds": trace.seconds, "changes": len(trace.changes)}


def _table(trace: Trace, outcomes: list[Outcome]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    with_cost = any(one.cost is not None for one in outcomes)
    for name in (
        "policy",
        "requests/day",
        "empty",
        "p50 delay",
        "p99 delay",
        "missed",
        *(["cost"] if with_cost else []),
    ):
        table.add_column(name, justify="left" if name == "policy" else "right", no_wrap=True)
    for one in outcomes:
        row = [
            one.policy,
            f"{one.requests_per_day:,.1f}",
            f"{one.empty / one.requests:.1%}" if one.requests else "-",
            _spoken(one.delay_p50_seconds),
            _spoken(one.delay_p99_seconds),
            f"{one.missed / one.changes:.1%}" if one.changes else "-",
        ]
        table.add_row(*row, *([f"{one.cost:,.2f}"] if with_cost and one.cost is not None else []))
    click.echo(f"{len(trace.changes):,} changes in {trace.seconds / 86_400:.1f} days ({trace.name})")
    Console(width=110, highlight=False).print(table)


def _spoken(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"
