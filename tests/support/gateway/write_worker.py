"""A gateway that makes one write and kills itself: `python write_worker.py JSON`.

`{"folder": ..., "database": ... or null, "kill": "before_merge" or "before_answer", "data": of the event}`. It ends by
SIGKILL after the other system answered, before the answer is merged into the records or before it is stored.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from support.gateway.running import publish
from tidegate.process.gateway import ServeOptions, open_gateway


async def die(*given: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def work(job: dict[str, Any]) -> None:
    folder = Path(job["folder"])
    options = ServeOptions(config=folder / "tidegate.toml", data=folder / "data", port=1, database=job["database"])
    gateway = await open_gateway(options, {}, None)
    if job["kill"] == "before_merge":
        gateway.pull.answers.merge = die  # type: ignore[method-assign]
    else:
        gateway.operations._writes.answered = die  # type: ignore[method-assign,assignment]
    await gateway.start()
    await publish(gateway, json.dumps(job["data"]).encode(), source="site", type="lead.new", key="lead-1")
    await asyncio.sleep(20)


if __name__ == "__main__":
    asyncio.run(work(json.loads(sys.argv[1])))
