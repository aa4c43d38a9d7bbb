"""One telling of a scene: its steps as they are seen, which arrows were travelled, what it cost.

Pure but for the clock; knows neither systems nor pages. Invariant: a step is written once, with the instant of who
saw it; elapsed times count from the first step. A scene that takes long is not given up: it waits and says so, because
the gateway has not given up either (somebody may have paused the CRM to see just that).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

WAITING_SECONDS = 25.0  # from then on it says that it waits
FORGET_SECONDS = 3600.0

State = dict[str, Any]


class World(Protocol):
    """The systems and the gateway's log, as a scene may touch them."""

    states: dict[str, State]  # name of a system -> what its /demo/state said last

    async def post(self, system: str, path: str, fields: dict[str, str]) -> State: ...

    async def get_text(self, system: str, path: str) -> str: ...

    async def post_form(self, url: str, fields: dict[str, str]) -> int: ...

    async def look_at(self, system: str) -> None: ...

    async def event(
        self, source: str, *, key: str = "", text: str = "", kind: str = "", version: str = ""
    ) -> State | None:
        """The newest event of `source` with this key (or text in its body), type prefix and version; else None."""
        ...


@dataclass(frozen=True)
class Leg:
    """One arrow of a scene's picture. `way` is push, pull or lost."""

    way: str
    side: str  # "left" of the log or "right"
    label: str
    y: int = 48


@dataclass(frozen=True)
class Plan:
    """A step before it happened. `way` is push, pull, lost, log (the gateway itself) or edit (a person)."""

    way: str
    words: str


@dataclass
class Step:
    at: str
    words: str
    event: str = ""


@dataclass
class Run:
    """`lit` are the numbers of the legs that were travelled; `state` is running, waiting, done or failed."""

    key: str
    started: float = field(default_factory=time.monotonic)
    state: str = "running"
    lit: set[int] = field(default_factory=set)
    steps: dict[int, Step] = field(default_factory=dict)
    cost: list[tuple[str, str]] = field(default_factory=list)
    trouble: str = ""

    @property
    def began(self) -> str:
        """The instant of the first step."""
        return self.steps[0].at

    @property
    def going(self) -> bool:
        return self.state in ("running", "waiting")

    def step(self, number: int, at: str, words: str, *lit: int, event: str = "") -> None:
        self.steps.setdefault(number, Step(at, words, event))
        self.lit.update(lit)

    def done(self, *, late: float, asked: int = 0, told: int = 0, what: str = "late") -> None:
        self.state, self.trouble = "done", ""
        self.cost = [("pull", f"{asked} asked")] if asked else []
        self.cost += [("push", f"{told} told")] if told else []
        self.cost += [("late", f"{spoken(late)} {what}")]

    def fail(self, why: str) -> None:
        self.state, self.trouble = "failed", why

    def grow_old(self) -> None:
        """Say that it waits when it takes long, and leave it alone when nobody can be waiting any more."""
        age = time.monotonic() - self.started
        if self.going and age > FORGET_SECONDS:
            self.fail("It has not arrived within an hour.")
        elif self.state == "running" and age > WAITING_SECONDS:
            self.state = "waiting"
            kept = any(step.event for step in self.steps.values())
            self.trouble = (
                "Not there yet. The gateway keeps it and goes on trying." if kept
                else "Not there yet. The dashboard's Sources page says how the last poll went."
            )  # fmt: skip

    def shown(self, steps: int) -> list[list[str] | None]:
        """For each step `[instant, elapsed, words, event id]`, None while it has not happened."""
        out: list[list[str] | None] = []
        for number in range(steps):
            one = self.steps.get(number)
            if one is None:
                out.append(None)
                continue
            elapsed = "" if number == 0 else f"+{spoken(seconds_between(self.began, one.at))}"
            out.append([one.at, elapsed, one.words, one.event])
        return out


def count(states: dict[str, State], system: str, name: str) -> int:
    return int(states.get(system, {}).get("counts", {}).get(name, 0))


def seconds_between(earlier: str, later: str) -> float:
    return max(0.0, (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds())


def spoken(seconds: float) -> str:
    """`7 ms`, `1.3 s`, `2 min`: two figures are enough."""
    if seconds < 0.9995:
        return f"{max(1, round(seconds * 1000))} ms"
    return f"{seconds:.1f} s" if seconds < 99 else f"{seconds / 60:.0f} min"
