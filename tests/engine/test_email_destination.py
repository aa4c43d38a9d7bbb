"""Mail as a destination, against a real SMTP server: what arrives, what is refused, and what is tried again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.gateway.running import counters, publish, running, until
from support.mail.exim import BINARY, PASSWORD, USER, Exim, running_exim
from tidegate.core.model import Attempt, DeliveryView, Outcome
from tidegate.process.gateway import Gateway

pytestmark = pytest.mark.skipif(BINARY is None, reason="exim is not installed (Debian: exim4-daemon-light)")


@pytest.fixture(scope="module")
def server() -> Iterator[Exim]:
    with running_exim() as found:
        yield found


def config(server: Exim, more: str = "", *, tls: str = "starttls", to: str = "ops@example.com") -> str:
    port = server.tls_port if tls == "implicit" else server.port
    ca = f"ca = '''{server.ca}'''\n" if tls != "none" else ""
    return (
        "[sources.shop.publish]\n"
        f'[destinations.d]\ntype = "email"\nhost = "localhost"\nport = {port}\ntls = "{tls}"\n{ca}'
        f'auth = {{ type = "password", username = "{USER}", password = "{PASSWORD}" }}\n'
        f'from = "Shop <shop@example.com>"\nto = "{to}"\nretry = ["1s"]\n{more}\n'
        + ('text = "Order {{ data.id }} of {{ data.name }}"\n' if "text =" not in more else "")
        + ('subject = "Order {{ data.id }}"\n' if "subject =" not in more else "")
        + '[routes.r]\nfrom = "shop"\nto = "d"\n'
    )


async def delivery(gateway: Gateway, offset: int) -> DeliveryView:
    await gateway.deliver.settler.flush()
    number = gateway.active.destinations["d"].number
    return (await gateway.deliver.states([(offset, number)]))[offset, number]


async def first_attempt(gateway: Gateway, offset: int) -> Attempt:
    async def there() -> bool:
        return bool((await delivery(gateway, offset)).attempts)

    await until(there, 15)
    return (await delivery(gateway, offset)).attempts[0]


async def test_a_mail_arrives_over_tls_with_a_login(server: Exim, tmp_path: Path) -> None:
    for tls in ("starttls", "implicit"):
        known = len(server.mails())
        async with running(tmp_path / tls, config(server, tls=tls)) as gateway:
            await publish(gateway, '{"id": 7, "name": "Jörg <b>"}'.encode())
            await until(lambda known=known: len(server.mails()) > known, 15)
        found = next(one for one in server.mails()[known:])
        assert found["Subject"] == "Order 7"
        assert found["From"] == "Shop <shop@example.com>"
        assert (found["Envelope-to"], found["Return-path"]) == ("ops@example.com", "<shop@example.com>")
        assert found.get_content().strip() == "Order 7 of Jörg <b>"
        assert found["authorization"] is None
        assert PASSWORD not in found.as_string()


async def test_html_is_an_alternative_with_escaped_values_and_a_key_is_one_thread(server: Exim, tmp_path: Path) -> None:
    more = 'html = "<p>{{ data.name }}</p>"\nthread = "key"\nreply_to = "help@example.com"\ncc = ["cc@example.com"]'
    known = len(server.mails())
    async with running(tmp_path, config(server, more)) as gateway:
        for number in range(2):
            await publish(gateway, b'{"id": %d, "name": "<script>&"}' % number, key="order-1")
        await until(lambda: len(server.mails()) >= known + 4, 15)  # a copy for each recipient
    first, second = {one["Message-ID"]: one for one in server.mails()[known:]}.values()
    html = first.get_body(("html",))
    assert html is not None
    assert html.get_content().strip() == "<p>&lt;script&gt;&amp;</p>"
    assert first["References"] == second["References"] != None  # noqa: E711
    assert (first["Reply-To"], first["Cc"]) == ("help@example.com", "cc@example.com")


@pytest.mark.parametrize(
    ("to", "state", "status", "words"),
    [
        ("unknown@example.com", "exhausted", 550, "no such mailbox"),
        ("full@example.com", "pending", 451, "mailbox is full"),
        ("busy@example.com", "pending", 451, "try again later"),
    ],
)
async def test_a_permanent_rejection_is_exhausted_at_once_and_a_temporary_one_is_tried_again(
    server: Exim, tmp_path: Path, to: str, state: str, status: int, words: str
) -> None:
    async with running(tmp_path, config(server, 'retry = ["1h"]', to=to).replace('retry = ["1s"]\n', "")) as gateway:
        offset = await publish(gateway, b'{"id": 1}')
        attempt = await first_attempt(gateway, offset)
        assert (attempt.outcome, attempt.status) == (Outcome.HTTP_ERROR, status)
        assert words in attempt.error
        assert (await delivery(gateway, offset)).state.value == state


async def test_one_refused_recipient_of_several_is_said_and_the_others_get_the_mail(
    server: Exim, tmp_path: Path
) -> None:
    toml = config(server).replace('to = "ops@example.com"', 'to = ["ops@example.com", "unknown@example.com"]')
    async with running(tmp_path, toml) as gateway:
        offset = await publish(gateway, b'{"id": 1}')
        attempt = await first_attempt(gateway, offset)
        assert attempt.outcome is Outcome.OK
        assert "unknown@example.com was refused: 550" in attempt.error


async def test_a_wrong_password_is_a_refused_login_and_never_shown(server: Exim, tmp_path: Path) -> None:
    toml = config(server, 'retry = ["1h"]').replace('retry = ["1s"]\n', "").replace(PASSWORD, "hush-hush")
    async with running(tmp_path, toml) as gateway:
        offset = await publish(gateway, b'{"id": 1}')
        attempt = await first_attempt(gateway, offset)
        assert attempt.status == 535
        assert "hush" not in repr(attempt)
        assert (await delivery(gateway, offset)).state.value == "pending"


async def test_a_login_is_never_sent_without_tls_that_was_asked_for(server: Exim, tmp_path: Path) -> None:
    for tls, error in (("none", "log in"), ("starttls", "certificate")):
        toml = config(server, tls=tls).replace(f"ca = '''{server.ca}'''\n", "")
        async with running(tmp_path / tls, toml) as gateway:
            offset = await publish(gateway, b'{"id": 1}')
            attempt = await first_attempt(gateway, offset)
            assert attempt.outcome is not Outcome.OK
            assert error in attempt.error.lower() or "auth" in attempt.error.lower()


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("x\\r\\nBcc: evil@example.com", "Order x Bcc: evil@example.com"),
        ("x\\u0000\\u2028y", "Order x y"),
        ("=?utf-8?q?a=0D=0ABcc:?=", "Order = ?utf-8?q?a=0D=0ABcc:?="),
        ("\\ud83d\\ude00" * 300, ""),
    ],
)
async def test_a_value_cannot_leave_its_header_field(server: Exim, tmp_path: Path, name: str, subject: str) -> None:
    known = len(server.mails())
    async with running(tmp_path, config(server, 'subject = "Order {{ data.name }}"\ntext = "t"')) as gateway:
        await publish(gateway, f'{{"name": "{name}"}}'.encode())
        await until(lambda: len(server.mails()) > known, 15)
    found = server.mails()[known]
    assert found["Bcc"] is None
    assert found["Envelope-to"] == "ops@example.com"
    assert not subject or found["Subject"] == subject


@pytest.mark.parametrize(
    "address", ["", "a@b@c", "a@x.example, b@x.example", "a@x.example\\r\\nBcc: b@x.example", "<a@x.example", "no"]
)
async def test_a_recipient_of_the_event_must_be_one_address(server: Exim, tmp_path: Path, address: str) -> None:
    async with running(tmp_path, config(server, to="{{ data.to }}")) as gateway:
        offset = await publish(gateway, f'{{"to": "{address}"}}'.encode())
        attempt = await first_attempt(gateway, offset)
        assert attempt.outcome is Outcome.RENDER
        assert (await delivery(gateway, offset)).state.value == "exhausted"


async def test_the_counters_balance_after_mails_and_a_restart_sends_none_twice(server: Exim, tmp_path: Path) -> None:
    known = len(server.mails())
    for _ in range(2):
        async with running(tmp_path, config(server)) as gateway:
            if gateway.store.log.published_offset == 0:
                for number in range(10):
                    await publish(gateway, b'{"id": %d, "name": "n"}' % number)
            await until(lambda: len(server.mails()) >= known + 10, 20)
            found = (await counters(gateway))["d"]
    assert (found["delivered"], found["pending"]) == (10, 0)
    assert len(server.mails()) == known + 10


async def test_an_address_that_the_guard_does_not_allow_gets_no_mail(tmp_path: Path) -> None:
    toml = (
        '[sources.shop.publish]\n[destinations.d]\ntype = "email"\nhost = "10.1.2.3"\ntls = "none"\n'
        'from = "shop@example.com"\nto = "ops@example.com"\nsubject = "s"\n[routes.r]\nfrom = "shop"\nto = "d"\n'
    )
    async with running(tmp_path, toml) as gateway:
        attempt = await first_attempt(gateway, await publish(gateway))
        assert attempt.outcome is Outcome.BLOCKED
        assert "10.1.2.3 port 25: private address" in attempt.error
