"""The story page: six small scenes, who asked whom, who told whom, and what it cost.

Reads the counters of the six systems and the gateway's `GET /api/v1/stats`; starts a scene by calling those systems
as a person would. It carries no data between them. One loop reads the states while somebody looks or a scene runs;
pages get them as server-sent events, and without scripts by reloading.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
from jinja2 import Environment, FileSystemLoader
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tidegate.demo import web
from tidegate.demo.scenes import GIVE_UP_SECONDS, SCENES, Run, Scene, State, count, seconds_between

SYSTEMS = ("shop", "accounting", "payments", "website", "crm", "chat")
LOOK_SECONDS = 0.4
IDLE_SECONDS = 5.0  # how long after the last reader the loop goes on


class Company:
    def __init__(self, system: web.System, addresses: dict[str, str]) -> None:
        self.system = system
        self.gateway: str = system.options.gateway
        self.addresses = addresses
        self.states: dict[str, State] = {}
        self.stats: State = {}
        self.runs: dict[str, Run] = {}
        self.client: aiohttp.ClientSession | None = None
        self.changed = asyncio.Condition()
        self.read_at = 0.0
        loader = FileSystemLoader(Path(__file__).parent / "templates")
        self.template = Environment(loader=loader, autoescape=True).get_template("story.html")

    @contextlib.asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15)) as self.client:
            watcher = asyncio.create_task(self.watch())
            yield
            watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watcher

    # -- the systems, as scenes touch them ---------------------------------------------------------------

    async def post(self, system: str, path: str, fields: dict[str, str]) -> State:
        assert self.client is not None
        async with self.client.post(
            self.addresses[system] + path, data=fields, headers={"Accept": "application/json"}
        ) as answer:
            return dict(await answer.json(content_type=None))

    async def get_text(self, system: str, path: str) -> str:
        assert self.client is not None
        async with self.client.get(self.addresses[system] + path) as answer:
            return await answer.text()

    async def post_form(self, url: str, fields: dict[str, str]) -> int:
        """Post as a browser posts a form, and follow to the page it is sent to. The status before the redirect."""
        assert self.client is not None
        async with self.client.post(url, data=fields) as answer:
            return answer.history[0].status if answer.history else answer.status

    # -- looking -----------------------------------------------------------------------------------------

    async def watch(self) -> None:
        while True:
            running = any(run.state == "running" for run in self.runs.values())
            if running or time.monotonic() - self.read_at < IDLE_SECONDS:
                await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        found = await asyncio.gather(*(self.fetch(f"{self.addresses[name]}/demo/state") for name in SYSTEMS))
        self.states = {name: state for name, state in zip(SYSTEMS, found, strict=True) if state is not None}
        key = self.system.secret("company-read-key")
        stats = await self.fetch(f"{self.gateway}/api/v1/stats", {"Authorization": f"Bearer {key}"})
        self.stats = stats or {}
        for scene in SCENES:
            run = self.runs.get(scene.name)
            if run and run.state == "running":
                scene.look(self, run)
                if run.state == "running" and time.monotonic() - run.started > GIVE_UP_SECONDS:
                    run.state = "failed"
                    run.say(web.now(), "It has not arrived. The gateway's Deliveries page says what it waits for.")
        async with self.changed:
            self.changed.notify_all()

    async def fetch(self, url: str, headers: dict[str, str] | None = None) -> State | None:
        assert self.client is not None
        try:
            async with self.client.get(url, headers=headers) as answer:
                return dict(await answer.json(content_type=None)) if answer.status == 200 else None
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return None  # a system that is away shows as missing figures

    # -- what the page shows -----------------------------------------------------------------------------

    def figures(self) -> dict[str, str]:
        """The ledger: requests made, changes found and seconds late, for pull and for push."""
        states = self.states
        asked = sum(count(states, name, "api_requests") for name in ("shop", "accounting", "payments"))
        told_us = count(states, "payments", "webhooks_sent") + count(states, "crm", "webhooks_sent")
        told_us += self.leads()
        told_them = count(states, "crm", "hooks") + count(states, "chat", "texts")
        pulled, pushed = self.lateness()
        totals = self.stats.get("totals", {})
        polled = pull_changes(self.stats)
        return {
            "pull_requests": str(asked),
            "pull_changes": str(len(pulled)),
            "pull_late": seconds(pulled),
            "pull_price": ratio(asked, len(pulled)),
            "push_requests": str(told_us + told_them),
            "push_changes": str(told_us),
            "push_late": seconds(pushed),
            "push_price": ratio(told_us + told_them, told_us),
            "gateway": (
                f"The gateway's own books: {totals.get('accepted', 0)} events accepted, {totals.get('delivered', 0)} "
                f"deliveries done, {totals.get('pending', 0)} waiting, {polled} changes found in resources."
                if totals else "The gateway has not answered yet."
            ),
        }  # fmt: skip

    def leads(self) -> int:
        return sum(1 for entry in self.arrivals() if entry["type"].startswith("lead."))

    def arrivals(self) -> list[State]:
        return list(self.states.get("crm", {}).get("arrivals", []))

    def lateness(self) -> tuple[list[float], list[float]]:
        """Seconds from the occurrence to the CRM, of what was learnt by asking and of what was told."""
        healed = set(self.states.get("payments", {}).get("lost", []))
        asked: list[float] = []
        told: list[float] = []
        for entry in self.arrivals():
            late = seconds_between(entry["happened_at"], entry["arrived_at"]) if entry["happened_at"] else 0.0
            by_asking = entry["type"].startswith("customers.") or entry["key"] in healed
            (asked if by_asking else told).append(late)
        return asked, told

    def snapshot(self) -> dict[str, Any]:
        scenes = {}
        for scene in SCENES:
            run = self.runs.get(scene.name)
            scenes[scene.name] = {
                "state": run.state if run else "idle",
                "lit": sorted(run.lit) if run else [],
                "lines": run.lines if run else [],
                "cost": run.cost if run else "",
            }
        return {"scenes": scenes, "figures": self.figures()}

    # -- pages -------------------------------------------------------------------------------------------

    async def page(self, request: Request) -> Response:
        self.read_at = time.monotonic()
        if not self.states:
            await self.look()
        places = {name: self.addresses[name] for name in SYSTEMS}
        markup = self.template.render(
            scenes=SCENES, now=self.snapshot(), places=places, gateway=self.gateway, words=WORDS
        )
        return HTMLResponse(markup, headers=web.PAGE_HEADERS)

    async def start(self, request: Request) -> Response:
        scene = next((scene for scene in SCENES if scene.name == request.path_params["name"]), None)
        if scene is None:
            return web.problem(404, "there is no such scene")
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return web.problem(403, "another site may not press this button")
        await self.begin(scene)
        return JSONResponse(self.snapshot()) if web.wants_json(request) else web.back()

    async def begin(self, scene: Scene) -> None:
        await self.look()
        try:
            self.runs[scene.name] = await scene.start(self, dict(self.states))
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError) as error:
            self.runs[scene.name] = run = Run("", {}, state="failed")
            run.say(web.now(), f"A system did not answer as expected: {type(error).__name__}.")

    async def live(self, request: Request) -> Response:
        return StreamingResponse(self.stream(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    async def stream(self) -> AsyncIterator[str]:
        last = ""
        while True:
            self.read_at = time.monotonic()
            current = json.dumps(self.snapshot())
            if current != last:
                yield f"data: {current}\n\n"
                last = current
            async with self.changed:
                await self.changed.wait()

    async def state(self, request: Request) -> Response:
        self.read_at = time.monotonic()
        await self.look()
        return JSONResponse(self.snapshot())


WORDS = {"idle": "not played yet", "running": "on its way", "done": "arrived", "failed": "did not arrive"}


def pull_changes(stats: State) -> int:
    return sum(int(one.get("changes") or 0) for one in stats.get("resources", {}).values())


def seconds(values: list[float]) -> str:
    return f"{statistics.median(values):.2f}" if values else "-"


def ratio(requests: int, changes: int) -> str:
    return f"{requests / changes:.1f}" if changes else "-"


def main() -> None:
    parser = web.arguments(__doc__ or "")
    for name in SYSTEMS:
        parser.add_argument(f"--{name}", required=True, help="address of this system")
    options = parser.parse_args()
    company = Company(web.System("Sample company", options), {name: getattr(options, name) for name in SYSTEMS})
    web.serve(
        [
            Route("/", company.page),
            Route("/live", company.live),
            Route("/scenes/{name}", company.start, methods=["POST"]),
            Route("/demo/state", company.state),
        ],
        options.port,
        company.lifespan,
    )


if __name__ == "__main__":
    main()
