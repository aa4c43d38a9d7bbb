"""The story page: seven small scenes that show who calls whom and what it costs.

Reads the counters of the seven systems and the gateway's API, and starts a scene by calling the systems as a person
would. It moves no data between them. One loop reads the states while someone watches or a scene runs; pages get them as
server-sent events, and without scripts by reloading. Its links into the dashboard log the browser in with a one-time
link from the gateway, so anyone who can open this page can open the sample gateway.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import uvicorn
from jinja2 import Environment, FileSystemLoader
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from tidegate_company import costs, web
from tidegate_company.scenes import BOTH, PULLED, PUSHED, SCENES, Scene
from tidegate_company.story import Run, State

SYSTEMS = {
    "website": "Website", "payments": "Payments", "crm": "CRM", "chat": "Chat", "accounting": "Accounting",
    "shop": "Shop", "mailbox": "Mailbox",
}  # fmt: skip
LOOK_SECONDS = 0.8
BUSY_SECONDS = 0.25  # while a scene runs
STREAM_SECONDS = 0.5  # how often a stream checks whether the server ends
IDLE_SECONDS = 5.0  # how long the loop continues after the last reader
NEXT_SECONDS = 1.0  # between two scenes when all are played
PATIENCE_SECONDS = 20.0  # for one scene when all are played


class Company:
    def __init__(self, system: web.System, addresses: dict[str, str]) -> None:
        self.system = system
        self.gateway: str = system.options.gateway
        self.addresses = addresses
        self.states: dict[str, State] = {}
        self.stats: State = {}
        self.runs: dict[str, Run] = {}
        self.playing = ""  # the scene whose turn it is when all are played
        self.turns: asyncio.Task[None] | None = None
        self.client: aiohttp.ClientSession | None = None
        self.changed = asyncio.Condition()
        self.looking = asyncio.Lock()
        self.read_at = 0.0
        loader = FileSystemLoader(Path(__file__).parent / "templates")
        environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
        self.template = environment.get_template("story.html")

    @contextlib.asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15)) as self.client:
            watcher = asyncio.create_task(self.watch())
            yield
            for task in (watcher, self.turns):
                if task is not None:
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await task

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
        """Post as a browser posts a form and follow the redirect. Returns the status before the redirect."""
        assert self.client is not None
        async with self.client.post(url, data=fields) as answer:
            return answer.history[0].status if answer.history else answer.status

    async def event(
        self, source: str, *, key: str = "", text: str = "", kind: str = "", version: str = ""
    ) -> State | None:
        query = "".join(f"&{name}={quote(value)}" for name, value in (("key", key), ("q", text)) if value)
        found = await self.ask(f"/events?source={source}&limit=10{query}")
        for one in (found or {}).get("data", []):
            fits = not version or str((one.get("change") or {}).get("version")) == version
            if fits and str(one["type"]).startswith(kind):
                return dict(one)
        return None

    # -- looking -----------------------------------------------------------------------------------------

    async def watch(self) -> None:
        while True:
            busy = bool(self.playing) or any(run.state == "running" for run in self.runs.values())
            if busy or time.monotonic() - self.read_at < IDLE_SECONDS:
                await self.look()
            await asyncio.sleep(BUSY_SECONDS if busy else LOOK_SECONDS)

    async def look(self) -> None:
        async with self.looking:
            await asyncio.gather(*(self.look_at(name) for name in SYSTEMS))
            self.stats = await self.ask("/stats") or {}
            for scene in SCENES:
                run = self.runs.get(scene.name)
                if run is not None and run.going:
                    await scene.look(self, run)
                    run.grow_old()
        await self.notify()

    async def look_at(self, system: str) -> None:
        """Read the state of a system. Without an answer its last state stays."""
        found = await self.fetch(f"{self.addresses[system]}/demo/state")
        if found is not None:
            self.states[system] = found

    async def ask(self, path: str) -> State | None:
        """The gateway's API, with a key that may only read."""
        key = self.system.secret("company-read-key")
        return await self.fetch(f"{self.gateway}/api/v1{path}", {"Authorization": f"Bearer {key}"})

    async def fetch(self, url: str, headers: dict[str, str] | None = None) -> State | None:
        assert self.client is not None
        try:
            async with self.client.get(url, headers=headers) as answer:
                return dict(await answer.json(content_type=None)) if answer.status == 200 else None
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return None

    async def notify(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    # -- playing -----------------------------------------------------------------------------------------

    async def begin(self, scene: Scene) -> None:
        await self.look()
        try:
            self.runs[scene.name] = await scene.start(self)
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError) as error:
            self.runs[scene.name] = run = Run("")
            run.fail(f"A system did not answer as expected: {type(error).__name__}.")
        await self.look()

    async def take_turns(self) -> None:
        try:
            for scene in SCENES:
                self.playing = scene.name
                await self.begin(scene)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(PATIENCE_SECONDS), self.changed:
                        await self.changed.wait_for(lambda: self.runs[scene.name].state != "running")  # noqa: B023
                await asyncio.sleep(NEXT_SECONDS)
        finally:
            self.playing = ""
        await self.notify()

    # -- what the page shows -----------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        now = time.time()
        return {
            "scenes": {scene.name: self.scene(scene, now) for scene in SCENES},
            "figures": costs.figures(self.states, self.stats),
            "lanes": costs.lanes(self.states, now),
            "playing": self.playing,
        }

    def scene(self, scene: Scene, now: float) -> dict[str, Any]:
        run = self.runs.get(scene.name)
        steps = len(scene.plan)
        if run is None:
            return {"state": "idle", "lit": [], "steps": [None] * steps, "note": "", "cost": [], "problem": ""}
        waits = scene.polls and run.state == "running" and len(run.steps) == 1
        return {
            "state": run.state,
            "lit": sorted(run.lit),
            "steps": run.shown(steps),
            "note": costs.next_poll(self.stats, scene.polls, now) if waits else "",
            "cost": run.cost,
            "problem": run.problem,
        }

    # -- pages -------------------------------------------------------------------------------------------

    async def page(self, request: Request) -> Response:
        self.read_at = time.monotonic()
        if not self.states:
            await self.look()
        markup = self.template.render(
            parts=(("Push: the other side sends", PUSHED), ("Pull: Tidegate asks", PULLED),
                   ("Both: the same mailbox by push and by pull", BOTH)), now=self.snapshot(),
            at=time.time(), names=SYSTEMS, places=self.addresses, theme=web.theme(request), words=WORDS,
            command=self.system.options.command, data=self.system.options.data, lane_seconds=costs.LANE_SECONDS,
        )  # fmt: skip
        return HTMLResponse(markup, headers=web.PAGE_HEADERS)

    async def start(self, request: Request) -> Response:
        """One scene, or all of them in turn at `/scenes/all`."""
        name = request.path_params["name"]
        scene = next((scene for scene in SCENES if scene.name == name), None)
        if scene is None and name != "all":
            return web.problem(404, "there is no scene with this name")
        if not web.own_page(request):
            return web.problem(403, "the request does not come from this page")
        if scene is not None:
            await self.begin(scene)
        elif self.turns is None or self.turns.done():
            self.playing = SCENES[0].name
            self.turns = asyncio.create_task(self.take_turns())
        return JSONResponse({**self.snapshot(), "at": time.time()}) if web.wants_json(request) else web.back()

    async def dashboard(self, request: Request) -> Response:
        """Redirect to a page of the gateway, logged in. Only a click on this page gets a login link."""
        to = "/" + request.path_params.get("path", "")
        if request.headers.get("sec-fetch-site") != "same-origin":
            return RedirectResponse(self.gateway + to, 303)
        assert self.client is not None
        headers = {"Authorization": f"Bearer {self.system.secret('admin-key')}"}
        try:
            async with self.client.post(f"{self.gateway}/api/v1/keys/login", headers=headers) as answer:
                link = f"{(await answer.json())['path']}&to={quote(to)}" if answer.status == 201 else to
        except (aiohttp.ClientError, TimeoutError):
            return web.problem(502, "the gateway does not answer")
        return RedirectResponse(self.gateway + link, 303, {"Cache-Control": "no-store"})

    async def theme(self, request: Request) -> Response:
        chosen = (await web.form(request)).get("theme", "")
        answer = web.back()
        if chosen in ("light", "dark"):
            answer.set_cookie(web.THEME_COOKIE, chosen, max_age=31_536_000, samesite="strict")
        return answer

    async def live(self, request: Request) -> Response:
        return StreamingResponse(
            self.stream(request.app.state.server), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    async def stream(self, server: uvicorn.Server) -> AsyncIterator[str]:
        """Ends with the server, which would wait for it otherwise."""
        last: dict[str, Any] = {}
        while not server.should_exit:
            self.read_at = time.monotonic()
            current = self.snapshot()
            if current != last:
                yield f"data: {json.dumps({**current, 'at': time.time()})}\n\n"
                last = current
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STREAM_SECONDS), self.changed:
                    await self.changed.wait()

    async def state(self, request: Request) -> Response:
        self.read_at = time.monotonic()
        await self.look()
        return JSONResponse(self.snapshot())


WORDS = {
    "idle": "not played", "running": "running", "waiting": "still waiting", "done": "arrived",
    "failed": "did not arrive",
}  # fmt: skip


def main() -> None:
    parser = web.arguments(__doc__ or "")
    for name in SYSTEMS:
        parser.add_argument(f"--{name}", required=True, help="address of this system")
    parser.add_argument("--command", default="tidegate", help="how the command is called on this machine")
    parser.add_argument("--data", default="", help="where the demo keeps its files")
    options = parser.parse_args()
    company = Company(web.System("Sample company", options), {name: getattr(options, name) for name in SYSTEMS})
    web.serve(
        [
            Route("/", company.page),
            Route("/live", company.live),
            Route("/scenes/{name}", company.start, methods=["POST"]),
            Route("/dashboard", company.dashboard),
            Route("/dashboard/{path:path}", company.dashboard),
            Route("/theme", company.theme, methods=["POST"]),
            Route("/demo/state", company.state),
        ],
        options,
        company.lifespan,
    )


if __name__ == "__main__":
    main()
