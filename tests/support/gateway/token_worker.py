"""A process that uses one token: `python token_worker.py JSON`. It prints one line of JSON about how it ended.

`{"store": FOLDER or postgresql://..., "url": the authorization server, "rounds": n, "kill_at": step}`.
With `kill_at` it kills itself with SIGKILL at that step of a refresh, as a machine that loses power would.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from tidegate.auth import KINDS
from tidegate.auth.oauth2_refresh_token import RefreshTokenAuth
from tidegate.core.clock import Clock
from tidegate.core.errors import TidegateError
from tidegate.core.findings import Findings
from tidegate.outbound.dialer import Dialer, Guard
from tidegate.outbound.http import PullClient
from tidegate.outbound.token_client import TokenClient
from tidegate.outbound.tokens import TokenManager, TokenPorts, new_owner
from tidegate.rules.outbound.addresses import parse_allow
from tidegate.store.postgres import open_postgres
from tidegate.store.sqlite import open_sqlite
from tidegate.vault import Vault

STEPS = ("locked", "announced", "answered", "stored")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Dying:
    """A store and a client that end the process after a step."""

    def __init__(self, store: Any, send: Any, step: str) -> None:
        self._store, self._send, self._step = store, send, step

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def _after(self, step: str, work: Any) -> Any:
        result = await work
        if step == self._step:
            die()
        return result

    async def lock(self, *given: Any) -> Any:
        return await self._after("locked", self._store.lock(*given))

    async def announce(self, *given: Any) -> Any:
        return await self._after("announced", self._store.announce(*given))

    async def put(self, *given: Any) -> Any:
        return await self._after("stored", self._store.put(*given))

    async def send(self, *given: Any) -> Any:
        return await self._after("answered", self._send(*given))


async def work(job: dict[str, Any]) -> dict[str, Any]:
    place = job["store"]
    store: Any = await (open_postgres(place) if "://" in place else open_sqlite(Path(place)))
    clock = Clock()
    client = PullClient(Dialer(Guard(parse_allow(["127.0.0.1/32"])), clock), clock)
    dying = Dying(store.credentials, TokenClient(client).send, job.get("kill_at", ""))
    findings = Findings(clock)
    ports = TokenPorts(dying, Vault(b"k" * 32), dying.send, clock, findings, new_owner())
    auth = RefreshTokenAuth(
        access_token_url=f"{job['url']}/token", client_id="app", client_secret="s3cret", refresh_token="refresh-0"
    )
    manager = TokenManager("credential/crm", KINDS["oauth2_refresh_token"], auth, ports)  # type: ignore[arg-type]
    answered: dict[str, int] = {}
    try:
        for _ in range(job.get("rounds", 1)):
            used = await manager.get()
            for attempt in range(2):
                headers = {"authorization": f"Bearer {used}"}
                response = await client.request("GET", f"{job['url']}/api", headers=headers, timeout_seconds=10)
                answered[str(response.status)] = answered.get(str(response.status), 0) + 1
                if response.status != 401 or attempt or not await manager.refused(used):
                    break
                used = await manager.get()
            if response.status != 401:
                manager.accepted(used)
        return {"answered": answered, "ended": "ok"}
    except TidegateError as error:
        codes = [one.code for one in findings.listed()]
        return {"answered": answered, "ended": error.code, "cause": getattr(error, "cause", ""),
                "message": error.message, "hint": error.hint, "findings": codes}  # fmt: skip
    finally:
        await client.close()
        await store.leases.stop()
        await store.close()


if __name__ == "__main__":
    print(json.dumps(asyncio.run(work(json.loads(sys.argv[1])))))
