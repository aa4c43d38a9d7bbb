"""`tidegate demo`: from the command to the end, and what the user reads.

Owns signals and the terminal: Ctrl-C, SIGTERM and SIGHUP end the company and this process with 0; a part that dies
ends it with 1 and is named. Without a data directory everything lies in a temporary one, which is removed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import webbrowser
from pathlib import Path

from tidegate.demo.files import Failed
from tidegate.demo.supervisor import Stage


def play(data: Path | None, port: int, open_browser: bool) -> int:
    if data is not None:
        return asyncio.run(_run(data.absolute(), port, open_browser))
    with tempfile.TemporaryDirectory(prefix="tidegate-demo-") as directory:
        return asyncio.run(_run(Path(directory), port, open_browser))


async def _run(data: Path, port: int, open_browser: bool) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    stage = Stage(data, port, _command())
    try:
        print("Starting the sample company: six small systems, and the gateway between them.", flush=True)
        await stage.start(stop)
        if not stop.is_set():
            print(_welcome(stage), flush=True)
            if open_browser:
                webbrowser.open(stage.address["company"] + "/")
            await stage.watch(stop)
        print("\nStopping.", flush=True)
    except Failed as failure:
        print(f"error[demo_failed]: {failure}\nhint: {failure.hint or _hint(stage)}", file=sys.stderr, flush=True)
        return 1
    finally:
        await stage.end()
    print("The sample company has stopped; nothing of it is running any more.", flush=True)
    return 0


def _hint(stage: Stage) -> str:
    return (
        f"the logs lie in {stage.files.logs}; start again: {stage.command} demo --data {stage.files.data}"
        if not stage.files.data.name.startswith("tidegate-demo-")
        else f"to keep the logs, start with a directory: {stage.command} demo --data demo-data"
    )


def _command() -> str:
    """How the user can call us again: `.venv/bin/tidegate` below this directory, else the whole path, else the name."""
    ran = Path(sys.argv[0])
    if ran.name != "tidegate":
        return f"{sys.executable} -m tidegate"
    try:
        return str(ran.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(ran) if ran.is_absolute() and os.access(ran, os.X_OK) else "tidegate"


def _welcome(stage: Stage) -> str:
    moved = [f"{name} {wanted} -> {stage.ports[name]}" for name, wanted in stage.wanted.items()
             if stage.ports[name] != wanted]  # fmt: skip
    lines = [
        "",
        f"  The story    {stage.address['company']}/",
        f"  Dashboard    {stage.login}",
        f"  Files        {stage.files.data}",
        "",
        '1. Open the story and press "Play all six". Each step is seen as it happens.',
        "2. Its links lead into the gateway's dashboard. The link above signs a browser in, once, within the hour.",
        f"3. In a second terminal, follow the log: {stage.command} tail --data {stage.files.gateway}",
    ]
    if moved:
        lines += ["", f"Some ports were taken, others were chosen: {', '.join(moved)}."]
    return "\n".join([*lines, "", "Ctrl-C stops everything."])
