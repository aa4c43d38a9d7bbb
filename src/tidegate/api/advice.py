"""Handlers of advice: read it, apply it to what the API owns, undo that, and the report to send to somebody.

Apply decides again and compares with what the caller saw, so that nothing is changed that nobody read. What the file
owns is not changed here: the answer says which lines to change. Crash: the change is in the store, or not at all.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tidegate.api.calls import Call, RawResponse
from tidegate.core.clock import rfc3339
from tidegate.core.errors import Conflict, NotFound
from tidegate.process.gateway import Gateway
from tidegate.query import advice
from tidegate.query.schemas import AdviceSchema, Page
from tidegate.query.shadow import ShadowSchema, all_shadows
from tidegate.runtime import ActiveSource
from tidegate.runtime.followed_advice import follow, undo

_VARY = ("vary", "accept")


class ApplyAdvice(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`settings`: the keys and values that the caller read in the advice; when they are others by now, 409."""

    settings: dict[str, Any] | None = None


async def list_advice(call: Call) -> Page[AdviceSchema]:
    window = call.query.get("window") or advice.WINDOW
    return call.page_of(await advice.all_resources(call.gateway, call.allowed, window), lambda one: one.resource)


async def list_shadows(call: Call) -> Page[ShadowSchema]:
    return call.page_of(await all_shadows(call.gateway, call.allowed), lambda one: one.resource)


async def report(call: Call) -> RawResponse:
    """As HTML or Markdown: by `format`, else by Accept, where a browser gets HTML."""
    from tidegate.query import advice_report  # only when somebody wants a report

    window = call.query.get("window") or advice.WINDOW
    advised = await advice.all_resources(call.gateway, call.allowed, window)
    made_at = rfc3339(call.gateway.clock.now_us() // 1_000_000 * 1_000_000) or ""
    chosen = call.query.get("format") or ("html" if "text/html" in call.headers.get("accept", "") else "markdown")
    if chosen == "markdown":
        text = advice_report.markdown(advised, made_at, window)
        return RawResponse(body=text.encode(), headers=[("content-type", "text/markdown; charset=utf-8"), _VARY])
    policy = f"{advice_report.POLICY}; frame-ancestors 'none'; sandbox"
    return RawResponse(
        body=advice_report.html(advised, made_at, window).encode(),
        headers=[("content-type", "text/html; charset=utf-8"), ("content-security-policy", policy), _VARY],
    )


async def apply_advice(call: Call) -> AdviceSchema:
    asked: ApplyAdvice = call.body
    return await apply_one(call.gateway, call.path["source"], call.path["resource"], asked.settings)


async def undo_advice(call: Call) -> AdviceSchema:
    return await undo_one(call.gateway, call.path["source"], call.path["resource"])


async def apply_one(gateway: Gateway, source: str, resource: str, seen: dict[str, Any] | None) -> AdviceSchema:
    """Apply the advice of one resource. `seen`: the settings that a person read; None: whatever they are.

    NotFound. Conflict: `nothing_to_apply`, `advice_changed`, `advice_needs_person`, `owned_by_file`.
    """
    found = source_of(gateway, source, resource)
    said = await advice.one_resource(gateway, found, resource)
    wanted = {one.key: one.after for one in said.apply.settings} if said.apply is not None else {}
    if seen is not None and seen != wanted:
        message = f"the advice for {said.resource} is another one now: {said.label}"
        raise Conflict(message, hint="read it again: tidegate advise", code="advice_changed")
    if said.apply is None:
        raise Conflict(
            f"the advice for {said.resource} changes no setting: {said.label}", hint="", code="nothing_to_apply"
        )
    if not said.apply.ready:
        message = f"this advice needs a person: {said.apply.needs}"
        raise Conflict(message, hint="edit the source, with these keys: " + _lines(said), code="advice_needs_person")
    if found.owner == "file":
        raise Conflict(
            f"source {source!r} is owned by the configuration file",
            hint=f"tidegate advise --apply {said.resource}, or change the file: {_lines(said)}",
            code="owned_by_file",
        )
    await follow(gateway.editor, source, resource, wanted)
    return await advice.one_resource(gateway, gateway.active.sources[source], resource)


async def undo_one(gateway: Gateway, source: str, resource: str) -> AdviceSchema:
    """Undo the last advice that was applied to a resource. NotFound; Conflict: `no_undo`, `changed_since`."""
    source_of(gateway, source, resource)
    await undo(gateway.editor, source, resource)
    return await advice.one_resource(gateway, gateway.active.sources[source], resource)


def source_of(gateway: Gateway, source: str, resource: str) -> ActiveSource:
    """NotFound when there is no such source or resource."""
    found = gateway.active.sources.get(source)
    if found is None or resource not in found.spec.resources:
        raise NotFound(f"there is no resource {f'{source}/{resource}'[:80]!r}", hint="list them: tidegate advise")
    return found


def _lines(said: AdviceSchema) -> str:
    assert said.apply is not None
    return " | ".join(one.strip() for one in said.apply.toml)
