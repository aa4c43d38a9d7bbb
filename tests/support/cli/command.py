"""The command line as a user has it: each call is a process of its own, with an environment of its own (`forked`).

`tidegate(...)` runs one command to its end; `Served` is `tidegate serve` from its ready line to its exit code. Neither
sees the surrounding environment, so that no variable of a developer decides a test.
"""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from support.cli import forked

COMMAND = (sys.executable, "-m", "tidegate")
SECONDS = 60.0  # no command of a test takes a tenth of that
ERROR = re.compile(r"error\[(?P<code>[a-z_0-9]+)\]: (?P<what>.+?)(?: - at (?P<path>\$\S*)(?: \((?P<where>[^)]*)\))?)?")


def environment(folder: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", ""), "HOME": str(folder), "LANG": "C.UTF-8", **(more or {})}


class Done(NamedTuple):
    """A command that ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self
        return json.loads(self.out)

    @property
    def errors(self) -> list[dict[str, str]]:
        """The errors of stderr, each with code, what, path, where and hint; AssertionError for any other line."""
        found: list[dict[str, str]] = []
        for line in self.err.splitlines():
            match = ERROR.fullmatch(line)
            if match is not None:
                found.append({name: value or "" for name, value in match.groupdict().items()})
            else:
                assert found and "hint" not in found[-1] and line.startswith("hint: "), self.err
                found[-1]["hint"] = line.removeprefix("hint: ")
        return found

    def refused(self, code: str, exit_code: int) -> dict[str, str]:
        """The only error, which has a hint, an exit code, and nothing on stdout."""
        assert self.code == exit_code, self
        assert self.out == "", self
        (error,) = self.errors
        assert error["code"] == code, self
        assert error["hint"], self
        return error


def tidegate(folder: Path, *words: str, env: Mapping[str, str] | None = None, stdin: bytes = b"") -> Done:
    """One command, run in `folder`, with no more environment than `env`."""
    code, out, err = forked.run(words, folder, environment(folder, env), stdin, SECONDS)
    return Done(code, out.decode(), err.decode())


class Served:
    """`tidegate serve` as a process: `with Served(folder, toml) as gateway:`. Leaving ends it by SIGTERM: exit 0."""

    def __init__(
        self,
        folder: Path,
        toml: str,
        *words: str,
        env: Mapping[str, str] | None = None,
        program: Sequence[str] = COMMAND,
    ) -> None:
        self.folder = folder
        self.file = folder / "tidegate.toml"
        self.data = folder / "data"
        self.url = ""
        self.lines: list[str] = []  # of stdout
        self.log: list[str] = []  # of stderr
        self._env = env
        self._program = program
        self.words: Sequence[str] = ("serve", "--data", "data", "--port", "0", "--config", "tidegate.toml", *words)
        self._child: subprocess.Popen[str] | None = None
        self._threads: list[threading.Thread] = []
        self.file.write_text(toml)

    def __enter__(self) -> Served:
        """Starts it; after an end the same gateway may be entered again."""
        return self.start()

    def __exit__(self, kind: object, *_: object) -> None:
        if self._child is not None and self._child.poll() is None:
            code = self.end(signal.SIGTERM)
            assert kind is not None or code == 0, (code, self.log)

    def start(self) -> Served:
        assert self._child is None or self._child.poll() is not None, "it runs already"
        self._child = subprocess.Popen(
            [*self._program, *self.words],
            cwd=self.folder,
            env=environment(self.folder, self._env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines, self.log = [], []
        first: queue.Queue[str] = queue.Queue()
        self._threads = [
            threading.Thread(target=self._read, args=(self._child.stdout, self.lines, first), daemon=True),
            threading.Thread(target=self._read, args=(self._child.stderr, self.log, None), daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        line = first.get(timeout=SECONDS)
        if not line.startswith("ready http://"):
            self.end(signal.SIGKILL)
            raise AssertionError(f"no start: {line!r} {self.log}")
        self.url = line.removeprefix("ready ").strip()
        return self

    @staticmethod
    def _read(stream: Any, into: list[str], first: queue.Queue[str] | None) -> None:
        for line in stream:
            into.append(line)
            if first is not None and len(into) == 1:
                first.put(line)
        if first is not None:
            first.put("")  # it ended without a word
        stream.close()

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def end(self, number: int) -> int:
        """Send a signal and wait; the exit code, negative for the signal that ended it."""
        assert self._child is not None
        if self._child.poll() is None:
            self.signal(number)
        code = self._child.wait(SECONDS)
        for thread in self._threads:
            thread.join()
        return code

    @property
    def key(self) -> str:
        return str(json.loads((self.data / "local.json").read_text())["key"])

    def run(self, *words: str, env: Mapping[str, str] | None = None) -> Done:
        """A command on this gateway, by its local.json."""
        return tidegate(self.folder, *words, env={"TIDEGATE_DATA": "data", **(env or {})})

    def logged(self, message: str) -> list[dict[str, Any]]:
        """Log lines whose message begins like this."""
        return [line for line in map(json.loads, list(self.log)) if line["message"].startswith(message)]
