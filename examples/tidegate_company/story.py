"""One run of a scene: its steps, the arrows that are lit, and what it cost.

Pure except for the clock; knows neither systems nor pages. Invariants: a step is written once, with the time of the
system that saw it; elapsed times count from the first step. A slow scene is not given up but shown as waiting, because
the gateway does not give up either (the user may have paused the CRM to see this).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

WAITING_SECONDS = 25.0  # after this the run is shown as waiting
FORGET_SECONDS = 3600.0

State = dict[str, Any]


class World(Protocol):
    """What a scene can do: call the systems, and read the gateway's log."""

    states: dict[str, State]  # name of a system -> its last /demo/state

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
    """A planned step. `way` is push, pull, lost, log (the gateway itself) or edit (a person)."""

    way: str
    words: str


@dataclass
class Step:
    at: str
    words: str
    event: str = ""


@dataclass
class Run:
    """`lit` are the numbers of the lit legs; `state` is running, waiting, done or failed."""

    key: str
    started: float = field(default_factory=time.monotonic)
    state: str = "running"
    lit: set[int] = field(default_factory=set)
    steps: dict[int, Step] = field(default_factory=dict)
    cost: list[tuple[str, str]] = field(default_factory=list)
    problem: str = ""

    @property
    def began(self) -> str:
        """The time of the first step."""
        return self.steps[0].at

    @property
    def going(self) -> bool:
        return self.state in ("running", "waiting")

    def step(self, number: int, at: str, words: str, *lit: int, event: str = "") -> None:
        self.steps.setdefault(number, Step(at, words, event))
        self.lit.update(lit)

    def done(self, *, late: float, pulled: int = 0, pushed: int = 0, what: str = "delay") -> None:
        self.state, self.problem = "done", ""
        self.cost = [("pull", f"{pulled} pulled")] if pulled else []
        self.cost += [("push", f"{pushed} pushed")] if pushed else []
        self.cost += [("late", f"{spoken(late)} {what}")]

    def fail(self, why: str) -> None:
        self.state, self.problem = "failed", why

    def grow_old(self) -> None:
        """Show a slow run as waiting, and end it after FORGET_SECONDS."""
        age = time.monotonic() - self.started
        if self.going and age > FORGET_SECONDS:
            self.fail("It has not arrived within an hour.")
        elif self.state == "running" and age > WAITING_SECONDS:
            self.state = "waiting"
            kept = any(step.event for step in self.steps.values())
            self.problem = (
                "It has not arrived yet. Tidegate has stored it and retries." if kept
                else "It has not arrived yet. The Sources page of the dashboard shows the last poll."
            )  # fmt: skip

    def shown(self, steps: int) -> list[list[str] | None]:
        """For each step `[time, elapsed, label, event id]`, None while it has not happened."""
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
    """A duration such as `7 ms`, `1.3 s` or `2 min`."""
    if seconds < 0.9995:
        return f"{max(1, round(seconds * 1000))} ms"
    return f"{seconds:.1f} s" if seconds < 99 else f"{seconds / 60:.0f} min"
