"""`tidegate listen`: events reach a program on this machine in their order, whatever was away meanwhile.

The receivers verify with the packages of Stripe, GitHub and Slack. Keys are pressed on a pseudo-terminal.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import gidgethub.sansio
import pytest
import slack_sdk.signature
import stripe
from standardwebhooks import Webhook

from support.cli.command import COMMAND, Served, environment
from support.cli.subprocesses import call, free_port, wait_until

SECRETS = {"stripe": "whsec_test_secret", "github": "gh-secret", "slack": "slack-secret"}
TOML = """
[sources.stripe.webhook]
verify = "stripe"
secret = "whsec_test_secret"
[sources.github.webhook]
verify = "github"
secret = "gh-secret"
[sources.slack.webhook]
verify = "slack"
secret = "slack-secret"
[sources.open.webhook]
verify = "none"
[sources.lab.webhook]
verify = "gitlab"
secret = "lab-token"
[sources.clerk.webhook]
verify = "clerk"
secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
"""


class Program:
    """A program on the developer's machine. `check(headers, body)` raises for a request it does not accept."""

    def __init__(self, check: Any = None, port: int = 0) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 200
        program = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                status = program.status
                if check is not None:
                    try:
                        check(headers, body)
                    except Exception:  # noqa: BLE001 - what a package raises for a wrong signature
                        status = 400
                program.got.append((headers, body))
                answer = b"done"
                self.send_response(status)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self._thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


@contextmanager
def local(check: Any = None, port: int = 0) -> Iterator[Program]:
    program = Program(check, port)
    try:
        yield program
    finally:
        program.close()


class Listening:
    """`tidegate listen` without a terminal; `lines` are those of stdout, `notes` those of stderr."""

    def __init__(self, gate: Served, *words: str) -> None:
        self.lines: list[str] = []
        self.notes: list[str] = []
        self.child = subprocess.Popen(
            [*COMMAND, "listen", *words, "--data", "data"],
            cwd=gate.folder,
            env=environment(gate.folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._threads = [
            threading.Thread(target=self._read, args=pair, daemon=True)
            for pair in ((self.child.stdout, self.lines), (self.child.stderr, self.notes))
        ]
        for thread in self._threads:
            thread.start()
        wait_until(lambda: self.notes or self.child.poll() is not None, "listen begins")

    @staticmethod
    def _read(stream: Any, into: list[str]) -> None:
        for line in stream:
            into.append(line.rstrip("\n"))
        stream.close()

    def __enter__(self) -> Listening:
        return self

    def __exit__(self, *_: object) -> None:
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGINT)
        code = self.child.wait(20)
        for thread in self._threads:
            thread.join()
        assert code == 0, self.notes


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("gate"), TOML) as served:
        yield served


def post(gate: Served, source: str, body: bytes, headers: dict[str, str] | None = None) -> str:
    answer = call(f"{gate.url}/in/{source}", data=body, headers={"content-type": "application/json", **(headers or {})})
    assert answer.status // 100 == 2, answer
    return str(answer.json["id"]) if answer.body.startswith(b"{") else ""


def numbered(count: int, start: int = 0) -> list[bytes]:
    return [json.dumps({"type": "order.paid", "n": number}).encode() for number in range(start, start + count)]


def stripe_signature(body: bytes) -> dict[str, str]:
    now = str(int(time.time()))
    signed = hmac.new(b"whsec_test_secret", now.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {"stripe-signature": f"t={now},v1={signed}"}


# -- what arrives ----------------------------------------------------------------------------------------


def test_an_event_reaches_the_program_and_its_line_has_time_status_and_id(gate: Served) -> None:
    with local() as program, Listening(gate, str(program.port), "--source", "open") as listening:
        program.status = 418
        event = post(gate, "open", b'{"type":"tea.made"}')
        wait_until(lambda: listening.lines, "a line")
        assert re.fullmatch(rf"\d\d:\d\d:\d\d +418 +[\d.]+ (ms|s) +tea\.made  {event}", listening.lines[0])
        assert program.got[0][1] == b'{"type":"tea.made"}'
        assert program.got[0][0]["tidegate-source"] == "open"


def test_only_the_types_that_were_asked_for_arrive(gate: Served) -> None:
    words = ("--source", "open", "--type", "invoice.*", "--json")
    with local() as program, Listening(gate, str(program.port), *words) as listening:
        for type_ in ("a", "invoice.paid", "b", "invoice.sent"):
            post(gate, "open", json.dumps({"type": type_}).encode())
        wait_until(lambda: len(program.got) == 2, "both")
        wait_until(lambda: len(listening.lines) == 2, "lines")
        assert [json.loads(line)["type"] for line in listening.lines] == ["invoice.paid", "invoice.sent"]
        assert json.loads(listening.lines[0])["status"] == 200


def test_since_brings_what_came_before_the_start(gate: Served) -> None:
    post(gate, "open", b'{"type":"early.bird"}')
    words = ("--source", "open", "--type", "early.bird", "--since", "1h")
    with local() as program, Listening(gate, str(program.port), *words) as listening:
        wait_until(lambda: program.got, "the earlier event")
        assert "since" in listening.notes[0]


def test_what_came_while_the_program_was_away_arrives_in_order(gate: Served) -> None:
    port = free_port()
    with Listening(gate, f"http://127.0.0.1:{port}/hooks", "--source", "open") as listening:
        bodies = numbered(5)
        for body in bodies:
            post(gate, "open", body)
        wait_until(lambda: any("what comes meanwhile is kept" in note for note in listening.notes), "says so")
        with local(port=port) as program:
            wait_until(lambda: len(program.got) == 5, "all five")
            assert [body for _, body in program.got] == bodies


def test_what_came_while_listen_was_away_arrives_once_at_the_next_start(gate: Served) -> None:
    with local() as program:
        words = (str(program.port), "--source", "open")
        with Listening(gate, *words):
            post(gate, "open", b'{"type":"first"}')
            wait_until(lambda: program.got, "the first")
        bodies = numbered(3)
        for body in bodies:
            post(gate, "open", body)
        with Listening(gate, *words) as listening:
            wait_until(lambda: len(program.got) == 4, "the rest")
            time.sleep(0.5)
            assert [body for _, body in program.got][1:] == bodies
            assert "after the last answer of your program" in listening.notes[0]


def test_listen_survives_a_kill_of_the_gateway(tmp_path: Path) -> None:
    gate = Served(tmp_path, TOML)
    with gate, local() as program, Listening(gate, str(program.port), "--source", "open") as listening:
        post(gate, "open", b'{"type":"before"}')
        wait_until(lambda: len(program.got) == 1, "before")
        gate.end(signal.SIGKILL)
        wait_until(lambda: any("waiting for it" in note for note in listening.notes), "says so")
        gate.start()  # on another port, with another key
        post(gate, "open", b'{"type":"after"}')
        wait_until(lambda: len(program.got) == 2, f"after; {listening.notes} {listening.child.poll()}", 30)
        wait_until(lambda: any("is back" in note for note in listening.notes), "says so")
        assert [json.loads(body)["type"] for _, body in program.got] == ["before", "after"]


def test_an_unknown_source_or_target_is_refused(gate: Served) -> None:
    gate.run("listen", "3000", "--source", "nobody").refused("not_found", 1)
    gate.run("listen", "ftp://x", "--source", "open").refused("usage", 2)
    gate.run("listen", "3000").refused("usage", 2)


# -- what the packages of providers say ------------------------------------------------------------------


def stripe_check(headers: dict[str, str], body: bytes) -> None:
    stripe.Webhook.construct_event(body, headers["stripe-signature"], "whsec_test_secret")


def github_check(headers: dict[str, str], body: bytes) -> None:
    event = gidgethub.sansio.Event.from_http(headers, body, secret="gh-secret")
    assert event.event == headers["x-github-event"]


def slack_check(headers: dict[str, str], body: bytes) -> None:
    assert slack_sdk.signature.SignatureVerifier("slack-secret").is_valid_request(body, headers)


def svix_check(headers: dict[str, str], body: bytes) -> None:
    import svix.webhooks

    svix.webhooks.Webhook("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=").verify(body, headers)


def lab_check(headers: dict[str, str], body: bytes) -> None:
    assert headers["x-gitlab-token"] == "lab-token"


@pytest.mark.parametrize(
    ("source", "type_", "check"),
    [
        ("stripe", "charge.succeeded", stripe_check),
        ("github", "issues", github_check),
        ("slack", "message", slack_check),
        ("clerk", "user.created", svix_check),
        ("lab", "Push Hook", lab_check),
    ],
)
def test_the_package_of_the_provider_accepts_what_trigger_sends_through_listen(
    gate: Served, source: str, type_: str, check: Any
) -> None:
    with local(check) as program, Listening(gate, str(program.port), "--source", source) as listening:
        done = gate.run("trigger", source, type_, "--json")
        assert done.code == 0, done
        wait_until(lambda: listening.lines, "a line")
        assert " 200 " in listening.lines[0], (program.got, listening.lines)
        assert type_ in listening.lines[0]
        assert done.json["id"] in listening.lines[0]


def test_an_event_of_long_ago_is_signed_again_so_that_the_package_accepts_it(gate: Served) -> None:
    now = int(time.time())
    body = json.dumps({"id": f"evt_{now}", "object": "event", "type": "old.one", "created": now, "data": {}}).encode()
    post(gate, "stripe", body, stripe_signature(body))
    words = (("--source", "stripe"), ("--type", "old.one"), ("--since", "1h"))
    with local(stripe_check) as program, Listening(gate, str(program.port), *(w for pair in words for w in pair)) as it:
        wait_until(lambda: it.lines, "a line")
        assert " 200 " in it.lines[0]
        assert program.got[0][0]["stripe-signature"].count("v1=") == 1


def test_a_key_that_only_reads_gets_the_request_as_it_came(gate: Served) -> None:
    key = gate.run("keys", "create", "reader", "--scope", "read", "--scope", "ack", "--json").json["key"]
    body = json.dumps({"id": "evt_r", "object": "event", "type": "read.only", "created": 1, "data": {}}).encode()
    sent = stripe_signature(body)
    post(gate, "stripe", body, sent)
    with local() as program:
        words = (str(program.port), "--source", "stripe", "--type", "read.only", "--since", "1h", "--json")
        child = subprocess.Popen(
            [*COMMAND, "listen", *words],
            cwd=gate.folder,
            env=environment(gate.folder, {"TIDEGATE_URL": gate.url, "TIDEGATE_KEY": key}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            wait_until(lambda: program.got, "the event")
            assert program.got[0][0]["stripe-signature"] == sent["stripe-signature"]
            assert child.stdout is not None and json.loads(child.stdout.readline())["signed"] is False
        finally:
            child.send_signal(signal.SIGINT)
            child.communicate(timeout=20)


def test_a_secret_of_the_user_s_own_signs_by_standard_webhooks(gate: Served) -> None:
    secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
    with local(lambda headers, body: Webhook(secret).verify(body, headers)) as program:
        with Listening(gate, str(program.port), "--source", "open", "--secret", secret) as listening:
            post(gate, "open", b'{"type":"signed.here"}')
            wait_until(lambda: listening.lines, "a line")
            assert " 200 " in listening.lines[0]


# -- keys on a terminal ----------------------------------------------------------------------------------


class Session:
    """`tidegate listen` on a pseudo-terminal."""

    def __init__(self, gate: Served, *words: str, editor: str = "") -> None:
        ours, theirs = pty.openpty()
        self.fd = ours
        self.text = ""
        self.child = subprocess.Popen(
            [*COMMAND, "listen", *words, "--data", "data"],
            cwd=gate.folder,
            env=environment(gate.folder, {"TERM": "xterm", "COLUMNS": "200", "EDITOR": editor}),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        self.expect("no events so far")

    def _read(self) -> None:
        with suppress(OSError):  # its end
            while data := os.read(self.fd, 65536):
                self.text += data.decode("utf-8", "replace")

    def press(self, keys: str) -> None:
        os.write(self.fd, keys.encode())

    def expect(self, text: str) -> None:
        """Wait for a text and forget everything up to its end."""
        wait_until(lambda: text in self.text or self.child.poll() is not None, f"{text!r} in {self.text[-2000:]!r}")
        assert text in self.text, self.text
        self.text = self.text[self.text.index(text) + len(text) :]

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.press("q")
        elif self.child.poll() is None:
            self.child.kill()
        code = self.child.wait(20)
        os.close(self.fd)
        assert kind is not None or code == 0, self.text


def test_the_keys_replay_show_search_and_copy(gate: Served) -> None:
    with local() as program, Session(gate, str(program.port), "--source", "open") as session:
        event = post(gate, "open", b'{"type":"alpha","n":1}')
        session.expect(f"alpha  {event}")
        other = post(gate, "open", b'{"type":"beta","customer":"Grace"}')
        session.expect(f"beta  {other}")
        session.press("r")
        session.expect(f"beta  {other}  (replay)")
        assert [body for _, body in program.got][-1] == b'{"type":"beta","customer":"Grace"}'
        session.press("/alpha\r")
        session.expect("> ")
        session.expect(f"alpha  {event}")
        session.press("d")
        session.expect("tidegate-type: alpha")
        session.expect('"n": 1')
        session.expect("answer: 200")
        session.expect("done")
        session.press("c")
        session.expect("curl -i -X POST")
        session.expect("]52;c;")
        session.press("r")
        session.expect(f"alpha  {event}  (replay)")
        assert [body for _, body in program.got][-1] == b'{"type":"alpha","n":1}'
        session.press("/nothing like it\r")
        session.expect("no request contains 'nothing like it'")
        assert len(program.got) == 4


def test_an_edited_event_goes_to_this_program_signed_and_only_there(gate: Served, tmp_path: Path) -> None:
    editor = tmp_path / "editor.py"
    editor.write_text(
        "import pathlib, sys\np = pathlib.Path(sys.argv[1])\np.write_text(p.read_text().replace('4900', '5000'))\n"
    )
    now = int(time.time())
    body = json.dumps(
        {"id": f"evt_e{now}", "object": "event", "type": "charge.made", "created": now, "data": {"amount": 4900}}
    ).encode()
    words = ("--source", "stripe", "--type", "charge.made")
    with local(stripe_check) as program:
        with Session(gate, str(program.port), *words, editor=f"{sys.executable} {editor}") as session:
            post(gate, "stripe", body, stripe_signature(body))
            session.expect("charge.made  evt_")
            before = len(gate.run("events", "--json", "--limit", "500").json["data"])
            session.press("e")
            session.expect("(edit)")
            assert json.loads(program.got[-1][1])["data"] == {"amount": 5000}
            session.press("e")  # selected is the edited one, whose body has nothing to replace
            session.expect("was not changed")
            assert len(program.got) == 2
            assert len(gate.run("events", "--json", "--limit", "500").json["data"]) == before


def test_the_terminal_shows_no_control_characters_of_a_payload(gate: Served) -> None:
    with local() as program, Session(gate, str(program.port), "--source", "open") as session:
        post(gate, "open", b'{"type":"evil","text":"\xc2\x9b2J"}')
        session.expect("evil")
        session.press("d")
        session.expect("\\u009b2J")


# -- trigger ---------------------------------------------------------------------------------------------

FAR = """
[sources.pay.webhook]
verify = "stripe"
secret = "whsec_test_secret"
[destinations.near]
url = "http://127.0.0.1:9/near"
[destinations.far]
url = "https://ledger.example.com/in"
[routes.near]
from = "pay"
to = "near"
[routes.far]
from = "pay"
to = "far"
types = ["charge.*"]
[routes.real]
from = "pay"
to = "far"
types = ["order.*"]
filter = { test = false }
"""


def test_trigger_asks_before_it_reaches_another_machine_and_routes_can_tell(tmp_path: Path) -> None:
    with Served(tmp_path, FAR) as gate:
        error = gate.run("trigger", "pay", "charge.succeeded").refused("reaches_elsewhere", 1)
        assert "far (https://ledger.example.com/in)" in error["what"]
        assert gate.run("events", "--json").json["data"] == []
        would = gate.run("trigger", "pay", "charge.succeeded", "--dry-run", "--json").json
        assert {one["name"]: one["here"] for one in would["destinations"]} == {"near": True, "far": False}
        assert gate.run("events", "--json").json["data"] == []
        done = gate.run("trigger", "pay", "charge.succeeded", "--set", "data.object.amount=7", "--yes", "--json").json
        event = gate.run("events", "--json").json["data"][0]
        assert (event["id"], event["test"], event["origin"]) == (done["id"], True, "webhook")
        assert event["data"]["object"]["amount"] == 7
        other = gate.run("trigger", "pay", "order.paid", "--json").json
        assert [one["name"] for one in other["destinations"]] == ["near"]
        assert "no sample of order.paid" in other["note"]


def test_trigger_on_a_terminal_asks_and_no_stores_nothing(tmp_path: Path) -> None:
    with Served(tmp_path, FAR) as gate:
        for answer, count in (("n\n", 0), ("y\n", 1)):
            ours, theirs = pty.openpty()
            child = subprocess.Popen(
                [*COMMAND, "trigger", "pay", "charge.succeeded", "--data", "data"],
                cwd=gate.folder, env=environment(gate.folder), stdin=theirs, stdout=theirs, stderr=theirs,
            )  # fmt: skip
            os.close(theirs)
            seen = ""
            while "Send it?" not in seen:
                seen += os.read(ours, 4096).decode()
            os.write(ours, answer.encode())
            with suppress(OSError):
                while os.read(ours, 4096):
                    pass
            child.wait(20)
            os.close(ours)
            assert len(gate.run("events", "--json").json["data"]) == count
