"""Commands without the cost of their start: one process imports the command line once and forks for each command.

A command still has a process, environment, folder and standard streams of its own; it only skips the imports, which
take longer than what most commands do. `run(...)` is the client; `python forked.py SOCKET` is the process that
forks. It belongs to the test process that started it and ends with it, by the end of its listening socket's pair.

The forking process has one thread and never runs a command itself. For each call it forks a parent, which forks the
command, waits for it, and answers with its process id first and its exit code at the end.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

LONGEST_REQUEST = 1 << 20
_server: tuple[int, socket.socket, subprocess.Popen[bytes]] | None = None  # with the process that started it


# -- the client ------------------------------------------------------------------------------------------


def run(
    words: tuple[str, ...], folder: Path, env: Mapping[str, str], stdin: bytes, seconds: float
) -> tuple[int, bytes, bytes]:
    """(exit code, stdout, stderr) of a command; the code is negative for the signal that ended it. TimeoutError."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(stdin)
        given.seek(0)
        code = _call({"words": words, "folder": str(folder), "env": dict(env)}, (given, out, err), seconds)
        return code, _all(out), _all(err)


def _call(request: dict[str, Any], streams: tuple[IO[bytes], ...], seconds: float) -> int:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        socket.send_fds(
            _connection(), [json.dumps(request).encode()], [theirs.fileno(), *(one.fileno() for one in streams)]
        )
        theirs.close()
        ours.settimeout(seconds)
        pid = int(_line(ours))
        try:
            return int(_line(ours))
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise TimeoutError(f"{request['words']} did not end within {seconds:.0f} s") from None


def _connection() -> socket.socket:
    """The pair to the forking process, which is started by the first command."""
    global _server
    if _server is None or _server[0] != os.getpid():
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            theirs.set_inheritable(True)
            child = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8"},
            )
        _server = (os.getpid(), ours, child)
        atexit.register(_end, ours, child)
    return _server[1]


def _end(ours: socket.socket, child: subprocess.Popen[bytes]) -> None:
    ours.close()
    child.wait(10)


def _line(sock: socket.socket) -> str:
    found = b""
    while not found.endswith(b"\n"):
        part = sock.recv(1)
        if not part:
            raise RuntimeError("the process that forks commands ended")
        found += part
    return found.decode()


def _all(stream: IO[bytes]) -> bytes:
    stream.seek(0)
    return stream.read()


# -- the process that forks ------------------------------------------------------------------------------


def serve(requests: socket.socket) -> None:
    from tidegate.cli import COMMANDS

    for module in sorted({module for module, _ in COMMANDS.values()}):
        importlib.import_module(f"tidegate.cli.{module}")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the parents of commands are reaped by the kernel
    while True:
        request, descriptors, _, _ = socket.recv_fds(requests, LONGEST_REQUEST, 4)
        if not request:
            return
        if os.fork() == 0:
            requests.close()
            _parent(json.loads(request), descriptors)
        for one in descriptors:
            os.close(one)


def _parent(request: dict[str, Any], descriptors: list[int]) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    answers, *streams = descriptors
    pid = os.fork()
    if pid == 0:
        os.close(answers)
        os._exit(_command(request, streams))
    os.write(answers, b"%d\n" % pid)
    _, status = os.waitpid(pid, 0)
    os.write(answers, b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _command(request: dict[str, Any], streams: list[int]) -> int:
    """What `python -m tidegate WORDS` does after its imports; returns the exit code."""
    for number, one in enumerate(streams):
        os.dup2(one, number)
        os.close(one)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        setattr(sys, name, os.fdopen(("stdin", "stdout", "stderr").index(name), mode, encoding="utf-8"))
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    sys.argv[:] = ["tidegate", *request["words"]]
    from tidegate.cli import main

    try:
        return main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001 - as the interpreter does with what nobody caught
        traceback.print_exc()
        return 1
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
