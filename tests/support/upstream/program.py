"""Real programs whose APIs are polled: where `.ci/NAME` prepared them, and the wait until one listens."""

from __future__ import annotations

import asyncio
import os
from asyncio.subprocess import Process
from pathlib import Path

TOOLS = Path(os.environ.get("TIDEGATE_TOOLS", Path(__file__).parents[3] / ".tools"))
START_SECONDS = 60.0


def missing(name: str) -> str:
    """Why a program cannot run here; "" when it can."""
    if (TOOLS / name / "installed").exists():
        return ""
    begun = (TOOLS / name).exists()
    return f"{name} is {'half installed: its build did not end' if begun else 'not installed'}; .ci/{name} installs it"


async def listens(program: Process, where: int | Path) -> None:
    """Until it accepts connections at a port of this machine, or at a socket of the file system."""
    async with asyncio.timeout(START_SECONDS):
        while True:
            assert program.returncode is None, "the program ended"
            try:
                if isinstance(where, int):
                    _, writer = await asyncio.open_connection("127.0.0.1", where)
                else:
                    _, writer = await asyncio.open_unix_connection(where)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return


async def end(program: Process, seconds: float = 10.0) -> None:
    """SIGTERM, and SIGKILL if it does not end in time."""
    if program.returncode is not None:
        return
    program.terminate()
    try:
        async with asyncio.timeout(seconds):
            await program.wait()
    except TimeoutError:
        program.kill()
        await program.wait()
