"""A source that misbehaves at random: pages, tokens, limits, clocks, shapes and failures follow from one seed.

It keeps the truth: every state that each row ever had, in order. So what a gateway missed, doubled, invented or took
back is exact, and so is what it should have reported.
"""

from __future__ import annotations

import json
import random
from typing import Any

from support.upstream.polled import BASE, SentRequest
from tidegate.core.clock import to_datetime
from tidegate.core.errors import UpstreamError, UpstreamTimeout

Row = dict[str, Any]
FUTURE_US = 4_102_444_800_000_000  # 2100-01-01


class Misbehaving:
    """Call it with a request. `resource` is the configuration that fits it; `planted` are the codes it must cause."""

    def __init__(self, seed: int, clock: Any) -> None:
        self.random = random.Random(seed)
        self.clock = clock
        self.rows: dict[str, Row] = {}
        self.history: dict[str, list[str | None]] = {}  # each state as JSON, None for deleted
        self.planted: set[str] = set()
        self.quiet = False  # no failures and no changes from now on
        self._extra: list[Any] = []  # rows that cannot be read
        self._counter = 0
        self._window = (0, 0)
        self._stale: dict[str, Row] = {}
        self._choose()
        self._begun = self._instant(self.now_us())

    def _choose(self) -> None:
        pick = self.random.choice
        self.skew_us = pick([0, 0, 3600, -3600]) * 1_000_000
        self.version = pick(["", "number", "iso", "opaque"])
        self.cursor = pick(["", "", "iso", "epoch_s", "epoch_ms", "space"])
        self.pages = pick(["single", "page_number", "page_total", "offset", "offset_total", "token", "link", "header"])
        self.token = pick([str, int, lambda at: {"at": at}, lambda at: [at], lambda at: at + 0.5])
        self.beyond = pick(["empty", "404", "400", "again", "null"])
        self.empty = pick([[], None, "absent", "204", "nobody"])
        self.size = pick([2, 3, 5])
        self.deletes = pick(["none", "get", "second_scan"])
        self.items = self.deletes == "get" or self.random.random() < 0.4
        self.failures = pick([0.0, 0.0, 0.15, 0.3])
        self.quota = pick([0, 0, 4, 7])
        self.moving = pick([0.0, 0.0, 0.2])
        self.behind = self.version in ("number", "iso") and not self.cursor and self.items and pick([True, False])
        self.unreadable = pick([None, None, {"uid": 1}, 17, {"id": "p" * 600}])
        self.duplicate = pick([False, False, False, True])
        self.future = bool(self.cursor) and pick([True, False])

    # -- configuration -----------------------------------------------------------------------------------

    def resource(self) -> dict[str, Any]:
        found: dict[str, Any] = {"initial": "events", "data_selector": "data"}
        if self.version:
            found["version"] = "v"
        if self.cursor:
            found["incremental"] = {"cursor_path": "at", "param": "since", "lag": "2h"}
        if self.items:
            found["item_path"] = "/rows/{id}"
        if self.deletes != "none":
            found["deletes"] = {"mode": "scan", "every": "1s", "confirm": self.deletes, "max_ratio": 1.0}
        found["paginator"] = {
            "single": {"type": "single_page"},
            "page_number": {"type": "page_number"},
            "page_total": {"type": "page_number", "total_path": "total"},
            "offset": {"type": "offset", "limit": self.size},
            "offset_total": {"type": "offset", "limit": self.size, "total_path": "total"},
            "token": {"type": "cursor", "cursor_path": "meta.next"},
            "link": {"type": "json_link", "next_url_path": "next"},
            "header": {"type": "header_link"},
        }[self.pages]
        return found

    def __str__(self) -> str:
        names = "version cursor pages beyond empty size deletes items failures quota moving behind unreadable duplicate"
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in names.split()) + f", future={self.future}"

    # -- changing ----------------------------------------------------------------------------------------

    def now_us(self) -> int:
        return int(self.clock._now_us) + self.skew_us

    def _instant(self, at_us: int) -> Any:
        if self.cursor == "epoch_s":
            return at_us // 1_000_000
        if self.cursor == "epoch_ms":
            return at_us // 1000
        text = "%Y-%m-%d %H:%M:%S" if self.cursor == "space" else "%Y-%m-%dT%H:%M:%S.%fZ"
        return to_datetime(at_us).strftime(text)

    def put(self, key: str) -> None:
        self._counter += 1
        row: Row = {"id": key, "n": self._counter}
        if self.version == "number":
            row["v"] = self._counter
        elif self.version == "iso":
            row["v"] = to_datetime(self.now_us()).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        elif self.version == "opaque":
            row["v"] = f"{self._counter}-{self.random.randrange(256):02x}"
        if self.cursor:
            row["at"] = self._instant(self.now_us())
        if key in self.rows:
            self._stale[key] = self.rows[key]
        self.rows[key] = row
        self.history.setdefault(key, []).append(json.dumps(row, sort_keys=True))

    def change(self) -> None:
        """One change: a new row, another state of a row, or a row less. The first row always stays."""
        key = f"k{self.random.randrange(12) if self.rows else 0}"
        if key in self.rows and key != "k0" and self.random.random() < 0.25:
            del self.rows[key]
            self._stale.pop(key, None)
            self.history[key].append(None)
        else:
            self.put(key)

    # -- answering ---------------------------------------------------------------------------------------

    def __call__(self, asked: SentRequest) -> Any:
        refused = None if self.quiet else self._refused()
        if refused is not None:
            return refused
        if not self.quiet and self.random.random() < self.moving:
            self.change()
        if asked.path != "/rows":
            key = asked.path.rpartition("/")[2]
            planted = (
                self._future() if key == "future" and self.future else self._twice()[0] if key == "twice" else None
            )
            row = self.rows.get(key, planted)
            return (404, {}) if row is None else {"data": [row]}
        return self._page(asked)

    def _refused(self) -> Any:
        if self.quota:
            at, left = self._window
            if self.clock._now_us - at > 600_000_000:
                at, left = self.clock._now_us, self.quota
            if left == 0:
                wait = (at + 600_000_000 - self.clock._now_us) // 1_000_000 + 1
                return self._limited(wait)
            self._window = (at, left - 1)
        if self.random.random() >= self.failures:
            return None
        faults: list[Any] = [
            (500, b"oops"), (503, b"busy"), (202, {"data": []}), (200, b'{"data": [{"id": "k1"'), (200, b"<html>"),
            (200, {"error": "internal"}), UpstreamError("closed before an answer"), UpstreamTimeout("no answer"),
        ]  # fmt: skip
        return self.random.choice(faults)

    def _limited(self, wait: int) -> Any:
        until = self.now_us() // 1_000_000 + wait
        heads: list[dict[str, str]] = [
            {"Retry-After": str(wait)}, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(until)},
            {"X-Rate-Limit-Remaining": "0", "X-Rate-Limit-Reset": str(until * 1000)},
            {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": f"{to_datetime(until * 10**6):%Y-%m-%dT%H:%M:%SZ}"},
        ]  # fmt: skip
        return self.random.choice([429, 403, 429]), {"message": "slow down"}, self.random.choice(heads)

    def _list(self, asked: SentRequest) -> list[Any]:
        rows = sorted(self.rows.values(), key=lambda row: (str(row.get("at", "")).zfill(20), row["id"]))
        if self.behind and not self.quiet and self.random.random() < 0.3:
            rows = [self._stale.get(row["id"], row) for row in rows]
        if self.future:
            rows.append(self._future())
            self.planted.add("cursor_clamped")
        since = asked.query.get("since")
        if since is not None:
            rows = [row for row in rows if row["at"] >= type(row["at"])(since)]
        if self.duplicate:
            rows += self._twice()
            self.planted.add("duplicate_keys")
        if self.unreadable is not None:
            rows.append(self.unreadable)
            self.planted.add("rows_skipped")
        return rows

    def _future(self) -> Row:
        return {"id": "future", "n": 0, "v": 1, "at": self._instant(FUTURE_US)}

    def _twice(self) -> list[Row]:
        return [{"id": "twice", "n": n, "at": self._begun} for n in (1, 2)]

    def _page(self, asked: SentRequest) -> Any:
        rows = self._list(asked)
        if self.pages == "single":
            return self._body(rows, {})
        at = self._begin(asked)
        more = at + self.size < len(rows)
        body: dict[str, Any] = {}
        heads: dict[str, str] = {}
        if self.pages == "page_total":
            body["total"] = -(-len(rows) // self.size)
        elif self.pages == "offset_total":
            body["total"] = len(rows)
        elif self.pages == "token":
            body["meta"] = {"next": self.token(at + self.size) if more else None}
        elif self.pages in ("link", "header"):
            since = f"&since={asked.query['since']}".replace(" ", "%20") if "since" in asked.query else ""
            link = f"{BASE}/rows?from={at + self.size if more else at}{since}"
            shown = more or (self.beyond == "again" and "from" in asked.query)
            body["next"] = link if shown and self.pages == "link" else None
            heads = {"link": f'<{link}>; rel="next"'} if shown and self.pages == "header" else {}
        if at >= len(rows) and at > 0 and self.pages in ("page_number", "offset"):
            if self.beyond in ("404", "400"):
                return int(self.beyond), {"detail": "no such page"}
            if self.beyond == "again":
                at = (len(rows) - 1) // self.size * self.size
        return self._body(rows[at : at + self.size], body, heads)

    def _begin(self, asked: SentRequest) -> int:
        if self.pages in ("page_number", "page_total"):
            return (int(asked.query["page"]) - 1) * self.size
        if self.pages in ("offset", "offset_total"):
            return int(asked.query["offset"])
        if self.pages == "token":
            sent = asked.query.get("cursor", "")
            return int("".join(c for c in sent.partition(".")[0] if c.isdigit()) or 0)
        return int(asked.query.get("from", 0))

    def _body(self, rows: list[Any], more: dict[str, Any], heads: dict[str, str] | None = None) -> Any:
        if not rows and not more.get("next") and not (more.get("meta") or {}).get("next"):
            if self.empty == "204":
                return 204, b"", heads or {}
            if self.empty == "nobody":
                return 200, b"", heads or {}
            if self.empty == "absent":
                return 200, {"count": 0, **more}, heads or {}
            return 200, {"data": self.empty, **more}, heads or {}
        return 200, {"data": rows, **more}, heads or {}
