"""Polls of sources that limit, fail, lie and contradict themselves: nothing lost, nothing false, nothing silent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from support.upstream.polled import BASE, Polled, SentRequest, polled
from tidegate.core.clock import to_datetime
from tidegate.core.errors import Conflict, UpstreamError, UpstreamTimeout
from tidegate.pull.page_requests import MAX_TRIES, RUN_WAIT_SECONDS
from tidegate.pull.run import PollOptions

Work = Callable[[Polled], Awaitable[None]]


def run(path: Path, answer: Callable[[SentRequest], Any], work: Work, **how: Any) -> None:
    async def main() -> None:
        async with polled(path, answer, **how) as one:
            await work(one)

    asyncio.run(main())


NUMBERED = {"paginator": {"type": "page_number"}}
EVENTS = {"initial": "events"}


def pages(count: int) -> Callable[[SentRequest], Any]:
    return lambda asked: [{"id": int(asked.query["page"])}] if int(asked.query["page"]) <= count else []


# -- a run is durable work -------------------------------------------------------------------------------

FAULTS = [
    ("429 with Retry-After", lambda: (429, {}, {"Retry-After": "8"})),
    ("429 without", lambda: (429, {})),
    ("403 with Retry-After", lambda: (403, {}, {"Retry-After": "8"})),
    ("500", lambda: (500, b"broken")),
    ("503", lambda: (503, b"busy")),
    ("202", lambda: (202, [])),
    ("a cut connection", lambda: UpstreamError("closed before an answer")),
    ("a timeout", lambda: UpstreamTimeout("did not answer within 30 s")),
]


@pytest.mark.parametrize("fault", [row[1] for row in FAULTS], ids=[row[0] for row in FAULTS])
def test_a_page_that_fails_is_asked_again_and_the_pages_before_it_are_not(
    tmp_path: Path, fault: Callable[[], Any]
) -> None:
    calls = [0]

    def answer(asked: SentRequest) -> Any:
        calls[0] += 1
        return fault() if calls[0] == 3 else pages(5)(asked)

    async def work(one: Polled) -> None:
        await one.poll()
        assert set(await one.records()) == set("12345")
        assert [asked.query["page"] for asked in one.client.asked[:7]] == ["1", "2", "3", "3", "4", "5", "6"]

    run(tmp_path, answer, work, **NUMBERED)


def test_a_list_that_is_longer_than_the_quota_completes(tmp_path: Path) -> None:
    """Two requests an hour: each run waits too long, keeps its place, and the next one goes on there."""
    window = {"at": 0, "left": 0}

    async def work(one: Polled) -> None:
        def answer(asked: SentRequest) -> Any:
            if asked.at_us - window["at"] >= 3600_000_000:
                window.update(at=asked.at_us, left=2)
            if not window["left"]:
                wait = 3600 - (asked.at_us - window["at"]) // 1_000_000
                return 429, {}, {"Retry-After": str(wait)}
            window["left"] -= 1
            return pages(6)(asked)

        one.client.answer = answer
        for _ in range(12):
            report = await one.poll(ok=False)
            if not report.error:
                break
            assert report.held_seconds > 0 and "429" in report.held_reason
            one.clock.advance(report.held_seconds)
        assert set(await one.records()) == set("123456")
        assert report.resumed and report.ended_by == "empty_page"
        assert await one.changes() == [], "the snapshot is one, however many runs it took"

    run(tmp_path, lambda _: (429, {}, {"Retry-After": "3600"}), work, **NUMBERED)


TOKENS = {"data_selector": "rows", "paginator": {"type": "cursor", "cursor_path": "next"}}


def token_pages(asked: SentRequest) -> Any:
    at = int(asked.query.get("cursor", "1"))
    return {"rows": [{"id": at}], "next": at + 1 if at < 6 else None}


@pytest.mark.parametrize(
    ("how", "answer", "again"),
    [(NUMBERED, pages(6), "2"), (TOKENS, token_pages, "3")],
    ids=["numbered pages overlap by one", "tokens go on exactly"],
)
def test_a_run_that_died_goes_on_at_its_place_after_a_restart(
    tmp_path: Path, how: dict[str, Any], answer: Callable[[SentRequest], Any], again: str
) -> None:
    broken = [True]

    def serve(asked: SentRequest) -> Any:
        page = asked.query.get("page") or asked.query.get("cursor", "1")
        return (500, b"") if broken[0] and page == "3" else answer(asked)

    async def work(one: Polled) -> None:
        report = await one.poll(ok=False)
        assert "500" in report.error
        await one.restart()
        broken[0] = False
        before = len(one.client.asked)
        report = await one.poll()
        first = one.client.asked[before].query
        assert (first.get("page") or first.get("cursor")) == again
        assert report.resumed
        assert set(await one.records()) == set("123456")

    run(tmp_path, serve, work, **how)


@pytest.mark.parametrize("status", [400, 404, 410, 422])
def test_a_place_that_the_source_forgot_is_given_up_and_said(tmp_path: Path, status: int) -> None:
    broken = [True]

    def answer(asked: SentRequest) -> Any:
        if asked.query.get("cursor") == "3":
            return (500, b"") if broken[0] else (status, b"unknown cursor")
        if not broken[0] and "cursor" not in asked.query:
            return {"rows": [{"id": n} for n in range(1, 7)], "next": None}
        return token_pages(asked)

    async def work(one: Polled) -> None:
        await one.poll(ok=False)
        broken[0] = False
        report = await one.poll()
        assert set(await one.records()) == set("123456")
        assert [found.code for found in report.findings] == ["place_lost"]

    run(tmp_path, answer, work, **TOKENS)


def test_a_place_of_another_configuration_is_not_used(tmp_path: Path) -> None:
    broken = [True]

    def answer(asked: SentRequest) -> Any:
        return (500, b"") if broken[0] and asked.query["page"] == "3" else pages(6)(asked)

    async def work(one: Polled) -> None:
        await one.poll(ok=False)
        broken[0] = False
        one.configure({**NUMBERED, "params": {"state": "open"}})
        report = await one.poll()
        assert not report.resumed
        assert report.pages == 7

    run(tmp_path, answer, work, **NUMBERED)


def test_a_run_gives_up_after_its_budget_of_waiting_and_says_until_when(tmp_path: Path) -> None:
    def answer(asked: SentRequest) -> Any:
        return (429, {}, {"Retry-After": "50"})

    async def work(one: Polled) -> None:
        report = await one.poll(ok=False)
        assert report.waited_seconds <= RUN_WAIT_SECONDS
        assert report.requests == int(RUN_WAIT_SECONDS // 50) + 1
        assert 0 < report.held_seconds <= 50

    run(tmp_path, answer, work)


def test_a_source_that_stays_broken_is_asked_a_few_times_a_run(tmp_path: Path) -> None:
    async def work(one: Polled) -> None:
        report = await one.poll(ok=False)
        assert report.requests == MAX_TRIES
        assert "answered 503: the reason" in report.error, "with the beginning of the answer"

    run(tmp_path, lambda _: (503, b"the  reason"), work)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 406, 501])
def test_an_answer_that_will_not_change_is_not_asked_again(tmp_path: Path, status: int) -> None:
    async def work(one: Polled) -> None:
        report = await one.poll(ok=False)
        assert report.requests == 1
        assert report.error_hint

    run(tmp_path, lambda _: (status, {"message": "no"}), work)


# -- the first snapshot ----------------------------------------------------------------------------------

NOTHING: list[tuple[str, Any]] = [
    ("an empty list", []),
    ("202", (202, [])),
    ("204", (204, b"")),
    ("null", b"null"),
    ("rows without a key", [{"uid": 1}, {"uid": 2}]),
    ("an error", (500, b"")),
]


@pytest.mark.parametrize("first", [row[1] for row in NOTHING], ids=[row[0] for row in NOTHING])
def test_the_first_poll_that_finds_records_is_the_snapshot(tmp_path: Path, first: Any) -> None:
    ready: list[bool] = []

    async def work(one: Polled) -> None:
        await one.poll(ok=False)
        ready.append(True)
        await one.poll()
        assert len(await one.records()) == 50
        assert await one.changes() == []

    run(tmp_path, lambda _: [{"id": i} for i in range(50)] if ready else first, work)


def test_an_empty_first_poll_is_reported_until_records_come(tmp_path: Path) -> None:
    rows: list[Any] = []

    async def work(one: Polled) -> None:
        await one.poll()
        assert "snapshot_empty" in one.codes()
        rows.append({"id": 1})
        await one.poll()
        assert "snapshot_empty" not in one.codes()

    run(tmp_path, lambda _: list(rows), work)


# -- keys that are not unique ----------------------------------------------------------------------------

A, B, C = {"id": 1, "place": "A"}, {"id": 1, "place": "B"}, {"id": 1, "place": "C"}


@pytest.mark.parametrize(
    "lists",
    [[[A, B]] * 5, [[A, B], [B, A]] * 3, [[A, B, C], [C, A, B], [B, C, A]] * 2],
    ids=["in order", "in turn", "three in any order"],
)
def test_an_unchanged_list_with_a_key_of_several_rows_makes_no_event(tmp_path: Path, lists: list[list[Any]]) -> None:
    polls = [-1]

    def answer(_: SentRequest) -> Any:
        polls[0] += 1
        return lists[polls[0] % len(lists)]

    async def work(one: Polled) -> None:
        for _ in range(8):
            await one.poll()
        assert await one.changes() == []
        assert "duplicate_keys" in one.codes()

    run(tmp_path, answer, work)


def test_a_key_that_is_unique_again_is_followed_again(tmp_path: Path) -> None:
    rows: list[Any] = [A, B]

    async def work(one: Polled) -> None:
        await one.poll()
        await one.poll()
        rows[:] = [C]
        await one.poll()
        await one.poll()  # once proves little: pages may have moved
        assert await one.kinds() == [("updated", "1")]
        assert (await one.records())["1"] == C

    run(tmp_path, lambda _: list(rows), work)


def test_a_composite_key_tells_rows_apart(tmp_path: Path) -> None:
    async def work(one: Polled) -> None:
        await one.poll()
        assert set(await one.records()) == {"1|A", "1|B"}
        assert "duplicate_keys" not in one.codes()

    run(tmp_path, lambda _: [A, B], work, primary_key=["id", "place"])


# -- versions --------------------------------------------------------------------------------------------

VERSIONS = [
    ("revisions", "9-aa", "10-bb"), ("dotted", "1.9.0", "1.10.0"), ("HTTP dates", "Wed, 25 Nov 2026 10:00:00 GMT",
     "Thu, 26 Nov 2026 10:00:00 GMT"), ("US dates", "12/31/2026 10:00", "01/02/2027 10:00"),
    ("am and pm", "2026-11-24 09:59 AM", "2026-11-24 01:10 PM"), ("entity tags", 'W/"f0"', 'W/"0b"'),
    ("prefixed", "v9", "v10"), ("hashes", "ff", "00"), ("numbers", 9, 10),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new"), [row[1:] for row in VERSIONS], ids=[row[0] for row in VERSIONS])
def test_an_update_with_a_version_of_any_kind_is_taken_at_once(tmp_path: Path, old: Any, new: Any) -> None:
    now = [0]

    async def work(one: Polled) -> None:
        await one.poll()
        now[0] = 1
        assert (await one.poll()).updated == 1
        assert (await one.poll()).updated == 0

    run(tmp_path, lambda _: [{"id": 1, "v": (old, new)[now[0]], "x": now[0]}], work, version="v")


def test_a_lower_version_is_held_said_and_taken_when_a_second_poll_shows_it(tmp_path: Path) -> None:
    row = {"id": 1, "v": "2026-10-25T02:50:00", "x": 1}

    async def work(one: Polled) -> None:
        await one.poll()
        row.update(v="2026-10-25T02:10:00", x=2)  # the clocks went back
        assert (await one.poll()).updated == 0
        assert "version_went_back" in one.codes()
        assert (await one.poll()).updated == 1
        assert "version_not_ordered" in one.codes()
        row.update(v="2026-10-25T02:20:00", x=3)
        assert (await one.poll()).updated == 1, "and the lower version is what counts from then on"

    run(tmp_path, lambda _: [row], work, version="v")


def test_a_lower_version_that_a_fetch_back_confirms_is_taken(tmp_path: Path) -> None:
    row = {"id": 1, "v": 5, "x": 1}

    async def work(one: Polled) -> None:
        await one.poll()
        row.update(v=4, x=2)
        await one.poll()
        await one.settled()
        assert (await one.records())["1"]["x"] == 2

    run(tmp_path, lambda asked: row if asked.path == "/rows/1" else [row], work, version="v", item_path="/rows/{id}")


def test_a_replica_that_is_behind_never_takes_a_record_back(tmp_path: Path) -> None:
    """The list is behind now and then; the item is always current, or behind too."""
    states = [{"id": 1, "v": n, "x": n} for n in range(1, 6)]
    shown = [0]

    async def work(one: Polled) -> None:
        for at in (0, 1, 2, 1, 3, 2, 2, 4, 3, 4):
            shown[0] = at
            await one.poll()
            await one.settled()
        seen = [data["x"] for _, _, data in await one.changes()]
        assert seen == sorted(seen), seen
        assert (await one.records())["1"]["x"] == 5

    run(tmp_path, lambda asked: [states[shown[0]]], work, version="v")


# -- deletes ---------------------------------------------------------------------------------------------

SCAN = {"deletes": {"mode": "scan", "every": "1s", "max_ratio": 0.2}, "item_path": "/rows/{id}"}


class Crm:
    """Ten rows; some may be archived (not listed, but there), some gone."""

    def __init__(self) -> None:
        self.listed = [str(n) for n in range(10)]
        self.there = set(self.listed)
        self.gone: Any = (404, {})

    def __call__(self, asked: SentRequest) -> Any:
        key = asked.path.removeprefix("/rows").strip("/")
        if key:
            return {"id": key} if key in self.there else self.gone
        return [{"id": key} for key in self.listed]

    def remove(self, *keys: str) -> None:
        self.there -= set(keys)
        self.listed = [key for key in self.listed if key not in keys]


async def scan(one: Polled) -> Any:
    one.clock.advance(10)
    return await one.poll()


def test_records_that_the_source_has_and_does_not_list_do_not_stop_deletes(tmp_path: Path) -> None:
    crm = Crm()

    async def work(one: Polled) -> None:
        await one.poll()
        crm.listed = crm.listed[2:]  # archived
        assert (await scan(one)).deleted == 0
        assert "unlisted_records" in one.codes()
        crm.remove("9")
        assert (await scan(one)).deleted == 1
        crm.there.discard("0")  # an archived one is deleted
        assert (await scan(one)).deleted == 1
        assert set(await one.records()) == set("12345678")

    run(tmp_path, crm, work, **SCAN)


def test_a_scan_that_misses_too_many_is_reported_until_they_are_back(tmp_path: Path) -> None:
    crm = Crm()

    async def work(one: Polled) -> None:
        await one.poll()
        every, crm.listed = crm.listed, crm.listed[:3]
        assert (await scan(one)).deleted == 0
        assert "deletes_stopped" in one.codes()
        crm.listed = every
        await scan(one)
        assert "deletes_stopped" not in one.codes()

    run(tmp_path, crm, work, **SCAN)


def test_a_person_can_accept_the_deletes_that_the_ratio_stopped_and_no_more(tmp_path: Path) -> None:
    crm = Crm()

    async def work(one: Polled) -> None:
        await one.poll()
        with pytest.raises(Conflict) as refused:
            await one.engine.poll_now("s", "r", PollOptions(accept_deletes=True))
        assert refused.value.code == "no_deletes_stopped"
        crm.remove("7", "8", "9")
        assert (await scan(one)).deleted == 0
        crm.remove("6")  # one more than the person saw
        assert (await one.engine.poll_now("s", "r", PollOptions(accept_deletes=True))).deleted == 0
        assert (await one.engine.poll_now("s", "r", PollOptions(accept_deletes=True))).deleted == 4
        assert set(await one.records()) == set("012345")
        assert "deletes_stopped" not in one.codes()

    run(tmp_path, crm, work, **SCAN)


def test_a_confirmation_that_never_confirms_is_reported(tmp_path: Path) -> None:
    crm = Crm()
    crm.gone = (403, {"message": "forbidden"})

    async def work(one: Polled) -> None:
        await one.poll()
        crm.remove("9")
        report = await scan(one)
        assert report.deleted == 0
        assert [found.code for found in report.findings] == ["deletes_unconfirmed"]
        assert "403" in report.findings[0].samples[0]

    run(tmp_path, crm, work, **SCAN)


@pytest.mark.parametrize(
    ("keys", "gone"),
    [
        ({"gone": [404, 410, 403]}, (403, {})),
        ({"gone_path": "deleted"}, {"id": "9", "deleted": True}),
        ({"gone_path": "meta.deleted_at"}, {"id": "9", "meta": {"deleted_at": "2026-11-24"}}),
        ({}, (410, {})),
    ],
)
def test_what_means_deleted_can_be_configured(tmp_path: Path, keys: dict[str, Any], gone: Any) -> None:
    crm = Crm()
    crm.gone = gone

    async def work(one: Polled) -> None:
        await one.poll()
        crm.remove("9")
        assert (await scan(one)).deleted == 1

    run(tmp_path, crm, work, **SCAN, **keys)


EMPTIES: list[Any] = [[], b"null", b"", (204, b"")]


@pytest.mark.parametrize("empty", EMPTIES, ids=repr)
def test_an_empty_list_alone_deletes_nothing(tmp_path: Path, empty: Any) -> None:
    quiet: list[bool] = []

    async def work(one: Polled) -> None:
        await one.poll()
        quiet.append(True)
        for _ in range(3):
            assert (await scan(one)).deleted == 0
        assert len(await one.records()) == 10
        assert "deletes_stopped" in one.codes()

    crm = Crm()
    run(
        tmp_path, lambda asked: empty if quiet else crm(asked), work,
        deletes={"mode": "scan", "every": "1s", "confirm": "second_scan", "max_ratio": 0.5},
    )  # fmt: skip


def test_a_scan_with_an_initial_value_reads_and_misses_nothing_before_it(tmp_path: Path) -> None:
    rows = [{"id": i, "u": f"2020-01-{i:02d}T00:00:00Z"} for i in range(1, 29)] + [
        {"id": 100, "u": "2026-11-01T00:00:00Z"}
    ]

    async def work(one: Polled) -> None:
        await one.poll()
        assert set(await one.records()) == {"100"}
        assert all(asked.query["since"] == "2026-01-01T00:00:00Z" for asked in one.client.asked[:1])

    run(
        tmp_path, lambda asked: [row for row in rows if str(row["u"]) >= asked.query.get("since", "")], work,
        incremental={"cursor_path": "u", "param": "since", "initial_value": "2026-01-01T00:00:00Z"},
        deletes={"mode": "scan", "confirm": "second_scan"},
    )  # fmt: skip


# -- webhooks and lists that lag -------------------------------------------------------------------------

FEED = {"webhook": {"types": ["upd", "del"], "deleted_types": ["del"]}, "reconcile": "30d", "poll": None}


@pytest.mark.parametrize("version", ["v", ""], ids=["versions", "no versions"])
def test_a_stale_list_does_not_bring_back_what_a_webhook_deleted(tmp_path: Path, version: str) -> None:
    rows = [{"id": "1", "v": 5}, {"id": "2", "v": 1}]

    async def work(one: Polled) -> None:
        await one.poll()
        await one.webhook("del", {"id": "1", "v": 5})
        await one.poll()
        assert "seen_after_delete" in one.codes()
        rows.pop(0)
        await one.poll()
        assert await one.kinds() == [("deleted", "1")]

    run(tmp_path, lambda _: list(rows), work, version=version, **FEED)


def test_a_record_that_is_made_again_after_a_webhook_deleted_it_comes_back(tmp_path: Path) -> None:
    rows = [{"id": "1", "v": 5}]

    async def work(one: Polled) -> None:
        await one.poll()
        await one.webhook("del", {"id": "1", "v": 5})
        rows[0] = {"id": "1", "v": 6}
        await one.poll()
        assert await one.kinds() == [("deleted", "1"), ("created", "1")]

    run(tmp_path, lambda _: list(rows), work, version="v", **FEED)


def test_a_webhook_and_a_list_that_write_a_record_in_two_ways_make_no_updates(tmp_path: Path) -> None:
    listed = {"id": 1, "v": 5, "price": 10, "at": "2026-11-24T12:00:00Z", "more": True}

    async def work(one: Polled) -> None:
        await one.webhook("upd", {"id": "1", "v": 5, "price": "10.00", "at": "2026-11-24T13:00:00+01:00"})
        for _ in range(3):
            await one.poll()
        assert await one.kinds() == [("created", "1")]
        assert (await one.records())["1"]["more"] is True
        assert "shapes_differ" in one.codes()

    run(tmp_path, lambda _: [listed], work, version="v", initial="events", **FEED)


# -- requests --------------------------------------------------------------------------------------------

KEY_IN_QUERY = {"auth": {"type": "api_key", "name": "api_key", "api_key": "S3CRET/+", "location": "query"}}


@pytest.mark.parametrize("spelled", ["api_key=S3CRET/+", "api_key=S3CRET%2F%2B", "page=2&api_key=S3CRET%2F%2B&z=1"])
def test_a_credential_that_the_source_writes_into_its_links_is_not_shown_or_stored(
    tmp_path: Path, spelled: str
) -> None:
    def answer(asked: SentRequest) -> Any:
        link = f"{BASE}/rows?{spelled}"
        more = {"link": f'<{link}>; rel="next"'} if len(asked.pairs) == 1 else {}
        return 200, [{"id": len(asked.pairs), "self": link}], more

    async def work(one: Polled) -> None:
        await one.poll(ok=False)
        assert "S3CRET" not in str(await one.records())
        assert all([name for name, _ in asked.pairs].count("api_key") == 1 for asked in one.client.asked)
        shown = await one.engine.pull("s", "r", None, [], max_age=None, no_cache=True, if_none_match=None)
        assert "S3CRET" not in str(shown.headers) and b"S3CRET" not in shown.body

    run(tmp_path, answer, work, api=KEY_IN_QUERY, paginator={"type": "header_link"})


def test_params_are_sent_with_every_request_and_lists_repeat(tmp_path: Path) -> None:
    def answer(asked: SentRequest) -> Any:
        return {"id": "1"} if asked.path != "/rows" else [{"id": "1"}]

    async def work(one: Polled) -> None:
        await one.poll()
        await one.engine.pull("s", "r", "1", [], max_age=None, no_cache=True, if_none_match=None)
        wanted = [("v", "7"), ("expand", "a"), ("expand", "b"), ("all", "true")]
        assert [asked.pairs for asked in one.client.asked] == [wanted, wanted]

    run(tmp_path, answer, work, item_path="/rows/{id}", params={"v": 7, "expand": ["a", "b"], "all": True})


def test_a_post_with_a_body_is_sent_with_the_token_in_it(tmp_path: Path) -> None:
    def answer(asked: SentRequest) -> Any:
        assert asked.method == "POST"
        at = asked.body.get("after", 0)
        return {"hits": [{"id": at}], "after": at + 1 if at < 2 else None}

    async def work(one: Polled) -> None:
        await one.poll()
        assert [asked.body for asked in one.client.asked][:3] == [
            {"q": "x"},
            {"q": "x", "after": 1},
            {"q": "x", "after": 2},
        ]

    run(
        tmp_path, answer, work, method="POST", json={"q": "x"}, data_selector="hits",
        paginator={"type": "cursor", "cursor_path": "after", "cursor_body_path": "after"},
    )  # fmt: skip


@pytest.mark.parametrize("status", [202, 204])
def test_a_pull_passes_the_status_on(tmp_path: Path, status: int) -> None:
    async def work(one: Polled) -> None:
        answer = await one.engine.pull("s", "r", None, [], max_age=None, no_cache=True, if_none_match=None)
        assert answer.status == status

    run(tmp_path, lambda _: (status, b""), work)


def test_a_webhook_whose_item_cannot_be_read_is_reported_and_waits_for_the_poll(tmp_path: Path) -> None:
    rows = [{"id": "1", "a": 1}]

    def answer(asked: SentRequest) -> Any:
        return {"unexpected": True} if asked.path != "/rows" else list(rows)

    async def work(one: Polled) -> None:
        await one.poll()
        rows[0] = {"id": "1", "a": 2}
        await one.webhook("upd", {"id": "1"})
        await one.settled()
        assert "fetch_back_failed" in one.codes()
        await one.poll()
        assert await one.kinds() == [("updated", "1")]

    run(tmp_path, answer, work, item_path="/rows/{id}", **FEED)


@pytest.mark.parametrize(
    ("keys", "code"),
    [({"version": "v"}, "version_missing"), ({"incremental": {"cursor_path": "u", "param": "s"}}, "cursor_missing")],
)
def test_a_path_that_no_row_has_is_reported(tmp_path: Path, keys: dict[str, Any], code: str) -> None:
    async def work(one: Polled) -> None:
        await one.poll()
        assert code in one.codes()

    run(tmp_path, lambda _: [{"id": 1}], work, **keys)


@pytest.mark.parametrize(("age_seconds", "sent"), [(0, False), (1, False), (3600, True)])
def test_last_modified_is_sent_back_only_when_its_second_is_over(tmp_path: Path, age_seconds: int, sent: bool) -> None:
    row = {"id": 1, "a": 1}

    async def work(one: Polled) -> None:
        changed_us = [one.clock.now_us() - age_seconds * 1_000_000]

        def answer(asked: SentRequest) -> Any:
            stamp = to_datetime(changed_us[0]).strftime("%a, %d %b %Y %H:%M:%S GMT")
            if asked.headers.get("If-Modified-Since") == stamp:
                return 304, b""
            return 200, [dict(row)], {"Last-Modified": stamp}

        one.client.answer = answer
        await one.poll()
        row["a"] = 2  # in the same second
        report = await one.poll()
        assert report.not_modified is sent

    run(tmp_path, lambda _: (500, b""), work)


# -- cost ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 5])
def test_a_poll_that_finds_nothing_costs_one_commit(tmp_path: Path, count: int) -> None:
    async def work(one: Polled) -> None:
        await one.poll()
        commits = []
        commit = one.store.records.commit

        async def counted(what: Any) -> Any:
            commits.append(what)
            return await commit(what)

        one.store.records.commit = counted
        await one.poll()
        assert len(commits) == 1

    run(tmp_path, pages(count), work, **NUMBERED)


def test_findings_are_shown_again_after_a_restart(tmp_path: Path) -> None:
    async def work(one: Polled) -> None:
        await one.poll()
        one.findings = type(one.findings)(one.clock)
        await one.restart()
        await one.poll()
        assert "rows_skipped" in one.codes()
        figures = one.engine.statistics()["s/r"].findings["rows_skipped"]
        assert figures.count >= 2 and "no key at 'id'" in figures.samples[0]

    run(tmp_path, lambda _: [{"id": 1}, {"uid": 2}], work)


def test_findings_of_another_configuration_are_gone_when_it_is_corrected(tmp_path: Path) -> None:
    async def work(one: Polled) -> None:
        await one.poll(ok=False)
        assert "rows_skipped" in one.codes()
        one.configure({"primary_key": "uid"})
        await one.poll()
        assert "rows_skipped" not in one.codes()
        assert one.engine.statistics()["s/r"].findings == {}

    run(tmp_path, lambda _: [{"uid": 1}], work)


def test_a_bad_row_fails_the_poll_where_that_is_wanted(tmp_path: Path) -> None:
    async def work(one: Polled) -> None:
        report = await one.poll(ok=False)
        assert report.error_code == "row_unreadable" and "no key at 'id'" in report.error

    run(tmp_path, lambda _: [{"id": 1}, {"uid": 2}], work, on_bad_row="fail")
