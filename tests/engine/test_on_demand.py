"""A pull on demand: cached within its age, one request upstream, bytes unchanged, stale only when allowed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from support.gateway.running import until
from support.upstream.pull import PullSetup, pull_setup
from tidegate.core.clock import ManualClock
from tidegate.core.errors import BadRequest, NotFound, UpstreamError, UpstreamTimeout
from tidegate.pull.on_demand import PullAnswer


def run(path: Path, work: Callable[[PullSetup], Awaitable[None]], /, **how: Any) -> None:
    async def main() -> None:
        async with pull_setup(path, clock=ManualClock(), **how) as one:
            await work(one)

    asyncio.run(main())


async def pull(
    one: PullSetup, key: str | None = None, query: list[tuple[str, str]] | None = None, **how: Any
) -> PullAnswer:
    values: dict[str, Any] = {"max_age": None, "no_cache": False, "if_none_match": None, **how}
    return await one.engine.pull("shop", "orders", key, query or [], **values)


def named(answer: PullAnswer, name: str) -> str | None:
    return dict(answer.headers).get(name)


def forward(one: PullSetup, seconds: float) -> None:
    assert isinstance(one.clock, ManualClock)
    one.clock.advance(seconds)


def test_an_answer_is_served_again_within_its_age_and_not_after(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        one.shop.put("1", amount=1)
        first = await pull(one)
        assert first.status == 200
        assert (named(first, "age"), named(first, "cache-status")) == (
            "0",
            "Tidegate; fwd=uri-miss; fwd-status=200; stored",
        )
        one.shop.put("1", amount=2)
        forward(one, 29)
        again = await pull(one)
        assert again.body == first.body
        assert (named(again, "age"), named(again, "cache-status")) == ("29", "Tidegate; hit; ttl=1")
        forward(one, 2)
        fresh = await pull(one)
        assert fresh.body != first.body
        assert named(fresh, "cache-status") == "Tidegate; fwd=stale; fwd-status=200; stored"
        assert len(one.shop.asked) == 2

    run(tmp_path, work, cache="30s")


def test_bytes_and_content_type_go_through_unchanged(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        one.shop.put("1", name="Zoë \u2028", amount=1.0)
        one.shop.extra = {"content-type": "application/vnd.shop+json", "set-cookie": "session=1", "x-secret": "y"}
        answer = await pull(one, "1")
        assert b'"amount": 1.0' in answer.body
        assert named(answer, "content-type") == "application/vnd.shop+json"
        assert named(answer, "set-cookie") is None
        assert named(answer, "x-secret") is None
        assert named(answer, "etag") is not None

    run(tmp_path, work)


@pytest.mark.parametrize("how", [{"max_age": 0.0}, {"no_cache": True}])
def test_fresh_is_fresh(tmp_path: Path, how: dict[str, Any]) -> None:
    async def work(one: PullSetup) -> None:
        one.shop.put("1")
        await pull(one)
        answer = await pull(one, **how)
        assert len(one.shop.asked) == 2
        assert named(answer, "cache-status") == "Tidegate; fwd=request; fwd-status=200; stored"

    run(tmp_path, work, cache="1h")


def test_the_callers_max_age_stands_above_the_resources(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        one.shop.put("1")
        await pull(one)
        forward(one, 9)
        await pull(one, max_age=10.0)
        assert len(one.shop.asked) == 1
        await pull(one, max_age=8.0)
        assert len(one.shop.asked) == 2

    run(tmp_path, work)


def test_a_hundred_askers_make_one_request(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        one.shop.put("1")
        go = asyncio.Event()

        async def hold(target: str) -> None:
            await go.wait()

        one.shop.on_answer = hold
        askers = [asyncio.create_task(pull(one, "1", max_age=0.0)) for _ in range(100)]
        await until(lambda: len(one.shop.asked) == 1)
        go.set()
        answers = await asyncio.gather(*askers)
        assert len(one.shop.asked) == 1
        assert {answer.body for answer in answers} == {answers[0].body}
        assert sum("collapsed" in (named(answer, "cache-status") or "") for answer in answers) == 99

    run(tmp_path, work)


def test_one_who_leaves_takes_nothing_from_the_others(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        one.shop.put("1")
        go = asyncio.Event()

        async def hold(target: str) -> None:
            await go.wait()

        one.shop.on_answer = hold
        first, second = (asyncio.create_task(pull(one, "1")) for _ in range(2))
        await until(lambda: len(one.shop.asked) == 1)
        first.cancel()
        go.set()
        assert (await second).status == 200
        assert len(one.shop.asked) == 1

    run(tmp_path, work)


def test_validators_make_a_renewal_cost_a_304(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        one.shop.put("1")
        first = await pull(one)
        forward(one, 60)
        again = await pull(one)
        assert one.shop.heads[-1]["if-none-match"] == named(first, "etag")
        assert again.body == first.body
        assert named(again, "age") == "0"
        assert named(again, "cache-status") == "Tidegate; fwd=stale; fwd-status=304; stored"

    run(tmp_path, work, validators=True, cache="30s")


def test_a_caller_who_has_the_same_gets_304(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        one.shop.put("1")
        first = await pull(one)
        tag = named(first, "etag")
        again = await pull(one, if_none_match=f'"other", W/{tag}')
        assert (again.status, again.body) == (304, b"")
        one.shop.put("1", amount=2)
        assert (await pull(one, if_none_match=tag, no_cache=True)).status == 200

    run(tmp_path, work, cache="30s")


def test_the_age_the_source_says_counts(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        one.shop.put("1")
        one.shop.extra = {"age": "25"}
        assert named(await pull(one), "age") == "25"
        forward(one, 6)
        await pull(one)
        assert len(one.shop.asked) == 2

    run(tmp_path, work, cache="30s")


def test_a_stale_copy_stands_in_for_a_failing_source_when_allowed(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        one.shop.put("1")
        first = await pull(one)
        forward(one, 40)
        one.shop.break_next = [503]
        stale = await pull(one)
        assert stale.body == first.body
        assert (named(stale, "warning") or "").startswith("111 ")
        assert named(stale, "age") == "40"
        assert named(stale, "cache-status") == "Tidegate; fwd=stale; fwd-status=503; ttl=-10; detail=stale-if-error"
        forward(one, 100)
        one.shop.break_next = [503]
        with pytest.raises(UpstreamError) as error:
            await pull(one)
        assert (error.value.status, error.value.upstream_status) == (502, 503)

    run(tmp_path, work, cache="30s", stale_if_error="60s")


def test_without_stale_if_error_a_failure_names_the_upstream_status(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        one.shop.put("1")
        await pull(one)
        forward(one, 40)
        one.shop.break_next = [500]
        with pytest.raises(UpstreamError) as error:
            await pull(one)
        assert (error.value.status, error.value.upstream_status) == (502, 500)
        assert "500" in error.value.message

    run(tmp_path, work, cache="30s")


def test_a_silent_source_is_504(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        async def hang(target: str) -> None:
            await asyncio.Event().wait()

        one.shop.on_answer = hang
        with pytest.raises(UpstreamTimeout) as error:
            await pull(one)
        assert error.value.status == 504

    run(tmp_path, work, api={"timeout": "100ms"})


def test_what_the_source_denies_is_404_and_no_old_copy_stands_in(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        one.shop.put("1")
        await pull(one, "1")
        one.shop.remove("1")
        for _ in range(2):
            with pytest.raises(UpstreamError) as error:
                await pull(one, "1", no_cache=True)
            assert (error.value.status, error.value.upstream_status) == (404, 404)

    run(tmp_path, work, cache="30s", stale_if_error="1h")


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("a/b", "/orders/a%2Fb"),
        ("a b?c#d", "/orders/a%20b%3Fc%23d"),
        ("../admin", "/orders/..%2Fadmin"),
        ("%2e%2e", "/orders/%252e%252e"),
        ("é", "/orders/%C3%A9"),
        ("{id}", "/orders/%7Bid%7D"),
    ],
)
def test_a_key_is_one_encoded_segment(tmp_path: Path, key: str, path: str) -> None:
    async def work(one: PullSetup) -> None:
        one.shop.put(key)
        with pytest.raises(UpstreamError):
            await pull(one, key + "missing")
        one.shop.asked.clear()
        one.shop.items[key] = {"id": key}
        assert (await pull(one, key)).status == 200
        assert one.shop.asked == [path]

    run(tmp_path, work)


@pytest.mark.parametrize("key", ["", ".", ".."])
def test_a_key_that_is_a_path_of_its_own_is_refused(tmp_path: Path, key: str) -> None:
    async def work(one: PullSetup) -> None:
        with pytest.raises(BadRequest):
            await pull(one, key)
        assert one.shop.asked == []

    run(tmp_path, work)


def test_unknown_names_and_missing_item_paths_are_404(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        with pytest.raises(NotFound) as error:
            await one.engine.pull("shop", "nothing", None, [], max_age=None, no_cache=False, if_none_match=None)
        assert "shop/orders" in error.value.hint
        with pytest.raises(NotFound) as missing:
            await pull(one, "1")
        assert missing.value.code == "no_item_path"

    run(tmp_path, work, item_path=None)


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        ({"type": "bearer", "token": "t0k"}, "authorization", "Bearer t0k"),
        ({"type": "http_basic", "username": "u", "password": "p"}, "authorization", "Basic dTpw"),
        ({"type": "api_key", "name": "X-Key", "api_key": "k"}, "x-key", "k"),
        ({"type": "api_key", "name": "sid", "api_key": "k", "location": "cookie"}, "cookie", "sid=k"),
    ],
)
def test_credentials_go_with_the_request(tmp_path: Path, auth: dict[str, str], header: str, value: str) -> None:
    async def work(one: PullSetup) -> None:
        await pull(one)
        assert one.shop.heads[-1][header] == value

    run(tmp_path, work, api={"auth": auth})


def test_query_parameters_go_through_save_those_that_carry_the_auth(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        await pull(one, query=[("status", "open"), ("token", "mine"), ("status", "a&b")])
        assert one.shop.asked == ["/orders?limit=5&status=open&status=a%26b&token=secret"]

    run(
        tmp_path,
        work,
        params={"limit": "5"},
        api={"auth": {"type": "api_key", "name": "token", "api_key": "secret", "location": "query"}},
    )


@pytest.mark.parametrize("key", [None, "1"])
def test_a_caller_cannot_set_a_parameter_that_the_configuration_sets(tmp_path: Path, key: str | None) -> None:
    async def work(one: PullSetup) -> None:
        one.shop.put("1")
        query = [("tenant", "b"), ("region", "x"), ("side", "y"), ("token", "mine"), ("page", "1")]
        answer = await pull(one, key, query=[*query, ("tenant", "c"), ("tenant\n", "d")])
        (asked,) = one.shop.asked
        sent = asked.partition("?")[2]
        set_here = ["tenant=a", "region=eu" if key is None else "side=left"]
        assert sorted(sent.split("&")) == sorted(["token=secret", "page=1", "tenant%0A=d", *set_here]), asked
        assert named(answer, "x-tidegate-ignored-params") == "tenant, region, side, token"
        assert named(await pull(one, key, query=[("page", "2")]), "x-tidegate-ignored-params") is None

    run(
        tmp_path,
        work,
        path="/orders?region=eu&tenant=of-the-path",
        item_path="/orders/{id}?side=left",
        params={"tenant": "a"},
        api={"auth": {"type": "api_key", "name": "token", "api_key": "secret", "location": "query"}},
    )


@pytest.mark.parametrize(
    ("given", "sent"), [(None, "tenant=a&side=left"), ({}, "side=left"), ({"tenant": "b"}, "tenant=b&side=left")]
)
def test_an_item_has_parameters_of_its_own(tmp_path: Path, given: dict[str, str] | None, sent: str) -> None:
    async def work(one: PullSetup) -> None:
        one.shop.put("1")
        await pull(one, "1")
        assert sorted(one.shop.asked[0].partition("?")[2].split("&")) == sorted(sent.split("&"))

    how = {} if given is None else {"item_params": given}
    run(tmp_path, work, item_path="/orders/{id}?side=left", params={"tenant": "a"}, **how)


def test_other_parameters_are_another_answer(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        for number in range(3):
            one.shop.put(str(number))
        one_page = await pull(one, query=[("page", "1")])
        two_page = await pull(one, query=[("page", "2")])
        assert one_page.body != two_page.body
        assert 'rel="next"' in (named(one_page, "link") or "")

    run(tmp_path, work, cache="1h", page_size=2)


def test_the_cache_is_bounded_in_bytes(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        one.engine._on_demand._limit = 100_000
        for number in range(50):
            one.shop.put(str(number), note="x" * 10_000)
            await pull(one, str(number))
        assert one.engine._on_demand.cached_bytes <= 100_000
        await pull(one, "49")
        assert one.shop.asked[-1] == "/orders/49"
        assert len(one.shop.asked) == 50

    run(tmp_path, work, cache="1h")


def test_a_429_holds_the_whole_source_back_and_says_until_when(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        one.shop.extra = {"retry-after": "120"}
        one.shop.break_next = [429]
        with pytest.raises(UpstreamError):
            await pull(one, "1")
        with pytest.raises(UpstreamError) as error:
            await pull(one)
        assert error.value.code == "upstream_rate_limited"
        assert error.value.retry_after_seconds == pytest.approx(120)
        assert len(one.shop.asked) == 1

    run(tmp_path, work)


def test_a_changed_configuration_serves_nothing_read_with_the_old_one(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        one.shop.put("1")
        await pull(one)
        one.configure({"auth": {"type": "bearer", "token": "new"}}, cache="1h")
        await pull(one)
        assert len(one.shop.asked) == 2
        one.configure({"auth": {"type": "bearer", "token": "new"}}, cache="1h")
        await pull(one)
        assert len(one.shop.asked) == 2, "what did not change keeps its cache"

    run(tmp_path, work, cache="1h")


def test_a_cached_answer_costs_microseconds(tmp_path: Path) -> None:
    async def work(one: PullSetup) -> None:
        one.shop.put("1")
        await pull(one, "1")
        began = time.thread_time()
        for _ in range(2000):
            await pull(one, "1")
        each = (time.thread_time() - began) / 2000
        assert each < 0.0002, f"{each * 1e6:.0f} us for each cached answer"

    run(tmp_path, work, cache="1h")
