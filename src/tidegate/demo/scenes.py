"""The six scenes of the story: what each starts in the real systems, and how it sees that it is done.

A scene does what a person would do in one of the systems (send the form, save a customer) and then only looks: at
what the systems themselves say they saw. It moves no data, so a scene that ends is proof that the gateway carried
it. Times are those the systems wrote down; all run on one machine, so they can be compared.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from tidegate.demo import web

GIVE_UP_SECONDS = 45.0

State = dict[str, Any]


class World(Protocol):
    """The systems, as a scene may touch them."""

    states: dict[str, State]  # name of a system -> what its /demo/state said last

    async def post(self, system: str, path: str, fields: dict[str, str]) -> State: ...

    async def get_text(self, system: str, path: str) -> str: ...

    async def post_form(self, url: str, fields: dict[str, str]) -> int: ...


@dataclass(frozen=True)
class Leg:
    """One arrow of a scene's picture. `way` is push, pull or lost."""

    way: str
    side: str  # "left" of the log or "right"
    label: str
    y: int = 66


@dataclass
class Run:
    """One telling of a scene. `lit` are the numbers of the legs that were travelled."""

    key: str
    before: dict[str, State]
    started: float = field(default_factory=time.monotonic)
    state: str = "running"
    lit: set[int] = field(default_factory=set)
    lines: list[tuple[str, str]] = field(default_factory=list)
    cost: str = ""

    def say(self, at: str, words: str) -> None:
        """`at` is an instant as the systems write it; lines stand in order of time."""
        self.lines.append((at[11:21], words))
        self.lines.sort(key=lambda line: line[0])

    def done(self, cost: str, *lit: int) -> None:
        self.state, self.cost = "done", cost
        self.lit.update(lit)

    def asked_since(self, world: World, system: str) -> int:
        """API requests that `system` counted since the run began."""
        return count(world.states, system, "api_requests") - count(self.before, system, "api_requests")


@dataclass(frozen=True)
class Scene:
    name: str
    title: str
    tells: str
    button: str
    left: str
    right: str
    legs: tuple[Leg, ...]
    start: Callable[[World, dict[str, State]], Awaitable[Run]]
    look: Callable[[World, Run], None]


def count(states: dict[str, State], system: str, name: str) -> int:
    return int(states.get(system, {}).get("counts", {}).get(name, 0))


def seconds_between(earlier: str, later: str) -> float:
    return max(0.0, (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds())


def spoken(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def requests(number: int) -> str:
    return "1 request" if number == 1 else f"{number} requests"


def arrival(world: World, key: str, kind: str, revision: int | None = None) -> State | None:
    """What the CRM wrote down when this reached it; None when it has not."""
    for entry in reversed(world.states.get("crm", {}).get("arrivals", [])):
        if entry["key"] == key and entry["type"].startswith(kind) and (revision in (None, entry["revision"])):
            return dict(entry)
    return None


# -- 1: a lead -------------------------------------------------------------------------------------------


async def start_lead(world: World, before: dict[str, State]) -> Run:
    """As a browser does: read the page, fill the form in, post it to the form's own address."""
    page = await world.get_text("website", "/")
    match = re.search(r'<form method="post" action="([^"]+)"', page)
    email = f"visitor-{secrets.token_hex(3)}@example.com"
    run = Run(email, before)
    status = await world.post_form(
        match[1] if match else "", {"name": "Ada Visitor", "email": email, "interest": "Rope"}
    )
    run.say(web.now(), f"{email} sent the form; the gateway answered {status}.")
    run.lit.add(0)
    return run


def look_lead(world: World, run: Run) -> None:
    entry = arrival(world, run.key, "lead.")
    if entry:
        late = seconds_between(entry["happened_at"], entry["arrived_at"])
        run.say(entry["arrived_at"], f"The CRM was told, {spoken(late)} after the gateway had it.")
        run.done("2 requests told, none asked.", 0, 1)


# -- 2: a payment ----------------------------------------------------------------------------------------


async def start_payment(world: World, before: dict[str, State]) -> Run:
    charge = await world.post("payments", "/charges", {})
    run = Run(charge["id"], before)
    run.say(charge["created"], f"{charge['customer']} paid {web.euros(charge['amount'])}; a signed webhook left.")
    run.lit.add(0)
    return run


def look_payment(world: World, run: Run) -> None:
    entry = arrival(world, run.key, "charges.")
    if entry:
        late = seconds_between(entry["happened_at"], entry["arrived_at"])
        run.say(entry["arrived_at"], f"The CRM was told, {spoken(late)} after the payment.")
        run.done("2 requests told. Nobody had to ask whether it was paid.", 0, 1)


# -- 3: a deal -------------------------------------------------------------------------------------------


async def start_deal(world: World, before: dict[str, State]) -> Run:
    deal = await world.post("crm", "/deals", {})
    run = Run(deal["id"], before)
    run.say(web.now(), f"{deal['name']} was closed in the CRM, which sent its own webhook.")
    await world.post("crm", f"/deals/{deal['id']}/close", {})
    run.lit.add(0)
    return run


def look_deal(world: World, run: Run) -> None:
    for entry in world.states.get("chat", {}).get("texts", []):
        if run.key in entry["text"]:
            run.say(entry["at"], f"The chat shows: {entry['text']}")
            run.done("2 requests told, in two formats: a webhook came in, a chat text went out.", 0, 1)
            return


# -- 4: get order info -----------------------------------------------------------------------------------


async def start_order(world: World, before: dict[str, State]) -> Run:
    run = Run("A1001", before)
    run.say(web.now(), "Somebody pressed Get order info in the CRM.")
    answer = await world.post("crm", "/order-info", {"order": run.key})
    run.lit.add(0)
    if answer.get("status") != 200:
        run.say(web.now(), f"The gateway answered {answer.get('status')}.")
        run.state = "failed"
        return run
    cached = "hit" in answer.get("cache", "")
    where = f"from a copy {answer.get('age_seconds') or 0} s old" if cached else "from the shop, at that moment"
    run.say(web.now(), f"{run.key} is {answer['order']['status']}: {where}, in {answer['took_ms']} ms.")
    run.done(
        "1 request asked, answered from the cache: the shop was not asked again." if cached else
        "2 requests asked: the CRM asked the gateway, the gateway asked the shop.",
        *([0] if cached else [0, 1]),
    )  # fmt: skip
    return run


def look_order(world: World, run: Run) -> None:
    """Nothing to wait for: a pull has its answer when it returns."""


# -- 5: a customer without webhooks ----------------------------------------------------------------------


async def start_customer(world: World, before: dict[str, State]) -> Run:
    city = secrets.choice(["Rotterdam", "Bergen", "Lisbon", "Brest", "Tallinn", "Galway", "Piraeus"])
    customer = await world.post("accounting", "/customers/C-12", {"city": city})
    run = Run(f"C-12 {customer['revision']}", before)
    run.say(customer["changed_at"], f"{customer['name']} moved to {city}: saved in accounting, which tells nobody.")
    return run


def look_customer(world: World, run: Run) -> None:
    key, revision = run.key.split()
    entry = arrival(world, key, "customers.", int(revision))
    asked = run.asked_since(world, "accounting")
    if asked:
        run.lit.add(0)
    if entry:
        late = seconds_between(entry["happened_at"], entry["arrived_at"])
        run.say(entry["arrived_at"], f"The CRM was told, {spoken(late)} after the edit.")
        run.done(f"{requests(max(asked, 1))} asked until the change was seen, 1 request told.", 0, 1)


# -- 6: a lost webhook -----------------------------------------------------------------------------------


async def start_heal(world: World, before: dict[str, State]) -> Run:
    charge = await world.post("payments", "/charges", {"lose": "1"})
    run = Run(charge["id"], before)
    run.say(
        charge["created"], f"{charge['customer']} paid {web.euros(charge['amount'])}; its webhook was lost on purpose."
    )
    run.lit.add(0)
    return run


def look_heal(world: World, run: Run) -> None:
    entry = arrival(world, run.key, "charges.")
    asked = run.asked_since(world, "payments")
    if asked:
        run.lit.add(1)
    if entry:
        late = seconds_between(entry["happened_at"], entry["arrived_at"])
        run.say(entry["arrived_at"], f"A reconciling poll found it; the CRM was told {spoken(late)} after the payment.")
        run.done(f"{requests(max(asked, 1))} asked, 1 request told. Late, and not lost.", 0, 1, 2)


SCENES = (
    Scene("lead", "A lead reaches the CRM",
          "The website's form posts to the gateway; the CRM gets it as a signed webhook.",
          "Send the form", "Website", "CRM", (Leg("push", "left", "form"), Leg("push", "right", "webhook")),
          start_lead, look_lead),
    Scene("payment", "A payment confirms itself", "The processor tells by a signed webhook. Nobody polls for it.",
          "Take a payment", "Payments", "CRM", (Leg("push", "left", "webhook"), Leg("push", "right", "webhook")),
          start_payment, look_payment),
    Scene("deal", "A closed deal reaches the chat", "The CRM's own webhook comes in and leaves as a text for the team.",
          "Close a deal", "CRM", "Chat", (Leg("push", "left", "webhook"), Leg("push", "right", "text")),
          start_deal, look_deal),
    Scene("order", "Get order info", "The CRM needs one answer, once. It asks, and the shop answers at that moment.",
          "Get order info", "CRM", "Shop", (Leg("pull", "left", "asks"), Leg("pull", "right", "asks")),
          start_order, look_order),
    Scene("customer", "An API without webhooks gets them",
          "Accounting only answers questions. The gateway asks every 2 s, compares, and tells the CRM what changed.",
          "Edit a customer", "Accounting", "CRM", (Leg("pull", "left", "polls"), Leg("push", "right", "webhook")),
          start_customer, look_customer),
    Scene("heal", "A lost webhook is healed",
          "The webhook never leaves the processor. A reconciling poll finds the payment and makes the missing event.",
          "Lose a webhook", "Payments", "CRM",
          (Leg("lost", "left", "lost", 48), Leg("pull", "left", "reconciles", 84), Leg("push", "right", "webhook")),
          start_heal, look_heal),
)  # fmt: skip
