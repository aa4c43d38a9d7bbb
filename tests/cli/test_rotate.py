"""`tidegate rotate`: the new secret counts at once, the old one for a while, and nothing shows either."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path

import pytest

from support.cli.command import Served
from support.cli.subprocesses import call
from support.gateway.running import running
from tidegate.core.clock import ManualClock
from tidegate.core.errors import Conflict

TOML = """
[sources.code.webhook]
verify = "github"
secret = "${env:CODE_SECRET}"
[sources.open.webhook]
verify = "none"
[destinations.crm]
url = "http://127.0.0.1:9/"
"""


def status(gate: Served, secret: str, source: str = "code", body: bytes = b"{}") -> int:
    mac = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return call(f"{gate.url}/in/{source}", data=body, headers={"x-hub-signature-256": f"sha256={mac}"}).status


def run(gate: Served, *words: str, secret: str = "") -> tuple[int, str, str]:
    from support.cli.command import tidegate

    done = tidegate(gate.folder, *words, env={"TIDEGATE_DATA": "data"}, stdin=secret.encode())
    return done.code, done.out, done.err


def test_a_source_of_the_file_accepts_both_until_the_file_has_the_new_secret(tmp_path: Path) -> None:
    env = {"CODE_SECRET": "first"}
    with Served(tmp_path, TOML, env=env) as gate:
        assert (status(gate, "first"), status(gate, "second")) == (202, 401)
        code, out, err = run(gate, "rotate", "code", secret="second\n")
        assert (code, out) == (0, "")
        assert "accepts 2 secrets" in err and "tidegate config apply" in err
        assert "second" not in err
        assert (status(gate, "first", body=b"[1]"), status(gate, "second", body=b"[2]")) == (202, 202)
        assert "secret_not_in_file" in gate.run("doctor", "--json").out
    with Served(tmp_path, TOML, env=env) as gate:
        assert (status(gate, "first", body=b"[3]"), status(gate, "second", body=b"[4]")) == (202, 202)
    with Served(tmp_path, TOML, env={"CODE_SECRET": "second"}) as gate:
        assert (status(gate, "first", body=b"[5]"), status(gate, "second", body=b"[6]")) == (401, 202)
        assert "secret_not_in_file" not in gate.run("doctor", "--json").out


def test_a_source_of_the_api_keeps_the_old_secret_for_the_time_that_was_asked(tmp_path: Path) -> None:
    with Served(tmp_path, TOML, env={"CODE_SECRET": "first"}) as gate:
        assert gate.run("add", "source", "web", 'webhook={verify="github",secret="one"}').code == 0
        assert run(gate, "rotate", "web", secret="two")[0] == 0
        assert [status(gate, one, "web", body=b"[7]") for one in ("one", "two", "three")] == [202, 202, 401]
        made = gate.run("rotate", "web", "--generate", "--keep", "0", "--json").json
        assert made["secrets"] == 1
        assert [status(gate, one, "web", body=b"[8]") for one in ("one", "two", made["secret"])] == [401, 401, 202]
        assert "two" not in gate.run("config", "show", "--json").out


async def test_the_old_secret_ends_by_itself(tmp_path: Path) -> None:
    clock = ManualClock()
    async with running(tmp_path, "", clock) as gate:
        from tidegate.config.export import decode_source

        spec = {"webhook": {"verify": "github", "secret": "one"}}
        await gate.editor.put("source", "web", lambda old: decode_source("web", spec, old))
        await gate.editor.rotate_source("web", "two", 3_600_000_000)
        before = gate.inputs.get("web")
        clock.advance(3500)
        assert gate.inputs.get("web") is before
        clock.advance(200)
        after = gate.inputs.get("web")
        assert after is not before
        headers = {b"x-hub-signature-256": b"sha256=" + hmac.new(b"one", b"{}", "sha256").hexdigest().encode()}
        assert [str(one.verify(headers, b"{}", "", 0.0)) for one in (before, after)] == [
            "Verification.OK", "Verification.SIGNATURE_WRONG",
        ]  # fmt: skip
        with pytest.raises(Conflict):
            await gate.editor.rotate_source("web", "two", 1)


def test_what_has_no_secret_or_gets_none_is_refused(tmp_path: Path) -> None:
    with Served(tmp_path, TOML, env={"CODE_SECRET": "first"}) as gate:
        gate.run("rotate", "code").refused("usage", 2)  # standard input is empty
        gate.run("rotate", "open", "--generate").refused("no_secret", 1)
        gate.run("rotate", "nobody", "--generate").refused("not_found", 1)
        code, out, _ = run(gate, "rotate", "crm")
        assert (code, out[:6]) == (0, "whsec_")
        assert json.loads(run(gate, "rotate", "crm", "--json")[1])["older"]
