"""Nodes on one fresh database, as the tests of the log on PostgreSQL want them, and their own way into it."""

from __future__ import annotations

import asyncio

import asyncpg

from support.postgres.server import server
from support.stores import event
from tidegate.store.postgres import open_postgres
from tidegate.store.postgres.batches import Call, make_batch
from tidegate.store.postgres.engine import SESSION_SETTINGS


def on_stores(work, count=1, url=None):
    """Run `work(*stores)` with so many nodes on one fresh database."""
    url = url or server().new_database()

    async def main():
        stores = [await open_postgres(url) for _ in range(count)]
        try:
            return await work(*stores)
        finally:
            for store in stores:
                await store.close()

    return asyncio.run(main())


def url_of(store):
    return store.engine._url


async def raw(store):
    return await asyncpg.connect(url_of(store), server_settings=SESSION_SETTINGS)


def columns(number, count=1):
    future = asyncio.get_running_loop().create_future()
    return make_batch([Call(future, [event(number) for _ in range(count)], False)])[0].columns(f"node {number}")


async def partitions_of(store):
    rows = await store.engine.work.fetch(
        "SELECT c.relname FROM pg_class AS c WHERE c.relkind = 'r' AND c.relname ~ '^(events|attempts)_[0-9]+$'"
    )
    return {row[0] for row in rows}
