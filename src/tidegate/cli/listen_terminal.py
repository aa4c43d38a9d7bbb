"""The keys of `tidegate listen` on a terminal: select a request, replay it, edit it, read it, search, copy as curl.

Owns what is on the terminal: a line for each request, and below them one line with the selected request and the keys.
Requests go out on other threads, so that keys work while the local program takes its time. Invariants: text from
outside is cleaned before it is printed; the terminal is restored however the command ends. Crash: nothing is kept.
"""

from __future__ import annotations

import base64
import os
import queue
import re
import select
import shlex
import shutil
import subprocess
import sys
import tempfile
import termios
import threading
import tty
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegate.cli.json_text import json_text, read_json
from tidegate.cli.listener import Shown, line_of
from tidegate.cli.local_post import LocalRequest, Unreachable
from tidegate.cli.output import clean, span
from tidegate.core.errors import TidegateError

if TYPE_CHECKING:
    from tidegate.cli.client import JsonObject
    from tidegate.cli.listener import Listener

KEPT = 500  # requests that can be selected
SHOWN_BODY = 4000  # characters of a body in the details
TICK_SECONDS = 0.05
_KEYS = "r replay  e edit and replay  d details  / search  c copy as curl  up/down select  q quit"
_SHORT = "keys: r e d / n c q  ? help"  # where the line is too short for the others
_HELP = (
    "r  send the request again", "e  edit the body and send it", "d  show request and answer",
    "/  search; n finds the next older match", "c  print and copy it as a curl command", "up, down  select a request",
    "q  end",
)  # fmt: skip
_ARROWS = {"\x1b[A": "up", "\x1b[B": "down", "\x1bOA": "up", "\x1bOB": "down"}
# A key that sends several characters, or one character. An escape alone is the Escape key.
_KEY = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|O[@-~])|.", re.DOTALL)
_ERASE = "\r\x1b[2K"


class _NotSentError(Exception):
    """An edited body is not sent; the text says why."""


class Terminal:
    """One session. `run` returns the exit code."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._stop = threading.Event()
        self._incoming: queue.Queue[Shown | str | BaseException] = queue.Queue()
        self._kept: list[Shown] = []
        self._selected: int | None = None  # None: always the newest
        self._prompt: str | None = None  # what was typed after `/`
        self._search = ""
        self._drafts: dict[str, str] = {}  # by event, edited bodies that are not JSON
        self._actions: dict[str, Callable[[], None]] = {
            "r": self._replay, "e": self._edit, "d": self._details, "c": self._copy, "/": self._begin_search,
            "n": self._search_on, "k": lambda: self._move(-1), "j": lambda: self._move(1), "q": self._stop.set,
            "up": lambda: self._move(-1), "down": lambda: self._move(1), "?": self._help,
            "\x03": self._stop.set, "\x04": self._stop.set,
        }  # fmt: skip

    def run(self) -> int:
        self._fd = sys.stdin.fileno()
        before = termios.tcgetattr(self._fd)
        worker = threading.Thread(target=self._work, name="listen", daemon=True)
        try:
            tty.setcbreak(self._fd)
            worker.start()
            self._loop()
        except KeyboardInterrupt:
            pass
        finally:
            self._stop.set()
            termios.tcsetattr(self._fd, termios.TCSADRAIN, before)
            sys.stdout.write(_ERASE)
        print("what comes from now on arrives when you start this command again")
        return 0

    def _work(self) -> None:
        try:
            self._listener.run(self._stop, self._incoming.put)
        except Exception as error:  # noqa: BLE001 - the main thread raises it
            self._incoming.put(error)

    def _loop(self) -> None:
        self._draw()
        while not self._stop.is_set():
            ready, _, _ = select.select([self._fd], [], [], TICK_SECONDS)
            if ready:
                data = os.read(self._fd, 256).decode("utf-8", "replace")
                if not data:
                    return
                for key in _keys_of(data):
                    self._key(key)
                self._draw()
            self._take_incoming()

    def _take_incoming(self) -> None:
        seen = False
        while True:
            try:
                what = self._incoming.get_nowait()
            except queue.Empty:
                break
            seen = True
            if isinstance(what, BaseException):
                raise what
            if isinstance(what, str):
                self._say(what)
                continue
            self._kept.append(what)
            if len(self._kept) > KEPT:
                del self._kept[0]
                self._selected = None if self._selected is None else max(self._selected - 1, 0)
            self._print(line_of(what))
        if seen:
            self._draw()

    # -- keys --------------------------------------------------------------------------------------------

    def _key(self, key: str) -> None:
        if self._prompt is not None:
            self._type(key)
            return
        action = self._actions.get(key)
        if action is not None:
            action()

    def _type(self, key: str) -> None:
        """One key of the text that is searched for."""
        assert self._prompt is not None
        if key in ("\r", "\n"):
            self._search, self._prompt = self._prompt, None
            self._selected = None
            self._search_on()
        elif key == "\x1b":
            self._prompt = None
        elif key in ("\x7f", "\b"):
            self._prompt = self._prompt[:-1]
        elif len(key) == 1 and key.isprintable():
            self._prompt += key

    def _begin_search(self) -> None:
        self._prompt = ""

    def _search_on(self) -> None:
        """Select the newest match, or the next older one."""
        if not self._search:
            return
        end = len(self._kept) if self._selected is None else self._selected
        for place in reversed(range(end)):
            if self._search.lower() in _text_of(self._kept[place]).lower():
                self._selected = place
                self._print(f"> {line_of(self._kept[place])}")
                return
        self._say(f"no {'older ' if self._selected is not None else ''}request contains {self._search!r}")

    def _move(self, step: int) -> None:
        if not self._kept:
            return
        place = len(self._kept) - 1 if self._selected is None else self._selected
        place = min(max(place + step, 0), len(self._kept) - 1)
        self._selected = None if place == len(self._kept) - 1 else place

    def _current(self) -> Shown | None:
        if not self._kept:
            self._say("nothing came so far")
            return None
        return self._kept[-1 if self._selected is None else self._selected]

    def _replay(self) -> None:
        if (shown := self._current()) is not None:
            self._send(shown.event, "replay", None)

    def _edit(self) -> None:
        shown = self._current()
        if shown is None:
            return
        came = shown.event["origin"] in ("webhook", "form")  # the body of others is an envelope around the data
        try:
            body = self._edited(shown.event["id"], shown.request.body if came else _bytes_of(shown.event["data"]))
        except _NotSentError as error:
            self._say(f"{error}, so nothing was sent")
        else:
            self._send(shown.event, "edit", {"body": body})

    def _send(self, event: JsonObject, way: str, change: JsonObject | None) -> None:
        def work() -> None:
            try:
                self._incoming.put(self._listener.send(event, way, change))
            except Unreachable as error:
                self._incoming.put(f"{self._listener.target.url} does not answer: {error}")
            except TidegateError as error:
                self._incoming.put(f"{error.message}; {error.hint}" if error.hint else error.message)

        threading.Thread(target=work, daemon=True).start()

    def _edited(self, event_id: str, body: bytes) -> Any:
        """The body as the editor left it, parsed when it is JSON. _NotSentError when it is the same, or was JSON and is
        not any more; the editor then opens that text the next time.
        """
        text = _pretty(body)
        after = self._in_editor(self._drafts.pop(event_id, text))
        if after == text:
            raise _NotSentError("the body was not changed")
        try:
            return read_json(after)
        except ValueError as error:
            if not _is_json(body):
                return after
            self._drafts[event_id] = after
            raise _NotSentError(f"the body is not JSON any more ({error}); press e to correct it") from None

    def _in_editor(self, text: str) -> str:
        """The text as the editor left it. _NotSentError when the editor fails."""
        editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or shutil.which("nano") or "vi"
        with tempfile.TemporaryDirectory(prefix="tidegate-") as folder:
            file = Path(folder) / "body.json"
            file.write_text(text, "utf-8")
            settings = termios.tcgetattr(self._fd)
            self._restored()
            try:
                code = subprocess.call([*shlex.split(editor), str(file)])  # noqa: S603 - the user's own editor
            except OSError as error:
                raise _NotSentError(f"the editor {editor!r} cannot be started: {error.strerror}; set EDITOR") from None
            finally:
                termios.tcsetattr(self._fd, termios.TCSADRAIN, settings)
            if code != 0:
                raise _NotSentError(f"the editor ended with exit code {code}")
            return file.read_text("utf-8", "replace")

    def _restored(self) -> None:
        """Line editing and echo for the editor."""
        mode = termios.tcgetattr(self._fd)
        mode[3] |= termios.ICANON | termios.ECHO
        termios.tcsetattr(self._fd, termios.TCSADRAIN, mode)

    def _details(self) -> None:
        if (shown := self._current()) is not None:
            for line in details(shown):
                self._print(line)

    def _help(self) -> None:
        for line in _HELP:
            self._print(line)

    def _copy(self) -> None:
        if (shown := self._current()) is None:
            return
        command = as_curl(self._listener.target.url, shown.request)
        for line in command.split("\n"):
            self._print(line)
        # The terminal puts it into the clipboard where it supports OSC 52.
        sys.stdout.write(f"\x1b]52;c;{base64.b64encode(command.encode()).decode()}\x07")

    # -- the terminal ------------------------------------------------------------------------------------

    def _say(self, text: str) -> None:
        self._print(f"({text})")

    def _print(self, line: str) -> None:
        sys.stdout.write(f"{_ERASE}{clean(line)}\n")

    def _draw(self) -> None:
        """The line at the bottom."""
        if self._prompt is not None:
            text = f"search: {self._prompt}"
        elif self._kept:
            shown = self._kept[-1 if self._selected is None else self._selected]
            text = f"[{shown.event['type']} {shown.event['id']} {shown.answer.label}]"
        else:
            text = "[no events so far]"
        width = shutil.get_terminal_size().columns - 1
        sys.stdout.write(f"{_ERASE}{self._with_keys(clean(text), width)}")
        sys.stdout.flush()

    def _with_keys(self, text: str, width: int) -> str:
        """The text with the keys that fit behind it."""
        if self._prompt is not None:
            return text[:width]
        return next((line for keys in (_KEYS, _SHORT) if len(line := f"{text}  {keys}") <= width), text)[:width]


def _keys_of(data: str) -> list[str]:
    """Single keys; an arrow is one key, and so is a key without a meaning here, such as Delete."""
    return [_ARROWS.get(one, one) for one in _KEY.findall(data)]


def _bytes_of(data: Any) -> bytes:
    return json_text(data).encode()


def _is_json(body: bytes) -> bool:
    try:
        read_json(body)
    except ValueError:
        return False
    return True


def _pretty(body: bytes) -> str:
    text = body.decode("utf-8", "replace")
    try:
        return json_text(read_json(text), indent=2) + "\n"
    except ValueError:
        return text


def _text_of(shown: Shown) -> str:
    event = shown.event
    head = " ".join(str(event.get(name) or "") for name in ("id", "type", "key", "source"))
    return f"{head} {shown.answer.label} {shown.request.body.decode('utf-8', 'replace')}"


def details(shown: Shown) -> list[str]:
    """Request and answer, line by line."""
    answer, request = shown.answer, shown.request
    lines = [line_of(shown), f"received {shown.event.get('received_at', '')}", ""]
    lines += [f"{name}: {value}" for name, value in request.headers] + [""]
    lines += _bounded(_pretty(request.body))
    result = f"answer: {answer.label} after {span(answer.seconds)}" + (f" ({answer.error})" if answer.error else "")
    lines += ["", result] + [f"{name}: {value}" for name, value in answer.headers] + [""]
    return lines + _bounded(_pretty(answer.body))


def _bounded(text: str) -> list[str]:
    more = len(text) - SHOWN_BODY
    lines = text[:SHOWN_BODY].split("\n")
    return [*lines, f"({more} more characters are not shown)"] if more > 0 else lines


def as_curl(url: str, request: LocalRequest) -> str:
    """The request as a command."""
    from tidegate.query.schemas import RequestSchema
    from tidegate.query.sent_requests import copied, text_of

    text, encoding = text_of(request.body)
    whole = RequestSchema(
        method=request.method,
        url=url,
        headers=request.headers,
        body=text,
        body_encoding=encoding,
        body_bytes=len(request.body),
        body_cut=False,
    )
    return copied(whole, "curl")
