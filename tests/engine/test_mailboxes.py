"""Mailboxes against a real Dovecot: every mail once, by IDLE and by poll, whatever the server does."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from support.gateway.running import running, until
from support.mail.dovecot import BINARY, PASSWORD, Dovecot, running_dovecot
from tidegate.core.clock import Clock
from tidegate.core.errors import StoreBusy
from tidegate.core.model import Event
from tidegate.mail.mailbox import IDLE_SECONDS
from tidegate.mail.mailbox_state import StoredState
from tidegate.process.gateway import Gateway
from tidegate.rules.mail.folder import FolderState
from tidegate.store import EventQuery

pytestmark = pytest.mark.skipif(BINARY is None, reason="dovecot is not installed (Debian: dovecot-imapd)")


@pytest.fixture(scope="module")
def server() -> Iterator[Dovecot]:
    with running_dovecot() as found:
        yield found


@pytest.fixture
def user(request: pytest.FixtureRequest) -> str:
    """A mailbox of its own for each test."""
    return f"user-{abs(hash(request.node.nodeid))}"


def config(server: Dovecot, user: str, more: str = "", *, tls: str = "none") -> str:
    port = server.tls_port if tls == "implicit" else server.port
    ca = "" if tls == "none" else f"ca = '''{server.ca}'''\n"
    return (
        f'[sources.inbox.imap]\nhost = "localhost"\nport = {port}\ntls = "{tls}"\n{ca}{more}\n'
        f'auth = {{ type = "password", username = "{user}", password = "{PASSWORD}" }}\n'
    )


@asynccontextmanager
async def reading(folder: Path, toml: str, clock: Clock | None = None) -> AsyncIterator[Gateway]:
    async with running(folder, toml, clock) as gateway:
        yield gateway


async def ready(gateway: Gateway, looks: int = 1) -> None:
    await until(lambda: gateway.mail.statistics()["inbox"].looks >= looks or _gave_up(gateway))


def _gave_up(gateway: Gateway) -> bool:
    figures = gateway.mail.statistics()["inbox"]
    assert figures.failures < 3, figures.last_error
    return False


async def mails(gateway: Gateway) -> list[Event]:
    found = await gateway.store.log.page(EventQuery(ascending=True))
    return [event for event in found.events if event.type == "mail.received"]


async def subjects(gateway: Gateway) -> list[str]:
    return [msgspec.json.decode(event.body)["subject"] for event in await mails(gateway)]


async def arrives(gateway: Gateway, *wanted: str) -> None:
    async def there() -> bool:
        return await subjects(gateway) == list(wanted)

    await until(there, 15)


def mail(subject: str, **headers: str) -> bytes:
    lines = {"From": "Ann <ann@example.com>", "Subject": subject, "Message-ID": f"<{subject}@example.com>", **headers}
    return "".join(f"{name}: {value}\r\n" for name, value in lines.items()).encode() + b"\r\nhello\r\n"


@pytest.mark.parametrize("tls", ["none", "starttls", "implicit"])
async def test_a_mail_arrives_by_idle_with_what_it_says(server: Dovecot, user: str, tmp_path: Path, tls: str) -> None:
    user += tls
    server.deliver(mail("old"), user=user)
    async with reading(tmp_path, config(server, user, tls=tls)) as gateway:
        await ready(gateway)
        await until(lambda: gateway.mail.statistics()["inbox"].idles)
        server.deliver(mail("new"), user=user)
        await arrives(gateway, "new")
        event = (await mails(gateway))[0]
        data = msgspec.json.decode(event.body)
        assert (event.key, event.source, event.origin.value) == ("new@example.com", "inbox", "imap")
        assert data["from"] == [{"name": "Ann", "address": "ann@example.com"}]
        assert (data["text"], data["folder"], data["uid"]) == ("hello\n", "INBOX", 2)
        figures = gateway.mail.statistics()["inbox"]
        assert (figures.mode, figures.mails, figures.delay_by_mode["idle"].samples) == ("idle", 1, 1)
    assert server.flags(user=user) == ["", ""], "reading a mail changes no flag"


async def test_polling_asks_as_often_as_configured_and_counts_what_it_costs(
    server: Dovecot, user: str, tmp_path: Path
) -> None:
    async with reading(tmp_path, config(server, user, 'mode = "poll"\npoll = "1s"')) as gateway:
        await ready(gateway)
        server.deliver(mail("one"), user=user)
        await arrives(gateway, "one")
        await ready(gateway, 3)
        figures = gateway.mail.statistics()["inbox"]
        assert figures.mode == "poll"
        assert figures.idles == 0
        assert figures.delay_by_mode["poll"].samples == 1
        assert figures.empty_looks >= 1
        assert figures.commands >= 2 * figures.looks, "a poll is NOOP and SEARCH"


async def test_the_first_look_is_a_baseline_and_a_restart_goes_on_where_it_was(
    server: Dovecot, user: str, tmp_path: Path
) -> None:
    for number in range(3):
        server.deliver(mail(f"old-{number}"), user=user)
    toml = config(server, user)
    async with reading(tmp_path, toml) as gateway:
        await ready(gateway)
        assert await subjects(gateway) == []
    server.deliver(mail("meanwhile"), user=user)
    async with reading(tmp_path, toml) as gateway:
        await arrives(gateway, "meanwhile")
    async with reading(tmp_path, toml) as gateway:
        await ready(gateway)
        assert await subjects(gateway) == ["meanwhile"], "the last old mail, which `n:*` always finds, is not new"


async def test_a_folder_with_new_numbers_floods_nothing_and_loses_nothing(
    server: Dovecot, user: str, tmp_path: Path
) -> None:
    toml = config(server, user)
    for number in range(5):
        server.deliver(mail(f"old-{number}"), user=user)
    async with reading(tmp_path, toml) as gateway:
        await ready(gateway)
        server.deliver(mail("seen"), user=user)
        await arrives(gateway, "seen")
    server.renumber(user=user)
    server.deliver(mail("meanwhile"), user=user)
    async with reading(tmp_path, toml) as gateway:
        await arrives(gateway, "seen", "meanwhile")
        found = [one for one in gateway.findings.listed() if one.code == "mail_folder_renumbered"]
        assert len(found) == 1
        assert "1 new mails" in found[0].samples[0]
        server.deliver(mail("after"), user=user)
        await arrives(gateway, "seen", "meanwhile", "after")


async def test_mails_are_marked_and_moved_only_when_asked(server: Dovecot, user: str, tmp_path: Path) -> None:
    server.deliver(mail("first"), user=user, folder="Done")
    async with reading(tmp_path, config(server, user, 'mark_seen = true\nmove_to = "Done"')) as gateway:
        await ready(gateway)
        server.deliver(mail("new"), user=user)
        await arrives(gateway, "new")
        await until(lambda: len(server.flags(user=user, folder="Done")) == 2)
    assert server.flags(user=user) == []
    assert "S" in server.flags(user=user, folder="Done")


async def test_several_folders_have_a_place_each(server: Dovecot, user: str, tmp_path: Path) -> None:
    for folder in ("INBOX", "Bestellungen", "Entw&APw-rfe"):
        server.deliver(mail(f"old-{folder}"), user=user, folder=folder)
    toml = config(server, user, 'folder = ["INBOX", "Bestellungen", "Entwürfe"]\npoll = "1s"')
    async with reading(tmp_path, toml) as gateway:
        await ready(gateway, 3)
        server.deliver(mail("a"), user=user, folder="Bestellungen")
        await arrives(gateway, "a")
        server.deliver(mail("b"), user=user, folder="Entw&APw-rfe")
        await arrives(gateway, "a", "b")
        server.deliver(mail("c"), user=user)
        await arrives(gateway, "a", "b", "c")


async def test_of_a_mail_over_the_limit_only_the_header_is_read_and_said(
    server: Dovecot, user: str, tmp_path: Path
) -> None:
    async with reading(tmp_path, config(server, user, 'max_message = "2KiB"')) as gateway:
        await ready(gateway)
        server.deliver(mail("large") + b"x" * 5000, user=user)
        await arrives(gateway, "large")
        data: dict[str, Any] = msgspec.json.decode((await mails(gateway))[0].body)
        assert data["text"] is None
        assert "more than max_message" in data["problems"][0]
        assert "mail_too_large" in {one.code for one in gateway.findings.listed()}


async def test_a_refused_login_is_a_finding_and_is_not_tried_over_and_over(
    server: Dovecot, user: str, tmp_path: Path
) -> None:
    toml = config(server, user).replace(PASSWORD, "wrong")
    async with reading(tmp_path, toml) as gateway:
        await until(lambda: any(one.code == "mailbox_failing" for one in gateway.findings.listed()), 15)
        found = next(one for one in gateway.findings.listed() if one.code == "mailbox_failing")
        assert "refused the login" in found.samples[0]
        assert "wrong" not in str(found)
        await asyncio.sleep(1.5)
        assert gateway.mail.statistics()["inbox"].failures == 1


async def test_a_server_that_goes_away_is_read_again_when_it_is_back(user: str, tmp_path: Path) -> None:
    with running_dovecot() as server:
        async with reading(tmp_path / "gateway", config(server, user)) as gateway:
            await ready(gateway)
            server.stop()
            server.deliver(mail("while down"), user=user)
            await until(lambda: not gateway.mail.statistics()["inbox"].connected)
            server.restart()
            await arrives(gateway, "while down")


async def test_a_server_without_idle_is_polled_and_said(user: str, tmp_path: Path) -> None:
    with running_dovecot(capability="IMAP4rev1 LITERAL+") as server:
        toml = config(server, user, 'mode = "idle"\npoll = "1s"')
        async with reading(tmp_path / "gateway", toml) as gateway:
            await ready(gateway)
            server.deliver(mail("one"), user=user)
            await arrives(gateway, "one")
            assert gateway.mail.statistics()["inbox"].mode == "poll"
            assert "mail_without_idle" in {one.code for one in gateway.findings.listed()}


async def test_ten_thousand_mails_are_not_read_at_the_start(server: Dovecot, user: str, tmp_path: Path) -> None:
    server.fill(10_000, user=user)
    async with reading(tmp_path, config(server, user)) as gateway:
        await ready(gateway)
        figures = gateway.mail.statistics()["inbox"]
        assert figures.commands < 12
        server.deliver(mail("new"), user=user)
        await arrives(gateway, "new")


async def test_an_address_that_the_guard_does_not_allow_is_not_called(tmp_path: Path) -> None:
    toml = (
        '[sources.inbox.imap]\nhost = "10.1.2.3"\nauth = { type = "password", username = "ann", password = "secret" }\n'
    )
    async with reading(tmp_path, toml) as gateway:
        await until(lambda: any(one.code == "mailbox_failing" for one in gateway.findings.listed()), 15)
        assert "10.1.2.3 port 993: private address" in str(gateway.findings.listed())


async def test_a_mail_whose_place_was_not_stored_is_read_again_and_is_one_event(
    server: Dovecot, user: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with reading(tmp_path, config(server, user)) as gateway:
        await ready(gateway)
        save, failed = StoredState.save, []

        async def fails_once(self: StoredState, folder: str = "", state: FolderState | None = None) -> None:
            if state is not None and not failed:
                failed.append(folder)
                raise StoreBusy("a crash between the event and its place", retry_after_seconds=1)
            await save(self, folder, state)

        monkeypatch.setattr(StoredState, "save", fails_once)
        server.deliver(mail("new"), user=user)
        await until(lambda: bool(failed), 15)
        server.deliver(mail("next"), user=user)
        await arrives(gateway, "new", "next")


async def test_an_access_token_logs_in_by_xoauth2_and_a_refused_one_is_not_shown(tmp_path: Path) -> None:
    said: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK ready\r\n")
        while line := (await reader.readline()).decode().strip():
            tag, _, rest = line.partition(" ")
            said.append(rest)
            if rest.startswith("AUTHENTICATE"):
                writer.write(b"+ \r\n")
                said.append(base64.b64decode(await reader.readline()).decode())
                writer.write(f"{tag} NO invalid credentials\r\n".encode())
            else:
                writer.write(f"* CAPABILITY IMAP4rev1 AUTH=XOAUTH2\r\n{tag} OK done\r\n".encode())
        writer.close()

    double = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = double.sockets[0].getsockname()[1]
    toml = (
        f'[sources.inbox.imap]\nhost = "localhost"\nport = {port}\ntls = "none"\nusername = "ann@example.com"\n'
        'auth = { type = "bearer", token = "hush-token" }\n'
    )
    async with reading(tmp_path, toml) as gateway:
        await until(lambda: any(one.code == "mailbox_failing" for one in gateway.findings.listed()), 15)
        assert "user=ann@example.com\1auth=Bearer hush-token\1\1" in said
        assert "hush" not in str(gateway.findings.listed())
    double.close()


async def test_a_hostile_server_costs_a_connection_and_not_memory(tmp_path: Path) -> None:
    floods = [
        b"* 1 FETCH (BODY[] {9999999999}\r\n",
        b"* " + b"x" * 3_000_000 + b"\r\n",
        b"* OK spam\r\n" * 100_000,
        b"\x00\xff\r\n",
        b"* BYE\r\n",
    ]
    served = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK ready\r\n")
        await reader.readline()
        served.append(floods[len(served) % len(floods)])
        with contextlib.suppress(OSError):
            writer.write(served[-1])
            await writer.drain()
        writer.close()

    double = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = double.sockets[0].getsockname()[1]
    toml = (
        f'[sources.inbox.imap]\nhost = "localhost"\nport = {port}\ntls = "none"\n'
        'auth = { type = "password", username = "ann", password = "x" }\n'
    )
    async with reading(tmp_path, toml, QuickClock()) as gateway:
        await until(lambda: len(served) >= 2 * len(floods), 20)
        figures = gateway.mail.statistics()["inbox"]
        assert figures.failures >= 2 * len(floods) - 1
        assert figures.mails == 0
        assert await mails(gateway) == []
    double.close()


class QuickClock(Clock):
    """Retries come at once, so that a test sees many."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.01))


async def test_idle_is_renewed_before_the_server_ends_it_and_mail_is_still_noticed(
    server: Dovecot, user: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert IDLE_SECONDS < 29 * 60, "RFC 2177 section 3"
    monkeypatch.setattr("tidegate.mail.mailbox.IDLE_SECONDS", 0.5)
    async with reading(tmp_path, config(server, user)) as gateway:
        await until(lambda: gateway.mail.statistics()["inbox"].idles >= 3)
        server.deliver(mail("new"), user=user)
        await arrives(gateway, "new")
        figures = gateway.mail.statistics()["inbox"]
        assert (figures.connections, figures.failures) == (1, 0), "on one connection"
