"""Polls of sources that lag, lie and contradict themselves: nothing lost, nothing false, nothing silent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.upstream.polled import BASE, Polled, SentRequest, polled
from tidegate.core.clock import to_datetime
from tidegate.core.errors import Conflict
from tidegate.pull.run import PollOptions

NUMBERED = {"paginator": {"type": "page_number"}}
EVENTS = {"initial": "events"}


def pages(count: int) -> Callable[[SentRequest], Any]:
    return lambda asked: [{"id": int(asked.query["page"])}] if int(asked.query["page"]) <= count else []


# -- keys that are not unique ----------------------------------------------------------------------------

A, B, C = {"id": 1, "place": "A"}, {"id": 1, "place": "B"}, {"id": 1, "place": "C"}


@pytest.mark.parametrize(
    "lists",
    [[[A, B]] * 5, [[A, B], [B, A]] * 3, [[A, B, C], [C, A, B], [B, C, A]] * 2],
    ids=["in order", "in turn", "three in any order"],
)
async def test_an_unchanged_list_with_a_key_of_several_rows_makes_no_event(
    tmp_path: Path, lists: list[list[Any]]
) -> None:
    polls = [-1]

    def answer(_: SentRequest) -> Any:
        polls[0] += 1
        return lists[polls[0] % len(lists)]

    async with polled(tmp_path, answer) as one:
        for _ in range(8):
            await one.poll()
        assert await one.changes() == []
        assert "duplicate_keys" in one.codes()


async def test_a_key_that_is_unique_again_is_followed_again(tmp_path: Path) -> None:
    rows: list[Any] = [A, B]

    async with polled(tmp_path, lambda _: list(rows)) as one:
        await one.poll()
        await one.poll()
        rows[:] = [C]
        await one.poll()
        await one.poll()  # once proves little: pages may have moved
        assert await one.kinds() == [("updated", "1")]
        assert (await one.records())["1"] == C


async def test_a_composite_key_tells_rows_apart(tmp_path: Path) -> None:

    async with polled(tmp_path, lambda _: [A, B], primary_key=["id", "place"]) as one:
        await one.poll()
        assert set(await one.records()) == {"1|A", "1|B"}
        assert "duplicate_keys" not in one.codes()


# -- versions --------------------------------------------------------------------------------------------

VERSIONS = [
    ("revisions", "9-aa", "10-bb"), ("dotted", "1.9.0", "1.10.0"), ("HTTP dates", "Wed, 25 Nov 2026 10:00:00 GMT",
     "Thu, 26 Nov 2026 10:00:00 GMT"), ("US dates", "12/31/2026 10:00", "01/02/2027 10:00"),
    ("am and pm", "2026-11-24 09:59 AM", "2026-11-24 01:10 PM"), ("entity tags", 'W/"f0"', 'W/"0b"'),
    ("prefixed", "v9", "v10"), ("hashes", "ff", "00"), ("numbers", 9, 10),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new"), [row[1:] for row in VERSIONS], ids=[row[0] for row in VERSIONS])
async def test_an_update_with_a_version_of_any_kind_is_taken_at_once(tmp_path: Path, old: Any, new: Any) -> None:
    now = [0]

    async with polled(tmp_path, lambda _: [{"id": 1, "v": (old, new)[now[0]], "x": now[0]}], version="v") as one:
        await one.poll()
        now[0] = 1
        assert (await one.poll()).updated == 1
        assert (await one.poll()).updated == 0


async def test_a_lower_version_is_held_said_and_taken_when_a_second_poll_shows_it(tmp_path: Path) -> None:
    row = {"id": 1, "v": "2026-10-25T02:50:00", "x": 1}

    async with polled(tmp_path, lambda _: [row], version="v") as one:
        await one.poll()
        row.update(v="2026-10-25T02:10:00", x=2)  # the clocks went back
        assert (await one.poll()).updated == 0
        assert "version_went_back" in one.codes()
        assert (await one.poll()).updated == 1
        assert "version_not_ordered" in one.codes()
        row.update(v="2026-10-25T02:20:00", x=3)
        assert (await one.poll()).updated == 1, "and the lower version is what counts from then on"


async def test_a_lower_version_that_a_fetch_back_confirms_is_taken(tmp_path: Path) -> None:
    row = {"id": 1, "v": 5, "x": 1}

    async with polled(
        tmp_path, lambda asked: row if asked.path == "/rows/1" else [row], version="v", item_path="/rows/{id}"
    ) as one:
        await one.poll()
        row.update(v=4, x=2)
        await one.poll()
        await one.settled()
        assert (await one.records())["1"]["x"] == 2


async def test_a_replica_that_is_behind_never_takes_a_record_back(tmp_path: Path) -> None:
    """The list is behind now and then; the item is always current, or behind too."""
    states = [{"id": 1, "v": n, "x": n} for n in range(1, 6)]
    shown = [0]

    async with polled(tmp_path, lambda asked: [states[shown[0]]], version="v") as one:
        for at in (0, 1, 2, 1, 3, 2, 2, 4, 3, 4):
            shown[0] = at
            await one.poll()
            await one.settled()
        seen = [data["x"] for _, _, data in await one.changes()]
        assert seen == sorted(seen), seen
        assert (await one.records())["1"]["x"] == 5


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


async def test_records_that_the_source_has_and_does_not_list_do_not_stop_deletes(tmp_path: Path) -> None:
    crm = Crm()

    async with polled(tmp_path, crm, **SCAN) as one:
        await one.poll()
        crm.listed = crm.listed[2:]  # archived
        assert (await scan(one)).deleted == 0
        assert "unlisted_records" in one.codes()
        crm.remove("9")
        assert (await scan(one)).deleted == 1
        crm.there.discard("0")  # an archived one is deleted
        assert (await scan(one)).deleted == 1
        assert set(await one.records()) == set("12345678")


async def test_a_scan_that_misses_too_many_is_reported_until_they_are_back(tmp_path: Path) -> None:
    crm = Crm()

    async with polled(tmp_path, crm, **SCAN) as one:
        await one.poll()
        every, crm.listed = crm.listed, crm.listed[:3]
        assert (await scan(one)).deleted == 0
        assert "deletes_stopped" in one.codes()
        crm.listed = every
        await scan(one)
        assert "deletes_stopped" not in one.codes()


async def test_a_person_can_accept_the_deletes_that_the_ratio_stopped_and_no_more(tmp_path: Path) -> None:
    crm = Crm()

    async with polled(tmp_path, crm, **SCAN) as one:
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


async def test_a_confirmation_that_never_confirms_is_reported(tmp_path: Path) -> None:
    crm = Crm()
    crm.gone = (403, {"message": "forbidden"})

    async with polled(tmp_path, crm, **SCAN) as one:
        await one.poll()
        crm.remove("9")
        report = await scan(one)
        assert report.deleted == 0
        assert [found.code for found in report.findings] == ["deletes_unconfirmed"]
        assert "403" in report.findings[0].samples[0]


@pytest.mark.parametrize(
    ("keys", "gone"),
    [
        ({"gone": [404, 410, 403]}, (403, {})),
        ({"gone_path": "deleted"}, {"id": "9", "deleted": True}),
        ({"gone_path": "meta.deleted_at"}, {"id": "9", "meta": {"deleted_at": "2026-11-24"}}),
        ({}, (410, {})),
    ],
)
async def test_what_means_deleted_can_be_configured(tmp_path: Path, keys: dict[str, Any], gone: Any) -> None:
    crm = Crm()
    crm.gone = gone

    async with polled(tmp_path, crm, **SCAN, **keys) as one:
        await one.poll()
        crm.remove("9")
        assert (await scan(one)).deleted == 1


EMPTIES: list[Any] = [[], b"null", b"", (204, b"")]


@pytest.mark.parametrize("empty", EMPTIES, ids=repr)
async def test_an_empty_list_alone_deletes_nothing(tmp_path: Path, empty: Any) -> None:
    quiet: list[bool] = []

    crm = Crm()
    async with polled(
        tmp_path,
        lambda asked: empty if quiet else crm(asked),
        deletes={"mode": "scan", "every": "1s", "confirm": "second_scan", "max_ratio": 0.5},
    ) as one:
        await one.poll()
        quiet.append(True)
        for _ in range(3):
            assert (await scan(one)).deleted == 0
        assert len(await one.records()) == 10
        assert "deletes_stopped" in one.codes()


async def test_a_scan_with_an_initial_value_reads_and_misses_nothing_before_it(tmp_path: Path) -> None:
    rows = [{"id": i, "u": f"2020-01-{i:02d}T00:00:00Z"} for i in range(1, 29)] + [
        {"id": 100, "u": "2026-11-01T00:00:00Z"}
    ]

    async with polled(
        tmp_path,
        lambda asked: [row for row in rows if str(row["u"]) >= asked.query.get("since", "")],
        incremental={"cursor_path": "u", "param": "since", "initial_value": "2026-01-01T00:00:00Z"},
        deletes={"mode": "scan", "confirm": "second_scan"},
    ) as one:
        await one.poll()
        assert set(await one.records()) == {"100"}
        assert all(asked.query["since"] == "2026-01-01T00:00:00Z" for asked in one.client.asked[:1])


# -- webhooks and lists that lag -------------------------------------------------------------------------

FEED = {"webhook": {"types": ["upd", "del"], "deleted_types": ["del"]}, "reconcile": "30d", "poll": None}


@pytest.mark.parametrize("version", ["v", ""], ids=["versions", "no versions"])
async def test_a_stale_list_does_not_bring_back_what_a_webhook_deleted(tmp_path: Path, version: str) -> None:
    rows = [{"id": "1", "v": 5}, {"id": "2", "v": 1}]

    async with polled(tmp_path, lambda _: list(rows), version=version, **FEED) as one:
        await one.poll()
        await one.webhook("del", {"id": "1", "v": 5})
        await one.poll()
        assert "seen_after_delete" in one.codes()
        rows.pop(0)
        await one.poll()
        assert await one.kinds() == [("deleted", "1")]


async def test_a_record_that_is_made_again_after_a_webhook_deleted_it_comes_back(tmp_path: Path) -> None:
    rows = [{"id": "1", "v": 5}]

    async with polled(tmp_path, lambda _: list(rows), version="v", **FEED) as one:
        await one.poll()
        await one.webhook("del", {"id": "1", "v": 5})
        rows[0] = {"id": "1", "v": 6}
        await one.poll()
        assert await one.kinds() == [("deleted", "1"), ("created", "1")]


async def test_a_webhook_and_a_list_that_write_a_record_in_two_ways_make_no_updates(tmp_path: Path) -> None:
    listed = {"id": 1, "v": 5, "price": 10, "at": "2026-11-24T12:00:00Z", "more": True}

    async with polled(tmp_path, lambda _: [listed], version="v", initial="events", **FEED) as one:
        await one.webhook("upd", {"id": "1", "v": 5, "price": "10.00", "at": "2026-11-24T13:00:00+01:00"})
        for _ in range(3):
            await one.poll()
        assert await one.kinds() == [("created", "1")]
        assert (await one.records())["1"]["more"] is True
        assert "shapes_differ" in one.codes()


# -- requests --------------------------------------------------------------------------------------------

KEY_IN_QUERY = {"auth": {"type": "api_key", "name": "api_key", "api_key": "S3CRET/+", "location": "query"}}


async def test_a_credential_in_another_place_of_a_header_is_not_shown(tmp_path: Path) -> None:
    """A pull shows headers of the source to programs that may not know its credential."""
    auth = {"auth": {"type": "http_basic", "username": "u", "password": "S3CRET"}}
    headers = {"link": '<https://u:S3CRET@api.example.com/rows?page=2>; rel="next"', "etag": '"S3CRET-1"'}
    async with polled(tmp_path, lambda _: (200, [{"id": 1}], headers), api=auth) as one:
        shown = await one.engine.pull("s", "r", None, [], max_age=None, no_cache=True, if_none_match=None)
        assert "S3CRET" not in str(shown.headers) and "api.example.com/rows?page=2" in str(shown.headers)


@pytest.mark.parametrize(
    "spelled", ["api_key=S3CRET/+", "api_key=S3CRET%2F%2B", "api_key=S3CRET%2f%2b", "page=2&api_key=S3CRET%2F%2B&z=1"]
)
async def test_a_credential_that_the_source_writes_into_its_links_is_not_shown_or_stored(
    tmp_path: Path, spelled: str
) -> None:
    def answer(asked: SentRequest) -> Any:
        link = f"{BASE}/rows?{spelled}"
        more = {"link": f'<{link}>; rel="next"'} if len(asked.pairs) == 1 else {}
        return 200, [{"id": len(asked.pairs), "self": link}], more

    async with polled(tmp_path, answer, api=KEY_IN_QUERY, paginator={"type": "header_link"}) as one:
        await one.poll(ok=False)
        assert "S3CRET" not in str(await one.records())
        assert all([name for name, _ in asked.pairs].count("api_key") == 1 for asked in one.client.asked)
        shown = await one.engine.pull("s", "r", None, [], max_age=None, no_cache=True, if_none_match=None)
        assert "S3CRET" not in str(shown.headers) and b"S3CRET" not in shown.body


async def test_params_are_sent_with_every_request_and_lists_repeat(tmp_path: Path) -> None:
    def answer(asked: SentRequest) -> Any:
        return {"id": "1"} if asked.path != "/rows" else [{"id": "1"}]

    async with polled(
        tmp_path, answer, item_path="/rows/{id}", params={"v": 7, "expand": ["a", "b"], "all": True}
    ) as one:
        await one.poll()
        await one.engine.pull("s", "r", "1", [], max_age=None, no_cache=True, if_none_match=None)
        wanted = [("v", "7"), ("expand", "a"), ("expand", "b"), ("all", "true")]
        assert [asked.pairs for asked in one.client.asked] == [wanted, wanted]


async def test_a_post_with_a_body_is_sent_with_the_token_in_it(tmp_path: Path) -> None:
    def answer(asked: SentRequest) -> Any:
        assert asked.method == "POST"
        at = asked.body.get("after", 0)
        return {"hits": [{"id": at}], "after": at + 1 if at < 2 else None}

    async with polled(
        tmp_path,
        answer,
        method="POST",
        json={"q": "x"},
        data_selector="hits",
        paginator={"type": "cursor", "cursor_path": "after", "cursor_body_path": "after"},
    ) as one:
        await one.poll()
        assert [asked.body for asked in one.client.asked][:3] == [
            {"q": "x"},
            {"q": "x", "after": 1},
            {"q": "x", "after": 2},
        ]


@pytest.mark.parametrize("status", [202, 204])
async def test_a_pull_passes_the_status_on(tmp_path: Path, status: int) -> None:

    async with polled(tmp_path, lambda _: (status, b"")) as one:
        answer = await one.engine.pull("s", "r", None, [], max_age=None, no_cache=True, if_none_match=None)
        assert answer.status == status


async def test_a_webhook_whose_item_cannot_be_read_is_reported_and_waits_for_the_poll(tmp_path: Path) -> None:
    rows = [{"id": "1", "a": 1}]

    def answer(asked: SentRequest) -> Any:
        return {"unexpected": True} if asked.path != "/rows" else list(rows)

    async with polled(tmp_path, answer, item_path="/rows/{id}", **FEED) as one:
        await one.poll()
        rows[0] = {"id": "1", "a": 2}
        await one.webhook("upd", {"id": "1"})
        await one.settled()
        assert "fetch_back_failed" in one.codes()
        await one.poll()
        assert await one.kinds() == [("updated", "1")]


@pytest.mark.parametrize(
    ("keys", "code"),
    [({"version": "v"}, "version_missing"), ({"incremental": {"cursor_path": "u", "param": "s"}}, "cursor_missing")],
)
async def test_a_path_that_no_row_has_is_reported(tmp_path: Path, keys: dict[str, Any], code: str) -> None:

    async with polled(tmp_path, lambda _: [{"id": 1}], **keys) as one:
        await one.poll()
        assert code in one.codes()


@pytest.mark.parametrize(("age_seconds", "sent"), [(0, False), (1, False), (3600, True)])
async def test_last_modified_is_sent_back_only_when_its_second_is_over(
    tmp_path: Path, age_seconds: int, sent: bool
) -> None:
    row = {"id": 1, "a": 1}

    async with polled(tmp_path, lambda _: (500, b"")) as one:
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
