"""Formats log lines on stderr: plain lines on a terminal, JSON lines elsewhere; and bounds how many there are.

Owns the format, the log levels of libraries, and the bound: of one kind of warning or error (the same logger and the
same text before its values are filled in), at most `LINES` are written in `SECONDS`. The last of them says so, and the
next one after that has the number of those that were left out. May not know what is logged: the modules that log decide
it. Invariants: no log line has a payload, a secret or a query string; text from outside cannot begin a line or move a
cursor; requests of strangers cannot fill a disk with lines. Crash: nothing is kept.
"""

from __future__ import annotations

import logging
import sys

import msgspec

from tidegate.core.clock import rfc3339
from tidegate.core.unseen import visible, visible_lines

LINES = 20
SECONDS = 10.0
KINDS = 500  # that are counted at the same time
_STANDARD = frozenset(logging.LogRecord("", 0, "", 0, "", (), None).__dict__) | {"message", "asctime", "taskName"}


class Bounded(logging.Filter):
    """Lets at most `LINES` warnings or errors of a kind pass in `SECONDS`."""

    def __init__(self) -> None:
        super().__init__()
        self._kinds: dict[tuple[str, int], tuple[float, int]] = {}  # when the first line came, lines

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        kind = (record.name, hash(record.msg) if isinstance(record.msg, str) else 0)
        since, count = self._kinds.pop(kind, (record.created, 0))
        if record.created - since >= SECONDS:
            if count > LINES:
                record.left_out = count - LINES
            since, count = record.created, 0
        count += 1
        self._kinds[kind] = (since, count)
        if len(self._kinds) > KINDS:
            del self._kinds[next(iter(self._kinds))]  # the one that was counted the longest time ago
        if count == LINES:
            record.more = f"more lines of this kind are left out for {SECONDS:.0f} s"
        return count <= LINES


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {k: v for k, v in record.__dict__.items() if k not in _STANDARD}


class JsonLines(logging.Formatter):
    """One JSON object per line: time, level, logger, message and the extra fields."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": rfc3339(int(record.created * 1e6)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update(_extra(record))
        shown = {name: visible(value) if isinstance(value, str) else value for name, value in line.items()}
        if record.exc_info:
            shown["exception"] = visible_lines(self.formatException(record.exc_info))
        return msgspec.json.encode(shown, enc_hook=str).decode()


class PlainLines(logging.Formatter):
    """One line for people; what was left out is named, other extra fields are not shown."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name in the base class
        line = visible(super().formatMessage(record))
        extra = record.__dict__
        if "left_out" in extra:
            line += f" ({extra['left_out']} more of this kind were left out before)"
        return f"{line} ({extra['more']})" if "more" in extra else line


def set_up(level: str = "INFO") -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PlainLines() if sys.stderr.isatty() else JsonLines())
    handler.addFilter(Bounded())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("uvicorn.error").setLevel("WARNING")
    logging.getLogger("asyncpg.pool").setLevel("ERROR")  # the store itself logs that the server is unreachable
    logging.getLogger("asyncio").setLevel("WARNING")
    logging.getLogger("python_multipart").setLevel("CRITICAL")  # a broken form is reported as a finding
