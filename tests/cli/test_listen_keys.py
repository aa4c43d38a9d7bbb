"""Keys of `tidegate listen` that send several characters, and edited bodies that are not JSON."""

from __future__ import annotations

import os
import pty
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tidegate.cli.listen_terminal import Terminal, _keys_of
from tidegate.cli.listener import Shown
from tidegate.cli.local_post import Answer, LocalRequest

LONG = "12345678901234567890.123456789012345678"


class Sent:
    """A listener that notes what it is asked to send."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        self.target = SimpleNamespace(url="http://127.0.0.1:1/")

    def send(self, event: Any, way: str, change: Any) -> str:
        self.bodies.append(change)
        return "sent"


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    made = Terminal(Sent())  # type: ignore[arg-type]
    made._fd = theirs
    yield made
    os.close(ours)
    os.close(theirs)


def came(terminal: Terminal, body: bytes, number: int = 1) -> None:
    event = {"id": f"evt_{number}", "type": f"t{number}", "origin": "webhook", "data": None}
    terminal._kept.append(Shown(event, LocalRequest("POST", [], body, False), Answer(200, [], b"", 0.1), 0.0))


def edit_with(monkeypatch: pytest.MonkeyPatch, folder: Path, code: str) -> None:
    script = folder / "editor.py"
    script.write_text(f"import pathlib, sys\np = pathlib.Path(sys.argv[1])\nt = p.read_text()\n{code}\n")
    monkeypatch.setenv("VISUAL", f"{sys.executable} {script}")


@pytest.mark.parametrize(
    ("typed", "keys"),
    [
        ("\x1b[A\x1b[B\x1bOA\x1bOB", ["up", "down", "up", "down"]),
        ("r\x1b[Cd", ["r", "\x1b[C", "d"]),
        ("\x1b[3~\x1b[1;5D\x1bOP", ["\x1b[3~", "\x1b[1;5D", "\x1bOP"]),
        ("\x1b", ["\x1b"]),
        ("é\n/q", ["é", "\n", "/", "q"]),
    ],
)
def test_a_key_that_sends_several_characters_is_one_key(typed: str, keys: list[str]) -> None:
    assert _keys_of(typed) == keys


def test_arrows_do_not_type_letters_into_a_search_and_select_outside_of_it(terminal: Terminal) -> None:
    for number in (1, 2, 3):
        came(terminal, b"{}", number)
    for key in _keys_of("/a\x1b[A\x1b[D\x1b[3~b"):
        terminal._key(key)
    assert terminal._prompt == "ab"
    for key in _keys_of("\x1b"):
        terminal._key(key)
    assert terminal._prompt is None
    for key in _keys_of("\x1b[A\x1b[A\x1b[B\x1b[C"):
        terminal._key(key)
    assert terminal._selected == 1


def test_a_body_that_is_not_json_any_more_is_not_sent_and_opens_again(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    came(terminal, b'{"n":1}')
    edit_with(monkeypatch, tmp_path, "p.write_text(t.replace('1', '2,'))")
    terminal._edit()
    assert "(the body is not JSON any more (Expecting property name" in capsys.readouterr().out
    edit_with(monkeypatch, tmp_path, "assert '2,' in t\np.write_text(t.replace('2,', '2'))")
    terminal._edit()
    listener: Any = terminal._listener
    assert terminal._incoming.get(timeout=20) == "sent"
    assert listener.bodies == [{"body": {"n": 2}}]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("sys.exit(3)", "the editor ended with exit code 3, so nothing was sent"),
        ("", "the body was not changed, so nothing was sent"),
    ],
)
def test_it_says_why_nothing_was_sent(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    code: str, words: str,
) -> None:  # fmt: skip
    came(terminal, b'{"n":1}')
    edit_with(monkeypatch, tmp_path, code)
    before = termios.tcgetattr(terminal._fd)
    terminal._edit()
    assert words in capsys.readouterr().out
    monkeypatch.setenv("VISUAL", "/nowhere/editor")
    terminal._edit()
    assert "cannot be started: No such file or directory; set EDITOR, so nothing was sent" in capsys.readouterr().out
    assert termios.tcgetattr(terminal._fd) == before
    listener: Any = terminal._listener
    assert listener.bodies == []


def test_an_edited_body_keeps_the_digits_of_its_numbers(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    came(terminal, f'{{"amount":{LONG},"n":1}}'.encode())
    edit_with(monkeypatch, tmp_path, "p.write_text(t.replace('\"n\": 1', '\"n\": 2'))")
    terminal._edit()
    assert terminal._incoming.get(timeout=20) == "sent"
    listener: Any = terminal._listener
    assert listener.bodies[0]["body"]["amount"].written == LONG


@pytest.mark.parametrize(
    ("columns", "shown"), [(200, "c copy as curl"), (80, "[t1 evt_1 200]  keys: r e d / n c q  ? help"), (20, "evt_1")]
)
def test_a_narrow_terminal_has_the_keys_in_short_and_a_help(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: int, shown: str
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    came(terminal, b"{}")
    terminal._draw()
    line = capsys.readouterr().out.rpartition("\x1b[2K")[2]
    assert shown in line and len(line) < columns
    terminal._key("?")
    assert "c  print and copy it as a curl command" in capsys.readouterr().out
