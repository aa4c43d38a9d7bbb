"""A client certificate or an authority that ends soon is reported before connections fail."""

from __future__ import annotations

import time
from pathlib import Path

from support.gateway.alerting import types
from support.gateway.running import running
from support.receiver.scripted import TestAuthority
from tidegate.core.clock import ManualClock
from tidegate.query import certificates
from tidegate.query.doctor import examine
from tidegate.rules.outbound.certificates import Used, findings_of

DAY = 86_400
FILE = """
[credentials.bank]
ca = "${file:ca.pem}"
auth = { type = "bearer", token = "t" }
[sources.bank.api]
base_url = "https://127.0.0.1:9"
auth = { type = "mtls", certificate = "${file:short.pem}", private_key = "${file:short.key}" }
[destinations.bank]
url = "https://127.0.0.1:9/hook"
ca = "${file:ca.pem}"
auth = { type = "mtls", certificate = "${file:long.pem}", private_key = "${file:long.key}" }
"""


def write(folder: Path, authority: TestAuthority) -> None:
    folder.mkdir()
    for name, days in (("short", 40), ("long", 400)):
        certificate, key = authority.pair(days=days)
        (folder / f"{name}.pem").write_text(certificate)
        (folder / f"{name}.key").write_text(key)
    (folder / "ca.pem").write_text(authority.pair(days=500)[0])


async def test_a_certificate_is_reported_thirty_days_before_it_ends_and_when_it_ended(tmp_path: Path) -> None:
    write(tmp_path / "gateway", TestAuthority(tmp_path / "pki"))
    clock = ManualClock(int(time.time() * 1e6))  # certificates are made by the real clock
    async with running(tmp_path / "gateway", FILE, clock) as gateway:
        assert certificates.findings(gateway) == []
        await gateway.alerts.run_once()
        clock.advance(11 * DAY)
        (soon,) = certificates.findings(gateway)
        assert (soon.code, soon.subject) == ("certificate_expiring", "source:bank")
        assert "in 28 days" in soon.summary or "in 29 days" in soon.summary
        assert "new certificate" in soon.remedy and soon in (await examine(gateway)).findings
        await gateway.alerts.run_once()
        clock.advance(30 * DAY)
        await gateway.alerts.run_once()
        (over,) = certificates.findings(gateway)
        assert (over.code, over.severity.value) == ("certificate_expired", "error")
        seen = await types(gateway)
        assert [one for one in seen if one.startswith("credential.")][:2] == ["credential.expiring", "credential.dead"]
        clock.advance(440 * DAY)
        assert sorted({one.subject for one in certificates.findings(gateway)}) == [
            "credential:bank", "destination:bank", "source:bank",
        ]  # fmt: skip


def test_of_an_authority_one_valid_certificate_is_enough_and_of_a_chain_each_counts(tmp_path: Path) -> None:
    authority = TestAuthority(tmp_path / "pki")
    both = authority.pair(days=-1)[0] + authority.pair(days=400)[0]
    now_us = int(time.time() * 1e6)
    codes = [findings_of([Used("source:a", both, authority=one)], now_us) for one in (True, False)]
    assert codes[0] == [] and [one.code for one in codes[1]] == ["certificate_expired"]
    assert findings_of([Used("source:a", "nothing", authority=True)], now_us) == []
