"""`tidegate serve` as a process: how it begins, what it leaves on the disk and in its logs, and how it ends.

The deliveries go to a real receiver that a test can slow down. Bounds in seconds are for a machine five times slower
than the one they were measured on.
"""

from __future__ import annotations

import http.client
import json
import signal
import socket
import sqlite3
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from support.cli.command import Served, tidegate
from support.cli.subprocesses import call, free_port, wait_until

SETTINGS = '[egress]\nallow = ["127.0.0.1/32"]\n'
BASE = SETTINGS + "[sources.app.publish]\n"
# What a gateway loads when it first uses it, and what none needs.
LATE = {
    "tidegate.dashboard", "jinja2", "prometheus_client", "tidegate.mail.mailbox", "imaplib", "email.policy", "html",
    "zoneinfo", "cryptography.hazmat.primitives.serialization", "importlib.resources", "rich", "icalendar",
    "feedparser", "aiosmtplib", "asyncpg",
}  # fmt: skip
ROUTED = '[destinations.crm]\nurl = "{url}"\nconcurrency = 4\n[routes.all]\nfrom = "app"\nto = "crm"\n'


class SlowReceiver:
    """Answers 200 after `seconds`; keeps the ids of requests that began and of those that were answered."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.begun: list[str] = []
        self.answered: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                outer.begun.append(self.headers["webhook-id"])
                time.sleep(outer.seconds)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()
                outer.answered.append(self.headers["webhook-id"])

            def log_message(self, *args: Any) -> None:
                """Tests print nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()


@pytest.fixture
def slow() -> Iterator[SlowReceiver]:
    receiver = SlowReceiver(0.3)
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


def contents(folder: Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in sorted(folder.iterdir()) if one.is_file()}


# -- the beginning ---------------------------------------------------------------------------------------


def test_the_first_line_is_ready_and_the_second_a_login_link(tmp_path: Path) -> None:
    with Served(tmp_path, BASE) as gateway:
        assert gateway.lines[0] == f"ready {gateway.url}\n"
        assert call(f"{gateway.url}/readyz").status == 200, "ready means that requests are answered"
        (link,) = wait_until(lambda: gateway.lines[1:], "the link")
        address = link.strip().partition(": ")[2]
        assert address.startswith(f"{gateway.url}/login?token=")
        assert call(address).status in (200, 303)


def test_an_admin_key_takes_the_place_of_the_link(tmp_path: Path) -> None:
    key = "tg_unattended-0123456789abcdef"
    with Served(tmp_path, BASE, env={"TIDEGATE_ADMIN_KEY": key}) as gateway:
        admin = {"TIDEGATE_URL": gateway.url, "TIDEGATE_KEY": key}
        assert tidegate(tmp_path, "doctor", env=admin).code == 0
        assert tidegate(tmp_path, "keys", "create", "robot", "--scope", "read", env=admin).code == 0
        assert len(gateway.lines) == 1
    assert key not in "".join(gateway.lines + gateway.log)


def test_a_start_loads_only_what_it_needs(tmp_path: Path) -> None:
    with Served(tmp_path, BASE, env={"PYTHONPROFILEIMPORTTIME": "1"}) as gateway:
        wait_until(lambda: any('"serving"' in line for line in gateway.log), "all lines of the start")
        loaded = imported(gateway)
        assert "tidegate.process.serve" in loaded
        assert loaded & LATE == set(), "python -X importtime shows which module imports them"
        assert call(f"{gateway.url}/login").status == 200
        headers = {"Authorization": f"Bearer {gateway.key}"}
        assert b"tidegate_ready 1.0" in call(f"{gateway.url}/metrics", headers=headers).body
        wait_until(lambda: imported(gateway) >= {"jinja2", "prometheus_client"}, "what the two requests load")


def imported(gateway: Served) -> set[str]:
    """The modules that a gateway with PYTHONPROFILEIMPORTTIME has loaded so far."""
    return {line.rpartition("|")[2].strip() for line in gateway.log if line.startswith("import time:")}


def test_local_json_is_for_the_owner_alone_and_goes_with_the_process(tmp_path: Path) -> None:
    with Served(tmp_path, BASE) as gateway:
        path = gateway.data / "local.json"
        assert path.stat().st_mode & 0o777 == 0o600
        assert gateway.data.stat().st_mode & 0o777 == 0o700
        assert json.loads(path.read_text())["url"] == gateway.url
        key = gateway.key
        assert call(f"{gateway.url}/api/v1/keys", headers={"Authorization": f"Bearer {key}"}).status == 200
        gateway.end(signal.SIGKILL)
        assert path.exists(), "a killed process cannot clean up"
        shown = gateway.run("events").refused("gateway_unreachable", 1)
        assert shown["hint"] == "tidegate serve --config tidegate.toml"
    with gateway:
        assert gateway.key != key
        old = {"TIDEGATE_URL": gateway.url, "TIDEGATE_KEY": key}
        gateway.run("events", env=old).refused("unauthorized", 1)
    assert not path.exists()


def test_every_option_is_also_a_variable_and_the_file_of_the_folder_is_taken(tmp_path: Path) -> None:
    env = {"TIDEGATE_DATA": "data", "TIDEGATE_PORT": "0", "TIDEGATE_HOST": "127.0.0.1", "TIDEGATE_INGEST_PORT": "0"}
    gateway = Served(tmp_path, SETTINGS + '[sources.hook.webhook]\nverify = "none"\n', env=env)
    gateway.words = ("serve",)
    with gateway:
        (started,) = wait_until(lambda: gateway.logged("serving"), "the start is logged")
        assert (started["config"], started["data"], started["sources"]) == ("tidegate.toml", "data", 1)
        ingest = f"http://127.0.0.1:{started['ingest_port']}"
        assert call(f"{ingest}/in/hook", data=b"{}").status == 202
        assert call(f"{gateway.url}/in/hook", data=b"{}").status == 401, "it has a port of its own"
        assert call(f"{ingest}/api/v1/events").status == 404
        assert call(f"{ingest}/").status == 404


def test_the_counts_that_advice_reads_are_summed_up_after_the_start_where_there_is_a_resource(tmp_path: Path) -> None:
    api = '[sources.shop.api]\nbase_url = "http://127.0.0.1:9"\n[sources.shop.resources.orders]\npath = "/orders"\n'
    with Served(tmp_path, BASE + api) as gateway:
        wait_until(
            lambda: gateway.logged("the counts of a month are summed up"), "they are summed up in the background"
        )


def test_a_start_takes_less_than_a_second(tmp_path: Path) -> None:
    """0.4 s in the median where it was measured, with new data and with old."""
    took = []
    for number in range(5):
        gateway = Served(tmp_path, BASE)
        began = time.monotonic()
        with gateway:
            took.append(time.monotonic() - began)
        assert number or (gateway.data / "tidegate.db").exists()
    assert statistics.median(took) < 5, took


# -- rejections that leave everything as it was ------------------------------------------------------------


def test_a_second_gateway_on_the_same_data_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    with Served(tmp_path, BASE) as gateway:
        local = (gateway.data / "local.json").read_bytes()
        error = tidegate(tmp_path, *gateway.words).refused("data_locked", 1)
        assert str(gateway.pid) in error["what"] and "--data" in error["hint"]
        assert (gateway.data / "local.json").read_bytes() == local
        assert gateway.run("trigger", "app", "t").code == 0


def test_a_port_in_use_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    (tmp_path / "tidegate.toml").write_text(BASE)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        error = tidegate(tmp_path, "serve", "--data", "data", "--port", port).refused("cannot_listen", 1)
        assert f"127.0.0.1:{port}" in error["what"] and "--port" in error["hint"]
        other = ("serve", "--data", "data", "--port", "0", "--ingest-port", port)
        tidegate(tmp_path, *other).refused("cannot_listen", 1)
        (tmp_path / "wrong.toml").write_text("[sources")
        wrong = ("serve", "--data", "data", "--port", port, "--config", "wrong.toml")
        assert "wrong.toml" in str(tidegate(tmp_path, *wrong).errors[0]), "an unreadable file is named first"
    assert not (tmp_path / "data").exists()
    error = tidegate(tmp_path, "serve", "--data", "data", "--host", "192.0.2.7", "--port", "0").refused(
        "cannot_listen", 1
    )
    assert error["hint"] == "use an address of this machine: --host 127.0.0.1"


def test_data_of_a_newer_release_is_refused_untouched(tmp_path: Path) -> None:
    with Served(tmp_path, BASE) as gateway:
        gateway.run("trigger", "app", "t")
    with sqlite3.connect(gateway.data / "tidegate.db") as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        connection.execute(f"PRAGMA user_version = {version + 1}")
    connection.close()
    kept = ("tidegate.db", "secret.key")
    before = contents(gateway.data)
    tidegate(tmp_path, *gateway.words).refused("schema_newer", 1)
    after = contents(gateway.data)
    assert [after[name] for name in kept] == [before[name] for name in kept] and not after.get("tidegate.db-wal")


def test_what_is_not_built_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    words = ("serve", "--data", "data", "--port", "0", "--database", "mysql://ann:pw-7391@db/tidegate")
    done = tidegate(tmp_path, *words)
    assert done.code in (1, 2) and done.errors and "pw-7391" not in done.err
    assert not (tmp_path / "data").exists()


# -- logs ------------------------------------------------------------------------------------------------


def test_logs_are_json_lines_without_payloads_and_secrets(tmp_path: Path) -> None:
    high_water_marks = ("secret-4711", "token-4712", "payload-4713", "query-4714", "password-4715")
    toml = BASE + (
        '[sources.hook.webhook]\nverify = "standard-webhooks"\nsecret = "${env:HOOK}"\n'
        f'[sources.shop.api]\nbase_url = "http://127.0.0.1:{free_port()}"\n'
        'auth = { type = "bearer", token = "token-4712" }\n[sources.shop.resources.orders]\npath = "/orders"\n'
    )
    env = {"HOOK": "whsec_c2VjcmV0LTQ3MTE=", "EXTRA": "secret-4711"}
    with Served(tmp_path, toml, env=env) as gateway:
        key = gateway.key
        gateway.run("trigger", "app", "t", "-d", '{"a": "payload-4713"}')
        call(f"{gateway.url}/in/hook?x=query-4714", data=b"payload-4713", headers={"webhook-signature": "secret-4711"})
        done = gateway.run("pull", "shop/orders", "-p", "q=query-4714")
        done.refused("upstream_failed", 1)
        gateway.run(
            "add", "destination", "mail", "url=https://m.example.com", "auth.type=bearer", "auth.token=password-4715"
        )
        made = gateway.run("keys", "create", "robot", "--scope", "read", "--json").json["key"]
        gateway.file.write_text(toml + "[destinations.x]\nurl = 5\nsecret = 7\n")
        gateway.signal(signal.SIGHUP)
        wait_until(lambda: gateway.logged("the configuration was not applied"), "the reload is logged")
        link = gateway.run("keys", "login").out.strip().partition("token=")[2]
    for line in gateway.log:
        shown = json.loads(line)
        assert {"time", "level", "logger", "message"} <= shown.keys(), shown
        assert shown["time"].endswith("Z")
    text = "".join(gateway.log)
    assert [mark for mark in (*high_water_marks, env["HOOK"], key, made, link) if mark in text] == []
    (failed,) = gateway.logged("upstream_failed")
    assert failed["request_id"].startswith("req_")
    (put,) = gateway.logged("PUT /api/v1/destinations/mail")
    assert put["request_id"].startswith("req_") and put["key"] == "local"
    assert json.loads(gateway.log[0])["message"] == "serving"
    assert json.loads(gateway.log[-1])["message"] == "stopped"


# -- the end ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_gateway_ends_with_0_at_once(tmp_path: Path, number: int) -> None:
    with Served(tmp_path, BASE) as gateway:
        began = time.monotonic()
        assert gateway.end(number) == 0
        assert time.monotonic() - began < 8
    assert sorted(contents(gateway.data)) == ["lock", "secret.key", "tidegate.db"], "no journal is left to recover"


class Load(threading.Thread):
    """Publishes over one connection until the gateway goes away; keeps the ids that were acknowledged."""

    def __init__(self, gateway: Served) -> None:
        super().__init__(daemon=True)
        self.host = gateway.url.removeprefix("http://")
        self.headers = {"Authorization": f"Bearer {gateway.key}", "Content-Type": "application/json"}
        self.acknowledged: list[str] = []
        self.refused: list[int] = []

    def run(self) -> None:
        connection = http.client.HTTPConnection(self.host, timeout=20)
        body = json.dumps({"source": "app", "type": "t", "data": {}}).encode()
        try:
            while True:
                connection.request("POST", "/api/v1/events", body, self.headers)
                answer = connection.getresponse()
                shown = json.loads(answer.read())
                if answer.status != 202:
                    self.refused.append(answer.status)
                    return
                self.acknowledged.append(shown["id"])
                time.sleep(0.005)
        except (OSError, http.client.HTTPException):
            return
        finally:
            connection.close()


def test_sigterm_under_load_settles_what_is_in_flight_and_exits_0(tmp_path: Path, slow: SlowReceiver) -> None:
    toml = BASE + ROUTED.format(url=slow.url)
    gateway = Served(tmp_path, toml)
    with gateway:
        loads = [Load(gateway) for _ in range(3)]
        for load in loads:
            load.start()
        wait_until(lambda: len(slow.answered) >= 4, "deliveries are under way")
        began = time.monotonic()
        assert gateway.end(signal.SIGTERM) == 0
        assert time.monotonic() - began < 20
    for load in loads:
        load.join(20)
        assert not load.is_alive() and set(load.refused) <= {503}, "a client gets an answer, or its connection closes"
    acknowledged = {one for load in loads for one in load.acknowledged}
    sent_before = list(slow.begun)
    assert sorted(sent_before) == sorted(slow.answered), "nothing that was begun was cut off"
    assert len(acknowledged) > len(sent_before), "some still wait"
    slow.seconds = 0.0
    with gateway:
        wait_until(lambda: acknowledged <= set(slow.answered), "what waited is sent after the next start", 60)
        assert len(slow.answered) == len(set(slow.answered)), "and what was settled is not sent again"
        shown = gateway.run("explain", sent_before[-1], "--json").json["deliveries"][0]
        assert shown["state"] == "delivered" and [one["number"] for one in shown["attempts"]] == [1]


def test_a_send_that_is_cut_off_at_the_end_is_no_attempt(tmp_path: Path, slow: SlowReceiver) -> None:
    slow.seconds = 5.0  # longer than the end waits, which is a second here and ten in `serve`
    shorter = "from tidegate.deliver import engine; engine.STOP_SECONDS = 1.0; from tidegate.cli import main; main()"
    toml = BASE + ROUTED.format(url=slow.url).replace("concurrency", 'timeout = "60s"\nconcurrency')
    gateway = Served(tmp_path, toml, program=(sys.executable, "-c", shorter))
    with gateway:
        event = gateway.run("trigger", "app", "t", "--json").json["id"]
        wait_until(lambda: slow.begun, "the send is under way")
        began = time.monotonic()
        assert gateway.end(signal.SIGTERM) == 0
        assert 1.0 <= time.monotonic() - began < 30
    slow.seconds = 0.0
    with gateway:
        wait_until(lambda: len(slow.begun) == 2, "it is sent again after the next start")

        def delivered() -> Any:
            (one,) = gateway.run("explain", event, "--json").json["deliveries"]
            return one if one["state"] == "delivered" else None

        one = wait_until(delivered, "it is delivered")
        assert [(attempt["number"], attempt["outcome"]) for attempt in one["attempts"]] == [(1, "ok")]
