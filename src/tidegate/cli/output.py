"""How responses look on a terminal: tables, badges of states, errors. Text from outside is cleaned first.

Owns the look of the command line: the icons of states, colors only on a terminal, times in local time. Invariants: no
control or direction character of a payload, key or type reaches the terminal; `--json` prints the API's own response.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegate.cli.json_text import json_text
from tidegate.core.errors import TidegateError
from tidegate.core.unseen import visible, visible_lines

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

# state -> (icon, style). The label is always printed beside it.
STATES: dict[str, tuple[str, str]] = {
    "delivered": ("●", "green"),
    "sending": ("◐", "yellow"),
    "pending": ("○", "yellow"),
    "retrying": ("◔", "yellow"),
    "exhausted": ("⊗", "red"),
    "canceled": ("⊖", "bright_black"),
    "paused": ("⊖", "bright_black"),
    "filtered": ("·", "bright_black"),
}
_PUSHED = frozenset({"webhook", "form", "publish", "system"})
_WHOLE = frozenset({"id", "received", "way", "changed", "created", "expires", "state"})  # columns that are never folded
_FOLDED = 10  # minimum characters of a folded column
_WIDE = 200  # columns when the output is not a terminal: nothing is folded for a pipe


def clean(value: Any) -> str:
    """One line of harmless text; unsafe characters are shown as escapes."""
    return visible("" if value is None else str(value))


def print_json(value: Any, *, line: bool = False) -> None:
    """The API's response as JSON: indented, or one object a line for streams."""
    print(visible_lines(json_text(value, indent=0 if line else 2)), flush=line)


def print_foreign(text: bytes) -> None:
    """Bytes that came from outside: unchanged into a pipe or a file, and as harmless text on a terminal."""
    if not sys.stdout.isatty():
        sys.stdout.buffer.write(text)
        return
    shown = visible_lines(text.decode("utf-8", "replace"))
    print(shown, end="" if shown.endswith("\n") else "\n")


def print_wrote(files: Sequence[Path], as_json: bool) -> None:
    """The files that a command wrote."""
    if as_json:
        print_json({"files": [str(file) for file in files]})
    else:
        print(f"wrote {' and '.join(map(str, files))}")


def console() -> Console:
    from rich.console import Console

    terminal = sys.stdout.isatty()
    return Console(highlight=False, markup=False, emoji=False, soft_wrap=True, width=None if terminal else _WIDE)


@contextmanager
def waiting(words: str) -> Iterator[Callable[[str], None]]:
    """Show a spinner with `words` and the elapsed time on a terminal's stderr; the yielded function adds details."""
    if not sys.stderr.isatty():
        yield lambda more: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn("dots"), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(clean(words), total=None)
        yield lambda more: shown.update(task, description=clean(f"{words}, {more}"))


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Sequence[str] = ()) -> None:
    """A table with a dim header; columns in `right` are right-aligned. Cells are text or rich Text.

    IDs, times and figures are never folded; names and labels are. If it is still too wide, each row becomes a block.
    """
    from rich.table import Table
    from rich.text import Text

    cells = [[cell if isinstance(cell, Text) else Text(clean(cell)) for cell in row] for row in rows]
    out = console()
    widths = [max(map(len, (name, *(row[place].plain for row in cells)))) for place, name in enumerate(columns)]
    folded = [name not in _WHOLE and name not in right for name in columns]
    least = sum(min(width, _FOLDED) if fold else width for width, fold in zip(widths, folded, strict=True))
    if least + 2 * (len(columns) - 1) > out.width:
        _blocks(out, columns, cells)
        return
    shown = Table(box=None, pad_edge=False, header_style="dim", show_edge=False, padding=(0, 2, 0, 0))
    for place, name in enumerate(columns):
        fixed = None if folded[place] else widths[place]
        justify: Any = "right" if name in right else "left"
        shown.add_column(name, justify=justify, overflow="fold", no_wrap=not folded[place], min_width=fixed)
    for row in cells:
        shown.add_row(*row)
    out.print(shown)


def _blocks(out: Console, columns: Sequence[str], rows: Sequence[Sequence[Text]]) -> None:
    from rich.text import Text

    wide = max(map(len, columns))
    for number, row in enumerate(rows):
        if number:
            out.print()
        for name, cell in zip(columns, row, strict=True):
            if cell.plain:
                out.print(Text(f"{name:{wide}}  ", style="dim").append_text(cell))


def state_badge(state: str, *, retrying: bool = False, label: str = "") -> Text:
    """Icon and label of a state; a pending delivery that failed before has the icon of a retry."""
    from rich.text import Text

    icon, style = STATES.get("retrying" if retrying and state == "pending" else state, ("?", ""))
    return Text(f"{icon} {clean(label or state)}", style=style)


def way_badge(origin: str) -> Text:
    """Push is a line with a filled head, pull an arrow in both directions."""
    from rich.text import Text

    pushed = origin in _PUSHED
    return Text(f"{'─▶' if pushed else '⇄ '} {clean(origin)}", style="magenta" if pushed else "blue")


def local_time(instant: str | None, *, date: bool = True) -> str:
    """An RFC 3339 instant in this machine's time zone, to the second."""
    if not instant:
        return ""
    try:
        moment = datetime.fromisoformat(instant).astimezone()
    except ValueError:
        return clean(instant)
    return moment.strftime("%Y-%m-%d %H:%M:%S" if date else "%H:%M:%S")


def span(seconds: float | None) -> str:
    """A duration in two or three digits: `12 ms`, `3.4 s`, `5 min`, `2.0 h`, `327 d`; `-` for None."""
    if seconds is None:
        return "-"
    for below, unit, size in ((1.0, "ms", 0.001), (120.0, "s", 1.0), (7200.0, "min", 60.0), (172_800.0, "h", 3600.0)):
        if seconds < below:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 86_400:.3g} d"


def span_since(instant: str | None) -> str:
    """` for 12 min` since an RFC 3339 instant, by this machine's clock; "" for None."""
    if not instant:
        return ""
    ago = datetime.now(UTC) - datetime.fromisoformat(instant)
    return f" for {span(max(ago.total_seconds(), 0))}"


def next_page(*words: str | None) -> str:
    """The command that shows the next page with the same filters."""
    return "next page: tidegate " + " ".join(shlex.quote(word) for word in words if word is not None)


def count(number: int, word: str, plural: str = "") -> str:
    """`1 event`, `48 events`, `1,200 events`."""
    return f"{number:,} {word if number == 1 else plural or word + 's'}"


def exit_code(error: TidegateError) -> int:
    """2 for wrong usage or configuration, also when the gateway reports it; else 1."""
    from tidegate.core.errors import ConfigError

    asked_wrong = error.code in ("usage", "not_built") or error.status in (400, 422)
    return 2 if asked_wrong or isinstance(error, ConfigError) else 1


def print_error(error: TidegateError) -> int:
    """`error[code]: message - at $.path (FILE:LINE)` and `hint: ...` on stderr for each problem; the exit code."""
    for one in getattr(error, "problems", (error,)):
        print(error_lines(one), file=sys.stderr)
    return exit_code(error)


def error_lines(error: TidegateError) -> str:
    path, where = getattr(error, "path", ""), getattr(error, "where", "")
    line = f"error[{error.code}]: {clean(error.message)}"
    if where or path not in ("", "$"):
        line += f" - at {clean(path or '$')}" + (f" ({clean(where)})" if where else "")
    return line + (f"\nhint: {clean(error.hint)}" if error.hint else "")
