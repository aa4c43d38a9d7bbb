"""The way to PostgreSQL: migrations by several nodes, rejections at the start, text that it cannot hold."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.postgres.pooler import Pooler
from support.postgres.server import server
from tidegate.core.errors import SchemaTooNew, StoreBroken, StoreBusy
from tidegate.store.postgres import engine as engine_module
from tidegate.store.postgres.engine import Engine
from tidegate.store.postgres.migrate import migrate
from tidegate.store.postgres.text import escape, unescape
from tidegate.store.sql import migrations


def with_engine(url, work):
    async def main():
        engine = Engine(url)
        await engine.open()
        try:
            return await work(engine)
        finally:
            await engine.close()

    return asyncio.run(main())


async def test_nodes_that_start_together_migrate_once():
    url = server().new_database(migrated=False)

    engines = [Engine(url) for _ in range(4)]
    await asyncio.gather(*(one.open() for one in engines))
    versions = await asyncio.gather(*(migrate(one) for one in engines))
    steps = await engines[0].work.fetch("SELECT version FROM schema_version ORDER BY version")
    await asyncio.gather(*(one.close() for one in engines))
    newest = migrations("postgres")[-1][0]
    assert versions == [newest] * 4
    assert [row[0] for row in steps] == list(range(1, newest + 1))


def test_a_newer_schema_is_refused_unless_it_says_that_this_release_may_read_it():
    async def work(engine):
        newest = await migrate(engine)
        await engine.work.execute(
            "INSERT INTO schema_version (version, oldest_reader) VALUES ($1, $2)", newest + 1, newest
        )
        assert await migrate(engine) == newest + 1
        await engine.work.execute("INSERT INTO schema_version (version, oldest_reader) VALUES ($1, $1)", newest + 2)
        before = await engine.work.fetch("SELECT * FROM schema_version")
        with pytest.raises(SchemaTooNew):
            await migrate(engine)
        assert await engine.work.fetch("SELECT * FROM schema_version") == before

    with_engine(server().new_database(), work)


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("postgresql://postgres@127.0.0.1:1/x", "start the server"),
        ("nonsense://", "postgresql://"),
    ],
)
def test_a_server_that_cannot_be_used_is_refused_with_what_to_do(url, hint):
    with pytest.raises(StoreBroken) as caught:
        with_engine(url, None)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("parameters", "hint"),
    [
        ("sslmode=require", "turn on ssl"),
        ("sslmode=nonsense", "sslmode=disable"),
        ("connect_timeout=1", "remove it"),
    ],
)
def test_parameters_of_the_url_that_cannot_be_used_are_refused_with_what_to_do(parameters, hint):
    with pytest.raises(StoreBroken) as caught:
        with_engine(f"{server().url('postgres')}?{parameters}", None)
    assert hint in caught.value.hint


def test_a_database_that_is_not_there_is_refused_with_what_to_do():
    with pytest.raises(StoreBroken) as caught:
        with_engine(server().url("nowhere"), None)
    assert "createdb" in caught.value.hint


async def test_a_pooler_in_transaction_mode_is_refused_with_what_to_do():
    url = server().new_database()

    async with Pooler(server().port) as pooler:
        connection = await asyncpg.connect(url.replace(str(server().port), str(pooler.port)))
        assert await connection.fetchval("SELECT 1") == 1  # it does pool
        await connection.close()
        engine = Engine(url.replace(str(server().port), str(pooler.port)))
        with pytest.raises(StoreBroken) as caught:
            await engine.open()
        error = caught.value
    assert "pooler" in error.message
    assert "direct address" in error.hint


def test_commits_of_our_sessions_are_durable_whatever_the_server_defaults_to():
    url = server().new_database()

    async def work(engine):
        await engine.work.execute(f"ALTER DATABASE {url.rpartition('/')[2]} SET synchronous_commit = off")

    async def facts(engine):
        return await engine.facts()

    with_engine(url, work)
    assert with_engine(url, facts)["synchronous_commit"] == "on"


def test_a_deadlock_and_a_serialization_failure_are_passing_and_the_database_is_not_down():
    async def cross(engine, first, second, met):
        async with engine.work.transaction() as connection:
            await connection.fetchval("SELECT pg_advisory_xact_lock(1, $1)", first)
            await met.wait()
            await connection.fetchval("SELECT pg_advisory_xact_lock(1, $1)", second)

    async def raced(engine):
        async with engine.work.connection() as connection, connection.transaction(isolation="serializable"):
            await connection.fetchval("SELECT floor FROM log_state")
            await engine.work.execute("UPDATE log_state SET floor = floor")
            await connection.execute("UPDATE log_state SET floor = floor")

    async def work(engine):
        met = asyncio.Barrier(2)
        ends = await asyncio.gather(cross(engine, 1, 2, met), cross(engine, 2, 1, met), return_exceptions=True)
        (victim,) = [end for end in ends if end is not None]
        with pytest.raises(StoreBusy) as caught:
            await raced(engine)
        for error in (victim, caught.value):
            assert isinstance(error, StoreBusy) and error.retryable and error.retry_after_seconds == 1
        assert not engine.down
        assert await engine.work.fetchval("SELECT 1") == 1

    with_engine(server().new_database(), work)


@given(st.text(st.characters(codec=None, exclude_categories=()), max_size=20), st.text(max_size=3))
def test_any_text_comes_back_as_it_was_and_two_texts_stay_two(one, other):
    stored = escape(one)
    assert unescape(stored) == one
    assert "\0" not in stored
    stored.encode()
    assert (escape(one) == escape(other)) == (one == other)
    assert unescape(escape("\0\ud800\x1a" + one)) == "\0\ud800\x1a" + one


async def test_a_server_older_than_supported_is_refused_at_the_start_with_what_to_do(monkeypatch):
    url = server().new_database(migrated=False)
    monkeypatch.setattr(engine_module, "OLDEST_SERVER", 990000)

    with pytest.raises(StoreBroken) as error:
        await Engine(url).open()
    assert error.value.code == "server_too_old" and not error.value.retryable
    assert "99 or newer" in error.value.message and "upgrade" in error.value.hint
    connection = await asyncpg.connect(url)
    assert await connection.fetchval("SELECT to_regnamespace('tidegate') IS NULL"), "nothing was changed"
    await connection.close()
