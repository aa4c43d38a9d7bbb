"""Characters that nobody sees are written out, wherever text from outside is shown."""

from __future__ import annotations

import json
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.cli.output import clean, print_foreign, print_json
from tidegate.core.unseen import UNSEEN, visible, visible_lines


def test_every_control_format_and_surrogate_character_is_one() -> None:
    unseen = ("Cc", "Cf", "Cs", "Zl", "Zp")
    missed = [f"{n:04x}" for n in range(sys.maxunicode + 1) if unicodedata.category(chr(n)) in unseen]
    assert [one for one in missed if not UNSEEN.match(chr(int(one, 16)))] == []


@pytest.mark.parametrize(
    ("hidden", "shown"),
    [
        ("pay\u00adpal", "pay\\u00adpal"),  # soft hyphen
        ("a\u061cb", "a\\u061cb"),  # Arabic letter mark
        ("a\u2060b", "a\\u2060b"),  # word joiner
        ("a\u3164b", "a\\u3164b"),  # Hangul filler
        ("a\u206eb", "a\\u206eb"),  # digit shapes
        ("a\U000e0041b", "a\\udb40\\udc41b"),  # a tag: text that only programs read
        ("a\ufe01b", "a\\ufe01b"),  # a selector that hides data
        ("\x1b]0;x\x07", "\\u001b]0;x\\u0007"),
        ("a\nb\tc\r\n", "a\\u000ab\\u0009c\\u000d\\u000a"),
        ("\u2764\ufe0f \u00e9 \u4e2d \U0001f600", "\u2764\ufe0f \u00e9 \u4e2d \U0001f600"),
    ],
)
def test_what_cannot_be_seen_is_written_out(hidden: str, shown: str) -> None:
    assert visible(hidden) == clean(hidden) == shown


def test_lines_keep_their_ends_and_tabs_and_no_lone_carriage_return() -> None:
    assert visible_lines("a\n\tb\r\nc\rd") == "a\n\tb\r\nc\\u000dd"


@given(st.text())
def test_printed_json_is_still_the_same_json(text: str) -> None:
    printed: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.print", lambda one, **_: printed.append(one))
        print_json({"text": text, "list": [text]})
    assert json.loads(printed[0]) == {"text": text, "list": [text]}
    assert visible_lines(printed[0]) == printed[0]


@pytest.mark.parametrize("terminal", [True, False])
def test_bytes_from_outside_are_harmless_on_a_terminal_and_unchanged_in_a_pipe(
    terminal: bool, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    print_foreign(b"\x1b[2J\xff\n{}\n")
    sys.stdout.flush()
    shown = capfdbinary.readouterr().out
    assert shown == ("\\u001b[2J\N{REPLACEMENT CHARACTER}\n{}\n".encode() if terminal else b"\x1b[2J\xff\n{}\n")
