"""Formats log lines on stderr: plain lines on a terminal, JSON lines elsewhere.

Owns the format and the log levels of libraries. May not know what is logged: the modules that log decide it.
Invariant: no log line has a payload, a secret or a query string. Crash: nothing is kept.
"""

from __future__ import annotations

import logging
import sys

import msgspec

from tidegate.core.clock import rfc3339

_STANDARD = frozenset(logging.LogRecord("", 0, "", 0, "", (), None).__dict__) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """One JSON object per line: time, level, logger, message and the extra fields."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": rfc3339(int(record.created * 1e6)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update({k: v for k, v in record.__dict__.items() if k not in _STANDARD})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()


def set_up(level: str = "INFO") -> None:
    handler = logging.StreamHandler(sys.stderr)
    if sys.stderr.isatty():
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S"))
    else:
        handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("uvicorn.error").setLevel("WARNING")
    logging.getLogger("asyncpg.pool").setLevel("ERROR")  # the store itself logs that the server is unreachable
    logging.getLogger("asyncio").setLevel("WARNING")
