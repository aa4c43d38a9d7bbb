"""`tidegate demo`: runs the sample company and prints what the user reads.

Owns signals and the terminal: Ctrl-C, SIGTERM and SIGHUP stop everything with exit code 0; when a part dies, its name
is printed and the exit code is 1. Without a data directory a temporary one is used and removed.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
import webbrowser
from pathlib import Path

from tidegate_company.files import Failed
from tidegate_company.supervisor import Supervisor


def play(data: Path | None, port: int, open_browser: bool, command: str) -> int:
    """Run until a stop is requested. `command` is how messages spell the command line. Returns the exit code."""
    if data is not None:
        return asyncio.run(_run(data.absolute(), port, open_browser, command))
    with tempfile.TemporaryDirectory(prefix="tidegate-demo-") as directory:
        return asyncio.run(_run(Path(directory), port, open_browser, command))


async def _run(data: Path, port: int, open_browser: bool, command: str) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    supervisor = Supervisor(data, port, command)
    try:
        print("Starting the sample company: seven small systems, and the gateway between them.", flush=True)
        await supervisor.start(stop)
        if not stop.is_set():
            print(_welcome(supervisor), flush=True)
            if open_browser:
                webbrowser.open(supervisor.address["company"] + "/")
            await supervisor.watch(stop)
        print("\nStopping.", flush=True)
    except Failed as failure:
        print(f"error[demo_failed]: {failure}\nhint: {failure.hint or _hint(supervisor)}", file=sys.stderr, flush=True)
        return 1
    finally:
        await supervisor.end()
    print("The sample company has stopped; none of its programs is running.", flush=True)
    return 0


def _hint(supervisor: Supervisor) -> str:
    files, command = supervisor.files, supervisor.command
    if files.data.name.startswith("tidegate-demo-"):
        return f"to keep the logs, start with a directory: {command} demo --data demo-data"
    return f"read the logs in {files.logs}; start again: {command} demo --data {files.data}"


def _welcome(supervisor: Supervisor) -> str:
    moved = [f"{name} {wanted} -> {supervisor.ports[name]}" for name, wanted in supervisor.wanted.items()
             if supervisor.ports[name] != wanted]  # fmt: skip
    lines = [
        "",
        f"  The story    {supervisor.address['company']}/",
        f"  Dashboard    {supervisor.login}",
        f"  Files        {supervisor.files.data}",
        "",
        '1. Open the story and press "Play all seven". The page shows each step as it happens.',
        "2. Its links open the gateway's dashboard. The link above logs one browser in, once, within the hour.",
        f"3. In a second terminal, follow the log: {supervisor.command} tail --data {supervisor.files.gateway}",
    ]
    if moved:
        lines += ["", f"Some ports are in use, so other ports were chosen: {', '.join(moved)}."]
    return "\n".join([*lines, "", "Ctrl-C stops everything."])
