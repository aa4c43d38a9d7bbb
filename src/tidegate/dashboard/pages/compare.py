"""API or webhook: what polling and webhooks cost and bring for each resource, and what to change.

Owns the requests of this page: what is read, which window and which curve, and the buttons Apply and Undo. The parts of
the page are in `comparison/`, as pure functions of the figures and the advice of `query/`.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from tidegate.api.advice import apply_one, source_of, undo_one
from tidegate.config.spec import Source
from tidegate.core.measured import Measured, ResourceMeasured, Timeline
from tidegate.dashboard.comparison.answer import Answer, answer
from tidegate.dashboard.comparison.both import Both, both
from tidegate.dashboard.comparison.cards import Card, cards
from tidegate.dashboard.comparison.day import Day, day
from tidegate.dashboard.comparison.paging import Paging, paged
from tidegate.dashboard.comparison.subject import Subject, ordered
from tidegate.dashboard.comparison.together import Together, together
from tidegate.dashboard.comparison.trade import Asked, Trade, trade
from tidegate.dashboard.comparison.ways import Ways, ways
from tidegate.dashboard.page_context import PageContext, field, see_other
from tidegate.query import advice, measured
from tidegate.query.schemas import AdviceSchema
from tidegate.query.shadow import ShadowSchema, all_shadows
from tidegate.rules.sync.shadow import main_of

WINDOWS = {"24h": "24 hours", "7d": "7 days", "30d": "30 days"}
DEFAULT_WINDOW = "7d"
BIN_MINUTES = 30  # of the last 24 hours


class Chosen(Struct, frozen=True):
    """What the address asks for. `curve`, `late`, `price`: of the curve that is drawn; `page`: of resources."""

    window: str = DEFAULT_WINDOW
    curve: str = ""
    page: int = 1
    both: str = ""  # the resource whose two ways are compared
    late: str = ""
    price: str = ""


DEFAULT = Chosen()


class Comparison(Struct, kw_only=True):
    """The whole page."""

    window: str
    until: str
    covered_seconds: float
    resources: int
    changes: int
    answer: Answer
    ways: Ways
    cards: list[Card]
    paging: Paging
    day: Day
    trade: Trade | None
    both: Both | None
    together: Together | None


async def show(context: PageContext, request: Request) -> Response:
    window = request.query_params.get("window", DEFAULT_WINDOW)
    window = window if window in WINDOWS else DEFAULT_WINDOW
    gateway = context.gateway
    advised = await advice.all_resources(gateway, window=window)
    made = await measured.measured(gateway, window)
    timeline = await measured.timeline(gateway, "24h", BIN_MINUTES)
    used = {f"{name}/{resource}": used_ways(source.spec, resource)
            for name, source in gateway.active.sources.items() for resource in source.spec.resources}  # fmt: skip
    asked = request.query_params
    chosen = Chosen(
        window, page=number_of(asked.get("page", "")),
        **{name: asked.get(name, "") for name in ("curve", "both", "late", "price")},
    )  # fmt: skip
    page = view(advised, made, timeline, used, chosen, await all_shadows(gateway))
    return context.templates.response(request, "compare.html", section="compare", view=page, windows=WINDOWS)


def number_of(text: str) -> int:
    """The number of a page; the first one for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 1  # `paged` cuts it to what there is


def used_ways(source: Source, resource: str) -> tuple[str, ...]:
    """How a resource is read: "pull", "push", or both, the more frequent one last."""
    own = main_of(source.resources[resource])
    pushed = own.webhook is not None and (source.webhook is not None or source.publish is not None)
    if not pushed:
        return ("pull",)
    return ("pull", "push") if own.polls or own.reconcile is not None else ("push",)


def view(
    advised: list[AdviceSchema],
    made: Measured,
    timeline: Timeline,
    used: dict[str, tuple[str, ...]],
    chosen: Chosen = DEFAULT,
    shadows: Sequence[ShadowSchema] = (),
) -> Comparison | None:
    """Pure. None when there is no resource."""
    if not advised:
        return None
    subjects = ordered([
        Subject(
            name=one.resource,
            ways=used.get(one.resource, ("pull",)),
            advised=one,
            measured=made.resources.get(one.resource) or ResourceMeasured(),
            bins=timeline.resources.get(one.resource, ()),
        )
        for one in advised
    ])  # fmt: skip
    shown, paging = paged(subjects, chosen.page, alone=not shadows)
    return Comparison(
        window=chosen.window,
        until=made.until,
        covered_seconds=made.covered_seconds,
        resources=len(subjects),
        changes=sum(one.changes for one in made.resources.values()),
        answer=answer(subjects, shown, made),
        ways=ways(subjects, made),
        cards=cards(shown),
        paging=paging,
        day=day(shown, timeline),
        trade=trade(subjects, shown, Asked(chosen.curve, chosen.late, chosen.price)),
        both=both(shadows, chosen.both),
        together=together(subjects),
    )


async def apply(context: PageContext, request: Request) -> Response:
    """Apply the advice of one resource that the API owns, if it is still the one that the person read."""
    source, resource = request.path_params["source"], request.path_params["resource"]
    found = source_of(context.gateway, source, resource)
    said = await advice.one_resource(context.gateway, found, resource)
    if field(request, "label") != said.label:
        return see_other("/api-or-webhook", "advice-changed")
    await apply_one(context.gateway, source, resource, None)
    return see_other("/api-or-webhook", "advice-applied")


async def undo(context: PageContext, request: Request) -> Response:
    await undo_one(context.gateway, request.path_params["source"], request.path_params["resource"])
    return see_other("/api-or-webhook", "advice-undone")
