"""Two systems kept in step in both directions: each change arrives once, and none goes round in a circle."""

from __future__ import annotations

import json
import random
from pathlib import Path

from support.gateway.running import running, until
from support.upstream.contacts import ROUTES, SIDE, System, idle, in_step, same, toml, with_deletes
from tidegate.pull import PollOptions


async def synced(tmp_path: Path, left: System, right: System, rounds: int, each: int) -> None:
    chance = random.Random(11)
    async with left.server, right.server, running(tmp_path, toml(left, right)) as gateway:
        await in_step(gateway)
        for number in range(2 * each):
            left.put(f"l{number}", name=f"Name {number}", phone=str(number))
        await in_step(gateway)
        assert right.writes == 2 * each and left.writes == 0 and same(left, right)
        pairs = {one["phone"]: key for key, one in right.contacts.items()}
        for round_number in range(rounds):
            chosen = chance.sample(range(2 * each), 2 * each)
            for number in chosen[:each]:
                left.put(f"l{number}", name=f"Left {round_number} {number}")
            for number in chosen[each:]:
                right.put(pairs[str(number)], name=f" right {round_number} {number} ")
            before = (left.writes, right.writes)
            await in_step(gateway)
            assert (left.writes - before[0], right.writes - before[1]) == (each, each)
            assert same(left, right)


async def test_a_thousand_changes_in_both_directions_arrive_once_each(tmp_path: Path) -> None:
    left, right = System("L"), System("R", upper=True)
    await synced(tmp_path, left, right, rounds=20, each=25)


async def test_systems_that_answer_a_write_without_the_record_do_not_circle_either(tmp_path: Path) -> None:
    left, right = System("L", silent=True), System("R", upper=True, silent=True)
    await synced(tmp_path, left, right, rounds=3, each=5)


async def test_a_change_to_another_field_by_somebody_else_passes(tmp_path: Path) -> None:
    left, right = System("L"), System("R", upper=True)
    async with left.server, right.server, running(tmp_path, toml(left, right)) as gateway:
        await in_step(gateway)
        left.put("l1", name="Ada", phone="1")
        await in_step(gateway)
        (key,) = right.contacts
        left.put("l1", name="Ada Lovelace")
        await gateway.pull.poll_now("left", "contacts", PollOptions())
        await until(lambda: right.contacts[key]["name"] == "ADA LOVELACE")
        right.put(key, phone="2")  # before the poll that brings our own change back
        await in_step(gateway)
        assert left.contacts["l1"]["phone"] == "2" and same(left, right)


async def test_a_record_that_we_created_and_somebody_changed_at_once_is_not_created_again(tmp_path: Path) -> None:
    left, right = System("L"), System("R", upper=True)
    async with left.server, right.server, running(tmp_path, toml(left, right)) as gateway:
        await in_step(gateway)
        left.put("l1", name="Ada", phone="1")
        await gateway.pull.poll_now("left", "contacts", PollOptions())
        await until(lambda: right.contacts)
        await until(lambda: idle(gateway))
        right.put("R1", name="Grace")  # before a poll saw it
        await in_step(gateway)
        assert list(left.contacts) == ["l1"] and left.contacts["l1"]["name"] == "GRACE"


async def test_an_own_change_is_recognized_before_its_answer_came(tmp_path: Path) -> None:
    left, right = System("L"), System("R", upper=True)
    async with left.server, right.server, running(tmp_path, toml(left, right)) as gateway:
        await in_step(gateway)
        left.put("l1", name="Ada", phone="1")
        await in_step(gateway)
        right.lose_answers = 1  # the write is carried out, and the answer is lost
        left.put("l1", name="Grace")
        await in_step(gateway)
        assert left.writes == 0 and right.contacts["R1"]["name"] == "GRACE"


async def test_a_deletion_arrives_once_and_does_not_come_back(tmp_path: Path) -> None:
    left, right = System("L"), System("R")
    async with left.server, right.server, running(tmp_path, with_deletes(toml(left, right))) as gateway:
        await in_step(gateway)
        left.put("l1", name="Ada", phone="1")
        left.put("l2", name="Grace", phone="2")
        await in_step(gateway)
        assert (left.writes, right.writes) == (0, 2)

        async def a_scan_finds_it(source: str) -> None:
            """Each poll later than a second after the last one is a complete scan, and a second one confirms."""

            async def deleted() -> bool:
                return bool((await gateway.pull.poll_now(source, "contacts", PollOptions())).deleted)

            await until(deleted)

        del left.contacts["l1"]
        await a_scan_finds_it("left")
        await until(lambda: len(right.contacts) == 1)
        await a_scan_finds_it("right")  # our own deletion comes back
        await until(lambda: idle(gateway))
        assert (left.writes, right.writes) == (0, 3) and list(left.contacts) == ["l2"]
        (key,) = right.contacts  # and a person may delete there too
        del right.contacts[key]
        await a_scan_finds_it("right")
        await until(lambda: not left.contacts)
        assert (left.writes, right.writes) == (1, 3)


async def test_the_event_of_an_own_change_says_what_caused_it_and_others_get_it(tmp_path: Path) -> None:
    left, right, third = System("L"), System("R"), System("T")
    extra = SIDE.format(name="third", url="{third}") + ROUTES.format(a="right", b="third")
    async with left.server, right.server, third.server:
        file = toml(left, right) + extra.replace("{third}", third.server.url).replace(
            "[routes.right-", "[routes.third-"
        )
        async with running(tmp_path, file) as gateway:
            await in_step(gateway)
            left.put("l1", name="Ada", phone="1")
            await in_step(gateway)
            await until(lambda: third.writes == 1)
            assert left.writes == 0
            events = await gateway.store.log.read(list(range(1, gateway.store.log.published_offset + 1)))
            (own,) = [one for one in events if one.source == "right" and one.type == "contacts.created"]
            change = json.loads(own.change)
            assert change["chain"] == ["left"] and change["caused_by"].startswith("evt_")
