"""Handlers of alerts: list them, acknowledge, mute and unmute.

What people decide is stored with the name of their key. Crash: a call is stored completely or not at all.
"""

from __future__ import annotations

import msgspec

from tidegate.alerts import marks
from tidegate.api.calls import Call
from tidegate.query.alerts import AlertList, list_alerts


class AlertRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which alert: its type and its subject, as `GET /alerts` shows them."""

    type: str
    subject: str
    note: str = ""


class MuteRequest(AlertRequest, forbid_unknown_fields=True, kw_only=True):
    """What to mute; `type` and `subject` can be `*`. `for` is a duration, or `forever`."""

    for_: str = msgspec.field(name="for", default="1h")


async def read_alerts(call: Call) -> AlertList:
    return await list_alerts(call.gateway)


async def acknowledge(call: Call) -> AlertList:
    asked: AlertRequest = call.body
    await marks.acknowledge(call.gateway, asked.type, asked.subject, call.grant.name, asked.note)
    return await list_alerts(call.gateway)


async def mute(call: Call) -> AlertList:
    asked: MuteRequest = call.body
    await marks.mute(call.gateway, asked.type, asked.subject, asked.for_, (call.grant.name, asked.note))
    return await list_alerts(call.gateway)


async def unmute(call: Call) -> AlertList:
    asked: AlertRequest = call.body
    await marks.unmute(call.gateway, asked.type, asked.subject, call.grant.name)
    return await list_alerts(call.gateway)
