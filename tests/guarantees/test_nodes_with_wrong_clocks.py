"""Nodes whose machines have wrong clocks work like the others: what they compare with one another, and what they send,
is in one time, the database server's. One node is an hour ahead, the other an hour behind.
"""

from __future__ import annotations

import signal
import time
from datetime import datetime
from pathlib import Path

from support.gateway.cluster import Cluster, post
from support.gateway.process import call
from support.gateway.running import until
from support.postgres.server import server
from support.receiver.scripted import OK, ScriptedServer, answer

HOUR = 3600
NEAR_SECONDS = 10.0  # a slow machine; an hour is what it must not be
DESTINATIONS = 4
TAKEN_OVER_SECONDS = 30.0  # the longest pause between tries is 5 s
PROGRAM = (str(Path(__file__).with_name("planted_wrong_clock.py")),)
ENVIRON = {"PYTHONPATH": str(Path(__file__).parents[1])}


async def test_an_hour_ahead_and_an_hour_behind_receive_send_and_retry_as_if_they_were_right(tmp_path: Path) -> None:
    async with ScriptedServer(answer(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n")) as receiver:
        cluster = Cluster(tmp_path, server(), receiver, 0, DESTINATIONS)
        ahead, behind = (
            cluster.node(name, PROGRAM, ENVIRON | {"TIDEGATE_TEST_SKEW_SECONDS": str(seconds)})
            for name, seconds in (("ahead", HOUR), ("behind", -HOUR))
        )
        cluster.nodes = [ahead, behind]
        await cluster.start()

        async def even() -> bool:
            return [node["partitions"] for node in (await call(ahead.url, "/api/v1/doctor", ahead.key))["nodes"]] == [
                32,
                32,
            ]

        await until(even, 20)
        for node in cluster.nodes:  # a signature that is minutes old would be refused
            status, _ = await post(node.port, f"at-{node.port}", b'{"key": "k%d"}' % node.port)
            assert status == 202
            events = (await call(node.url, "/api/v1/events?limit=1", node.key))["data"]
            received = datetime.fromisoformat(events[0]["received_at"]).timestamp()
            assert abs(received - time.time()) < NEAR_SECONDS
        await until(lambda: all(len(tries(receiver, name)) >= 4 for name in cluster.destinations), 20)
        for request in receiver.requests:
            assert abs(int(request.headers["webhook-timestamp"]) - time.time()) < NEAR_SECONDS
        assert [await clock_of(node) for node in cluster.nodes] == ["3600 s ahead", "3600 s behind"]

        await cluster.kill_node(ahead)  # what it wrote as due is sent by the other
        receiver.requests.clear()
        receiver.script = answer(OK)
        await until(lambda: all(len(tries(receiver, name)) == 2 for name in cluster.destinations), TAKEN_OVER_SECONDS)
        assert await behind.end(signal.SIGTERM) == 0


def tries(receiver: ScriptedServer, destination: str) -> list[str]:
    """Ids of the events that were sent to a destination, one a try."""
    return [one.headers["webhook-id"] for one in receiver.requests if one.line.split(" ")[1] == f"/{destination}"]


async def clock_of(node) -> str:
    report = await call(node.url, "/api/v1/doctor", node.key)
    return next((one["title"] for one in report["findings"] if one["subject"] == "store:clock"), "right")
