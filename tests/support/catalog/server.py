"""Doubles on a real socket, all under one address: `http://127.0.0.1:PORT/NAME` and the path of the real base URL."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Callable
from urllib.parse import unquote

from support.catalog.calls import Call, Listing, matcher
from support.catalog.shape import Ask, Double, Refused, Reply, query_of
from support.catalog.times import http_date
from support.catalog.world import World
from support.receiver.scripted import Request, ScriptedServer


class Answering:
    """One double that is served. `failures`: the share of requests that fail for no reason of their own."""

    def __init__(self, world: World, url: str) -> None:
        self.world = world
        self.double: Double = world.double
        self.url = url + self.double.base
        self.failures = 0.0
        self.lose_next = False  # the next call that writes is made, and its answer is lost
        self.after: Callable[[Ask, Call], None] = lambda ask, call: None  # runs when an answer was made
        self.log: list[tuple[str, str, int]] = []  # method, target, status
        self.unknown: set[str] = set()  # parameters that the API does not have: most APIs ignore them
        self._random = random.Random(self.double.name)
        calls = [(call, matcher(call.path, self.double.values)) for call in self.double.calls]
        self._calls = sorted(calls, key=lambda one: one[1].groups)  # a fixed path before one with placeholders

    def reply(self, ask: Ask) -> Reply | None:
        """The answer; None for a connection that breaks."""
        if self._random.random() < self.failures:
            if self._random.random() < 0.3:
                return None
            status = self._random.choice(self.double.unavailable)
            return Reply(status, self.double.error("unavailable", status, "please try again"))
        try:
            call, reply = self._answer(ask)
            if self.lose_next and ask.method != "GET" and not isinstance(call, Listing):
                self.lose_next = False
                return None
        except Refused as error:
            reply = self.double.reply(error.kind, error.message)
        self._stamp(ask, reply)
        return reply

    def _answer(self, ask: Ask) -> tuple[Call | None, Reply]:
        """The call that it is, None for one above a limit, and what it answers."""
        double = self.double
        if not double.auth.good(ask):
            raise Refused(double.auth.kind, "the credential is not known")
        for one in double.needs:
            if not one.accepts(ask.headers.get(one.name.lower(), "")):
                raise Refused(one.kind, f"the header {one.name} is {ask.headers.get(one.name.lower(), '')!r}")
        for meter in self.world.meters:
            limited = meter.count(ask)
            if limited is not None:
                return None, limited
        call = self._find(ask)
        reply = call.answer(ask, self.world)
        if isinstance(call, Listing):  # items get the parameters of the list too
            self.unknown |= set(ask.query) - ask.used - set(self.double.ignored)
        self.after(ask, call)
        return call, reply

    def _find(self, ask: Ask) -> Call:
        known = False
        for call, pattern in self._calls:
            match = pattern.fullmatch(ask.path)
            if match is None:
                continue
            if call.method != ask.method:
                known = True
                continue
            ask.fields = {name: unquote(value) for name, value in match.groupdict().items()}
            return call
        raise Refused("method" if known else "not_found", f"{ask.method} {ask.path}")

    def _stamp(self, ask: Ask, reply: Reply) -> None:
        """Headers of every answer: limits, and what the API adds."""
        for meter in self.world.meters:
            quota = meter.quota
            if not quota.counts(ask):
                continue
            if quota.headers is not None:
                reply.headers = {**quota.headers(meter.left(ask.now_us)), **reply.headers}
            if quota.into is not None and isinstance(reply.body, dict):
                quota.into(meter.left(ask.now_us), reply.body)
        if self.double.headers is not None:
            reply.headers = {**self.double.headers(ask, self.world), **reply.headers}


class CatalogServer(ScriptedServer):
    """All doubles that were added. Clocks and changes belong to their worlds."""

    def __init__(self) -> None:
        super().__init__(self._serve_one)
        self.doubles: dict[str, Answering] = {}

    def add(self, world: World) -> Answering:
        name = world.double.name
        self.doubles[name] = Answering(world, f"{self.url}/{name}")
        return self.doubles[name]

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request) -> None:
        method, target, _ = request.line.split(" ")
        path, _, query = target.partition("?")
        name = path.split("/")[1]
        one = self.doubles[name]
        self.requests.clear()  # what was seen is in the log of each double
        base = f"/{name}{one.double.base}"
        pairs = query_of(query)
        below = path.removeprefix(base) if path.startswith(base) else "/../" + path
        ask = Ask(
            method, below, dict(pairs), pairs, request.headers, _body(request), one.world.now_us(), one.url, {}, target
        )
        reply = one.reply(ask)
        one.log.append((method, target, reply.status if reply is not None else 0))
        if reply is None:
            writer.transport.abort()
            return
        writer.write(encoded(reply, one.world.now_us()))


def _body(request: Request) -> object:
    if not request.body:
        return None
    kind = request.headers.get("content-type", "")
    if "json" in kind:
        try:
            return json.loads(request.body)
        except ValueError:
            return {}
    if "form" in kind:
        return nested(query_of(request.body.decode()))
    return request.body.decode("utf-8", "replace")


def nested(pairs: list[tuple[str, str]]) -> dict[str, object]:
    """Form fields with brackets as objects: `a[b]=1` is {"a": {"b": "1"}}, and `a[]=1` is {"a": ["1"]}."""
    out: dict[str, object] = {}
    for name, value in pairs:
        parts = [part for part in re.split(r"[\[\]]+", name) if part] + ([""] if name.endswith("[]") else [])
        at: dict[str, object] = out
        for part in parts[:-1]:
            following = at.setdefault(part, [] if parts[-1] == "" and part == parts[-2] else {})
            if isinstance(following, list):
                following.append(value)
                break
            assert isinstance(following, dict)
            at = following
        else:
            at[parts[-1]] = value
    return out


def encoded(reply: Reply, now_us: int) -> bytes:
    body = reply.encoded()
    lines = {
        "date": http_date(now_us),
        "content-type": "application/json",
        **{name.lower(): value for name, value in reply.headers.items()},
        "content-length": str(len(body)),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {reply.status} X\r\n{head}\r\n".encode() + body
