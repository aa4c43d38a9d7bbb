"""The seven scenes of the story: what each starts in the systems, and how it detects each step.

A scene does what a person would do in one of the systems (send the form, save a customer) and then only reads: the
states of the systems, and the gateway's log through its API. It moves no data, so a finished scene proves that the
gateway delivered it. The times come from the systems and the gateway, which run on one machine, so they can be
compared. The labels and the order of the steps are fixed in advance.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tidegate_company import web
from tidegate_company.story import Leg, Plan, Run, State, World, seconds_between, spoken


@dataclass(frozen=True)
class Scene:
    """`left` and `right` are names of systems; the gateway is between them."""

    name: str
    title: str
    about: str
    button: str
    left: str
    right: str
    legs: tuple[Leg, ...]
    plan: tuple[Plan, ...]
    start: Callable[[World], Awaitable[Run]]
    look: Callable[[World, Run], Awaitable[None]]
    polls: str = ""  # the resource whose next poll the scene waits for


def arrival(world: World, key: str, kind: str, revision: int | None = None) -> State | None:
    """The entry of the CRM for this arrival; None when it has not arrived."""
    for entry in reversed(world.states.get("crm", {}).get("arrivals", [])):
        if entry["key"] == key and entry["type"].startswith(kind) and (revision in (None, entry["revision"])):
            return dict(entry)
    return None


def requests_between(world: World, system: str, since: str, until: str) -> list[str]:
    """The instants of the API requests that `system` answered from `since` to `until`, oldest first."""
    return [at for at in world.states.get(system, {}).get("requests", []) if since <= at <= until]


def times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


# -- 1: a lead -------------------------------------------------------------------------------------------


async def start_lead(world: World) -> Run:
    """Do what a browser does: read the page, fill in the form, and post it to the form's action."""
    page = await world.get_text("website", "/")
    match = re.search(r'<form method="post" action="([^"]+)"', page)
    email = f"ada-{secrets.token_hex(2)}@example.com"
    run = Run(email)
    at = web.now()
    status = await world.post_form(match[1] if match else "", {"name": "Ada", "email": email, "interest": "Rope"})
    run.step(0, at, f"{email} sent the form", 0)
    if status >= 400:
        run.fail(f"The gateway answered {status}.")
    return run


async def look_lead(world: World, run: Run) -> None:
    event = await world.event("leads", key=run.key)
    if event:
        run.step(1, event["received_at"], "Tidegate stored it as", event=event["id"])
    entry = arrival(world, run.key, "lead.")
    if entry and event:
        run.step(2, entry["arrived_at"], "The CRM has the contact", 1)
        run.done(pushed=2, late=seconds_between(run.began, entry["arrived_at"]))


# -- 2: a payment ----------------------------------------------------------------------------------------


async def start_payment(world: World) -> Run:
    charge = await world.post("payments", "/charges", {})
    run = Run(charge["id"])
    run.step(0, charge["created"], f"{charge['customer']} paid {web.euros(charge['amount'])}", 0)
    return run


async def look_payment(world: World, run: Run) -> None:
    event = await world.event("payments", key=run.key, kind="charges.")
    if event:
        run.step(1, event["received_at"], "Signature checked:", event=event["id"])
    entry = arrival(world, run.key, "charges.")
    if entry and event:
        run.step(2, entry["arrived_at"], "The CRM shows it as paid", 1)
        run.done(pushed=2, late=seconds_between(run.began, entry["arrived_at"]))


# -- 3: a deal -------------------------------------------------------------------------------------------


async def start_deal(world: World) -> Run:
    deal = await world.post("crm", "/deals", {})
    run = Run(deal["id"])
    at = web.now()
    closed = await world.post("crm", f"/deals/{deal['id']}/close", {})
    run.step(0, at, f"“{deal['name']}” was closed", 0)
    if closed.get("stage") != "won":
        run.fail("The gateway did not accept the CRM's webhook.")
    return run


async def look_deal(world: World, run: Run) -> None:
    event = await world.event("crm", text=run.key)
    if event:
        run.step(1, event["received_at"], "Signature checked:", event=event["id"])
    message = next((one for one in world.states.get("chat", {}).get("messages", []) if run.key in one["text"]), None)
    if message and event:
        run.step(2, message["at"], f"The chat shows “{message['text']}”", 1)
        run.done(pushed=2, late=seconds_between(run.began, message["at"]))


# -- 4: get order info -----------------------------------------------------------------------------------


async def start_order(world: World) -> Run:
    run = Run("A1001")
    answer = await world.post("crm", "/order-info", {"order": run.key})
    run.step(0, answer["asked_at"], f"The CRM requested order {run.key}", 0)
    if answer.get("status") != 200:
        run.fail(f"The gateway answered {answer.get('status')}.")
        return run
    await world.look_at("shop")
    found = requests_between(world, "shop", run.began, answer["answered_at"])
    if found:
        run.step(1, found[-1], "Tidegate requested it from the shop", 1)
    else:
        age = answer.get("age_seconds") or 0
        run.step(1, answer["asked_at"], f"Tidegate had a copy that was {age} s old")
    order = answer["order"]
    run.step(2, answer["answered_at"], f"The CRM shows: {order['status']}, {web.euros(order['total_cents'])}")
    run.done(pulled=1 + len(found), late=seconds_between(run.began, answer["answered_at"]), what="to the answer")
    return run


async def look_order(world: World, run: Run) -> None:
    """Does nothing: a pull is finished when it returns."""


# -- 5: a customer without webhooks ----------------------------------------------------------------------


async def start_customer(world: World) -> Run:
    cities = ["Rotterdam", "Bergen", "Lisbon", "Brest", "Tallinn", "Galway", "Piraeus"]
    known = world.states.get("accounting", {}).get("customers", {}).get("C-12", {}).get("city")
    city = secrets.choice([name for name in cities if name != known])
    customer = await world.post("accounting", "/customers/C-12", {"city": city})
    run = Run(f"C-12 {customer['revision']}")
    run.step(0, customer["changed_at"], f"{customer['name']} moved to {city}")
    return run


async def look_customer(world: World, run: Run) -> None:
    key, revision = run.key.split()
    event = await world.event("accounting", key=key, version=revision)
    if event is None:
        return
    found = requests_between(world, "accounting", run.began, event["received_at"]) or [event["received_at"]]
    run.step(1, found[-1], f"Tidegate polled {times(len(found))} and found it", 0)
    run.step(2, event["received_at"], "Change stored as", event=event["id"])
    entry = arrival(world, key, "customers.", int(revision))
    if entry:
        run.step(3, entry["arrived_at"], "The CRM received the change", 1)
        run.done(pulled=len(found), pushed=1, late=seconds_between(run.began, entry["arrived_at"]))


# -- 6: a lost webhook -----------------------------------------------------------------------------------


async def start_heal(world: World) -> Run:
    charge = await world.post("payments", "/charges", {"lose": "1"})
    run = Run(charge["id"])
    run.step(0, charge["created"], f"{web.euros(charge['amount'])} paid, webhook lost", 0)
    return run


async def look_heal(world: World, run: Run) -> None:
    event = await world.event("payments", key=run.key, kind="charges.")
    if event is None:
        return
    found = requests_between(world, "payments", run.began, event["received_at"]) or [event["received_at"]]
    run.step(1, found[-1], f"Tidegate polled {times(len(found))} and found it", 1)
    run.step(2, event["received_at"], "Healed with", event=event["id"])
    entry = arrival(world, run.key, "charges.")
    if entry:
        run.step(3, entry["arrived_at"], "The CRM shows it as paid", 2)
        run.done(pulled=len(found), pushed=1, late=seconds_between(run.began, entry["arrived_at"]))


# -- 7: a mail -------------------------------------------------------------------------------------------


async def start_mail(world: World) -> Run:
    mail = await world.post("mailbox", "/mails", {})
    run = Run(mail["message_id"])
    run.step(0, mail["at"], f"Ada wrote “{mail['subject']}”")
    return run


async def look_mail(world: World, run: Run) -> None:
    pushed = await world.event("inbox", key=run.key)
    if pushed:
        run.step(1, pushed["received_at"], "IDLE: stored as", 0, event=pushed["id"])
    entry = arrival(world, run.key, "mail.")
    if entry and pushed:
        run.step(2, entry["arrived_at"], "The CRM has the mail", 2)
    pulled = await world.event("inbox-polled", key=run.key)
    if pulled and pushed and entry:
        run.step(3, pulled["received_at"], "Poll: found and stored as", 1, event=pulled["id"])
        late = [spoken(seconds_between(run.began, one["received_at"])) for one in (pushed, pulled)]
        run.done(
            late=seconds_between(run.began, entry["arrived_at"]), what=f"to the CRM; IDLE {late[0]}, poll {late[1]}"
        )


PUSHED = (
    Scene("lead", "A lead reaches the CRM",
          "The website's form posts to the gateway. Tidegate calls the CRM's API with an OAuth token.",
          "Send the form", "website", "crm", (Leg("push", "left", "form"), Leg("push", "right", "API call")),
          (Plan("push", "A visitor sends the form"), Plan("log", "Tidegate stores it"),
           Plan("push", "Tidegate creates a contact in the CRM")),
          start_lead, look_lead),
    Scene("payment", "A payment confirms itself",
          "The payment processor sends a signed webhook. Nobody polls for it.",
          "Take a payment", "payments", "crm", (Leg("push", "left", "webhook"), Leg("push", "right", "webhook")),
          (Plan("push", "A customer pays"), Plan("log", "Tidegate checks the signature"),
           Plan("push", "The CRM receives a webhook")),
          start_payment, look_payment),
    Scene("deal", "A closed deal reaches the chat",
          "The CRM sends a webhook. Tidegate turns it into a chat message for the team.",
          "Close a deal", "crm", "chat", (Leg("push", "left", "webhook"), Leg("push", "right", "message")),
          (Plan("push", "A deal is closed in the CRM"), Plan("log", "Tidegate checks the signature"),
           Plan("push", "The chat shows a message")),
          start_deal, look_deal),
)  # fmt: skip
PULLED = (
    Scene("order", "Get order info",
          "The CRM needs the current state of an order. Tidegate requests it from the shop, or uses a fresh copy.",
          "Get order info", "crm", "shop", (Leg("pull", "left", "asks"), Leg("pull", "right", "asks")),
          (Plan("pull", "The CRM requests it from Tidegate"), Plan("pull", "Tidegate requests it from the shop"),
           Plan("log", "The CRM shows the answer")),
          start_order, look_order),
    Scene("customer", "A change without a webhook",
          "Accounting sends no webhooks. Tidegate polls every 2\u00a0s, compares, and sends the CRM what changed.",
          "Edit a customer", "accounting", "crm", (Leg("pull", "left", "polls"), Leg("push", "right", "webhook")),
          (Plan("edit", "A customer is edited in accounting"), Plan("pull", "Tidegate polls and compares"),
           Plan("log", "It stores the change as an event"), Plan("push", "The CRM receives a webhook")),
          start_customer, look_customer, "accounting/customers"),
    Scene("heal", "A lost webhook is healed",
          "The webhook is never sent. Every 10\u00a0s Tidegate polls for what webhooks missed, and sends it.",
          "Lose a webhook", "payments", "crm",
          (Leg("lost", "left", "lost", 34), Leg("pull", "left", "reconciles", 62), Leg("push", "right", "webhook")),
          (Plan("lost", "A customer pays; the webhook is lost"),
           Plan("pull", "Tidegate polls for what webhooks missed"), Plan("log", "It stores the missing event"),
           Plan("push", "The CRM receives a webhook")),
          start_heal, look_heal, "payments/charges"),
)  # fmt: skip
BOTH = (
    Scene("mail", "A mail arrives, read twice",
          "Two connections read one mailbox. IDLE: the server says that mail came. Poll: Tidegate asks every 4\u00a0s.",
          "Send a mail", "mailbox", "crm",
          (Leg("push", "left", "IDLE", 34), Leg("pull", "left", "polls", 62), Leg("push", "right", "webhook")),
          (Plan("edit", "A customer writes a mail"), Plan("push", "IDLE: the server says it"),
           Plan("push", "The CRM receives a webhook"), Plan("pull", "Poll: Tidegate asks and finds it")),
          start_mail, look_mail),
)  # fmt: skip
SCENES = PUSHED + PULLED + BOTH

__all__ = ["BOTH", "PULLED", "PUSHED", "SCENES", "Scene", "spoken"]
