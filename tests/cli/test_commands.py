"""Every command on a running gateway: what it prints, what `--json` prints, what it refuses, and with which exit code.

One gateway for the whole file, between a real receiver that is also the source's API, and an address where nobody
listens. Its counters are not asserted: the tests share it.
"""

from __future__ import annotations

import json
import os
import pty
import signal
import struct
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ
from typing import Any, NamedTuple

import pytest

from support.cli.command import COMMAND, Done, Served, environment
from support.cli.subprocesses import Receiver, free_port, wait_until

ORDERS = {"orders": [{"id": 1, "updated_at": "2026-01-01T00:00:00Z"}, {"id": 2, "updated_at": "2026-01-02T00:00:00Z"}]}
TOML = """
[egress]
allow = ["127.0.0.1/32"]
[sources.app.publish]
[sources.hook.webhook]
verify = "none"
[sources.shop.api]
base_url = "{far}"
[sources.shop.resources.orders]
path = "/orders"
item_path = "/orders/{{id}}"
data_selector = "orders"
version = "updated_at"
poll = "1d"
[sources.shop.operations.create]
path = "/orders"
json = {{ name = "{{{{ data.customer.name }}}}", count = "{{{{ data.count }}}}" }}
[credentials.ledger.auth]
type = "oauth2_authorization_code"
authorization_url = "https://login.example.com/authorize"
access_token_url = "https://login.example.com/token"
client_id = "app"
[destinations.crm]
url = "{far}/crm"
[destinations.dead]
url = "http://127.0.0.1:{closed}/dead"
retry = ["100ms"]
[routes.all]
from = ["app", "hook"]
to = "crm"
[routes.doomed]
from = "app"
to = "dead"
types = ["doomed"]
"""


class Place(NamedTuple):
    gateway: Served
    far: Receiver

    def run(self, words: str, env: Mapping[str, str] | None = None) -> Done:
        return self.gateway.run(*words.split(), env=env)

    def read(self, words: str) -> str:
        done = self.run(words)
        assert (done.code, done.err) == (0, ""), done
        return done.out

    def json(self, words: str) -> Any:
        return self.run(f"{words} --json").json

    def publish(self, type_: str, *words: str) -> str:
        return str(self.gateway.run("trigger", "app", type_, "--json", *words).json["id"])

    def settled(self, event: str) -> list[dict[str, Any]]:
        """The deliveries of an event when none is pending any more."""

        def done() -> Any:
            shown = self.json(f"explain {event}")["deliveries"]
            return shown if all(one["state"] in ("delivered", "exhausted") for one in shown) else None

        found: list[dict[str, Any]] = wait_until(done, f"{event} is settled")
        return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with Receiver() as far:
        far.content = json.dumps(ORDERS).encode()
        toml = TOML.format(far=far.url, closed=free_port())
        with Served(tmp_path_factory.mktemp("gate"), toml) as gateway:
            wait_until(lambda: any(one.path.startswith("/orders") for one in far.taken), "the first poll")
            yield Place(gateway, far)


# -- the log ---------------------------------------------------------------------------------------------


def test_trigger_publishes_and_events_lists_it_newest_first(place: Place) -> None:
    first = place.publish("order.made", "-d", '{"a": 1}', "--key", "k1")
    second = place.publish("order.made", "--key", "k2")
    listed = place.json("events --source app --type order.made")
    assert [one["id"] for one in listed["data"]][:2] == [second, first]
    assert listed["data"][1]["data"] == {"a": 1} and listed["data"][1]["key"] == "k1"
    lines = place.read("events --source app --key k1").splitlines()
    assert lines[0].split() == ["received", "way", "source", "type", "key", "id"]
    assert lines[1].split()[-6:] == ["─▶", "publish", "app", "order.made", "k1", first]
    assert place.read("events --key nobody") == "no events match\n"


def test_trigger_reads_its_data_from_a_file(place: Place) -> None:
    (place.gateway.folder / "data.json").write_text('{"from": "a file"}')
    event = place.publish("order.filed", "-d", "@data.json")
    assert place.json(f"explain {event}")["event"]["data"] == {"from": "a file"}


def test_a_page_says_how_to_go_on_with_the_same_choice(place: Place) -> None:
    ids = [place.publish("paged", "--key", "it is 1") for _ in range(3)]
    done = place.gateway.run("events", "--key", "it is 1", "--limit", "2")
    assert done.code == 0
    command = done.err.strip().removeprefix("next page: tidegate ")
    assert command.startswith("events --key 'it is 1' --limit 2 --cursor ")
    cursor = command.rpartition(" ")[2]
    rest = place.gateway.run("events", "--key", "it is 1", "--limit", "2", "--cursor", cursor, "--json").json
    assert [one["id"] for one in rest["data"]] == [ids[0]]


def test_explain_shows_who_got_it_who_did_not_and_what_to_do(place: Place) -> None:
    event = place.publish("doomed")
    states = {one["destination"]: (one["state"], one["id"]) for one in place.settled(event)}
    assert states["crm"][0] == "delivered" and states["dead"][0] == "exhausted"
    text = place.read(f"explain {event}")
    for title in ("Origin", "Signature", "Delivered to", "Next"):
        assert title in text
    assert f"start the receiver, or correct its `url`, then: tidegate replay {states['dead'][1]}" in text
    assert states["crm"][1] in text, "what --request and replay take"
    assert place.read(f"explain {states['dead'][1]}") == place.read(f"explain {event}")
    assert "route doomed" in place.read(f"explain {place.publish('spared')}").partition("Not delivered to")[2]


def test_tail_prints_one_object_a_line_and_ends_by_ctrl_c_with_0(place: Place) -> None:
    after = place.publish("before")
    words = (*COMMAND, "tail", "--json", "--source", "app", "--after", after)
    env = environment(place.gateway.folder, {"TIDEGATE_DATA": "data"})
    with subprocess.Popen(words, cwd=place.gateway.folder, env=env, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        ids = [place.publish("followed") for _ in range(2)]
        seen = [json.loads(child.stdout.readline()) for _ in range(2)]
        assert [one["id"] for one in seen] == ids
        os.kill(child.pid, signal.SIGINT)
        assert child.wait(20) == 0


@pytest.mark.parametrize("words", ["tail", "events", "events --json"])
def test_a_source_that_does_not_exist_is_refused_instead_of_waited_for(place: Place, words: str) -> None:
    error = place.run(f"{words} --source ap").refused("not_found", 1)
    assert "'ap'" in error["what"]


@pytest.mark.parametrize("words", ["tail", "events"])
def test_a_pattern_as_a_type_is_refused_because_it_would_match_nothing(place: Place, words: str) -> None:
    error = place.gateway.run(words, "--type", "order.*").refused("bad_request", 2)
    assert "not a pattern" in error["what"]


def test_text_of_outsiders_cannot_move_the_cursor(place: Place) -> None:
    request = urllib.request.Request(f"{place.gateway.url}/in/hook", b'{"a": "\x1b[2J"}', {"webhook-id": "esc"})
    urllib.request.urlopen(request, timeout=20).close()
    event = place.publish("esc", "-d", r'{"a": "\u001b[2J"}')
    for words in ("events", f"explain {event}", "events --json"):
        assert "\x1b" not in place.read(words)


# -- delivering again ------------------------------------------------------------------------------------


def test_replay_sends_one_delivery_one_event_or_what_was_chosen(place: Place) -> None:
    event = place.publish("again")
    (delivery,) = place.settled(event)
    assert place.json(f"replay {delivery['id']}")["event"] == event
    wait_until(lambda: len(place.settled(event)[0]["attempts"]) == 2, "the second attempt")
    job = place.json(f"replay {event} --yes --wait")
    assert (job["matched"], job["reopened"]) == (1, 1) and job["finished_at"]
    counted = place.json("replay --type again --dry-run")
    assert counted["matched"] == 1 and counted["finished_at"]
    assert place.read("replay --type again --dry-run") == "1 delivery would be replayed\n"
    sent = [one.headers["webhook-id"] for one in place.far.taken if one.headers.get("tidegate-type") == "again"]
    assert set(sent) == {event} and len(sent) >= 2


def test_a_destination_is_paused_and_resumed_and_explain_names_the_command(place: Place) -> None:
    gateway = place.gateway
    assert "tidegate resume crm" in gateway.run("pause", "crm").out
    event = gateway.run("trigger", "app", "held.back", "--json").json["id"]
    text = gateway.run("explain", event).out
    assert "Pending: the destination is paused." in text and "      tidegate resume crm\n" in text
    (held,) = gateway.run("explain", event, "--json").json["deliveries"]
    assert held["state"] == "pending" and held["attempts"] == []
    assert "1 delivery pending" in gateway.run("resume", "crm").out
    wait_until(
        lambda: gateway.run("explain", event, "--json").json["deliveries"][0]["state"] == "delivered", "it arrives"
    )
    assert gateway.run("resume", "crm", "--json").json["paused_at"] is None
    for command in ("pause", "resume", "test"):
        gateway.run(command, "nobody").refused("not_found", 1)


def test_a_test_event_says_what_the_destination_answered(place: Place) -> None:
    assert place.gateway.run("test", "crm").out.startswith("crm answered 2")
    error = place.gateway.run("test", "dead").refused("not_taken", 1)
    assert "refused" in error["what"] and error["hint"] == "start the receiver, or correct its `url`"
    failed = place.gateway.run("test", "dead", "--json")
    assert failed.code == 1 and json.loads(failed.out)["outcome"] == "refused"


@pytest.mark.parametrize(
    ("words", "code", "exit_code"),
    [
        ("replay --source nobody", "not_found", 1),
        ("replay --destination nobody --dry-run", "not_found", 1),
        ("replay evt_nobody", "not_found", 1),
        ("replay dlv_nobody", "not_found", 1),
        ("replay --since 1d --until 2d", "bad_request", 2),
        ("explain evt_nobody", "not_found", 1),
        ("events --cursor none", "bad_cursor", 2),
        ("tail --after nothing", "bad_request", 2),
        ("trigger nobody t", "not_found", 1),
        ("trigger shop t", "no_publish_input", 1),
        ("pull nobody/orders", "unknown_resource", 1),
        ("poll shop/none", "unknown_resource", 1),
        ("records shop/orders 99", "not_found", 1),
        ("keys delete nobody", "not_found", 1),
        ("keys create a --scope publish --source nobody", "bad_request", 2),
        ("backup none/b.db", "not_found", 1),
        ("add destination x url=${env:X}", "config_invalid", 2),
        ("add destination x url=https://a.example urll=x", "config_invalid", 2),
        ("add route x from=ap to=crm", "unknown_name", 2),
        ("add source app publish={}", "exists", 1),
        ("add source app publish={} --replace", "owned_by_file", 1),
    ],
)
def test_a_rejection_of_the_gateway_shows_its_code_and_a_hint(
    place: Place, words: str, code: str, exit_code: int
) -> None:
    place.run(words).refused(code, exit_code)


# -- the pull side ---------------------------------------------------------------------------------------


def test_pull_gives_the_source_s_bytes_as_they_came(place: Place) -> None:
    assert place.read("pull shop/orders --fresh") == place.far.content.decode()
    shown = place.json("pull shop/orders 1 -p expand=lines")
    assert shown["status"] == 200 and shown["data"] == ORDERS and "age_seconds" in shown
    assert place.far.taken[-1].path == "/orders/1?expand=lines"


def test_poll_says_what_it_found_and_fails_with_1_when_the_source_does(place: Place) -> None:
    assert "no changes (1 request, 1 page, 2 records" in place.read("poll shop/orders")
    report = place.json("poll shop/orders")
    assert report["records_seen"] == 2 and report["error"] == ""
    kept, place.far.content = place.far.content, b"not JSON"
    try:
        place.run("poll shop/orders").refused("page_unreadable", 1)
        done = place.run("poll shop/orders --json")
        assert done.code == 1 and json.loads(done.out)["error_code"] == "page_unreadable"
    finally:
        place.far.content = kept
    wait_until(lambda: place.run("poll shop/orders").code == 0, "the source is well again")


def test_records_and_advise_read_what_is_known(place: Place) -> None:
    assert [one["key"] for one in place.json("records shop/orders")["data"]] == ["1", "2"]
    assert place.json("records shop/orders 1")["data"] == ORDERS["orders"][0]
    assert place.read("records shop/orders --deleted").splitlines()[1].startswith("1    2026-01-01T00:00:00Z")
    done = place.run("records shop/orders --limit 1")
    assert done.err.startswith("next page: tidegate records shop/orders --limit 1 --cursor ")
    (one,) = place.json("advise")["data"]
    assert one["resource"] == "shop/orders" and one["recommendation"] == "not_enough_data"
    assert "Not enough data yet" in place.read("advise")


# -- keys and the operator -------------------------------------------------------------------------------


def test_call_makes_the_call_and_shows_the_answer(place: Place) -> None:
    words = ("call", "shop/create", '{"count": 1}', "--set", "customer.name=Ada", "--set", "count=2")
    done = place.gateway.run(*words)
    assert done.code == 0 and "POST " in done.out and "answered 202" in done.out
    sent = [one for one in place.far.taken if one.path == "/orders" and one.body]
    assert json.loads(sent[-1].body) == {"name": "Ada", "count": 2}
    assert place.gateway.run(*words, "--json").json["status"] == 202
    assert place.gateway.run("call", "shop/other").code == 1
    assert place.gateway.run("call", "shop/create", "no JSON").code == 2


def test_auth_says_what_is_connected_and_prints_where_to_sign_in(place: Place) -> None:
    shown = place.gateway.run("auth", "status").out
    assert "ledger" in shown and "not connected" in shown and "tidegate auth connect ledger" in shown
    begun = place.gateway.run("auth", "connect", "ledger", "--wait", "0").out
    assert "https://login.example.com/authorize?response_type=code" in begun and "/oauth/callback" in begun
    assert place.gateway.run("auth", "connect", "nobody").code == 1


def test_keys_are_shown_once_listed_without_their_text_and_deleted(place: Place) -> None:
    made = place.json("keys create robot --scope publish --source app")
    shown = place.run("keys create other --scope read")
    assert (
        shown.code == 0 and shown.out.startswith("tg_") and shown.err == "store this key now: it is not shown again\n"
    )
    listed = place.run("keys list --json").out
    assert {one["name"] for one in json.loads(listed)["data"]} == {"robot", "other"}
    assert made["key"] not in listed and "robot" in place.read("keys")
    robot = {"TIDEGATE_URL": place.gateway.url, "TIDEGATE_KEY": made["key"]}
    assert place.run("trigger app t", robot).code == 0, "a key to publish is all that trigger needs"
    place.run("events", robot).refused("forbidden", 1)
    place.run("doctor", robot).refused("forbidden", 1)
    assert place.read("keys delete robot") == "deleted robot\n"
    place.run("trigger app t", robot).refused("unauthorized", 1)
    place.run("keys delete other --json").json  # noqa: B018 - exit 0 and JSON
    assert place.read("keys").startswith("no keys yet")


def test_a_wrong_key_and_an_address_that_is_not_a_gateway_are_refused(place: Place) -> None:
    wrong = place.run("events", {"TIDEGATE_URL": place.gateway.url, "TIDEGATE_KEY": "tg_wrong"})
    assert "TIDEGATE_KEY" in wrong.refused("unauthorized", 1)["hint"]
    for words in ("events", "keys", "config show"):
        place.run(words, {"TIDEGATE_URL": place.far.url, "TIDEGATE_KEY": "tg_wrong"}).refused("bad_answer", 1)


def test_a_login_link_works_once(place: Place) -> None:
    link = place.read("keys login").strip()
    assert link.startswith(f"{place.gateway.url}/login?token=")
    assert place.json("keys login")["url"] != link


def test_stats_shows_what_was_measured(place: Place) -> None:
    place.run("poll shop/orders")
    shown = place.read("stats --window 1h")
    assert shown.startswith("window 1h: measured for ")
    assert "\nResources\n" in shown and "shop/orders" in shown and "\nDestinations\n" in shown
    assert "nan" not in shown.lower()
    found = place.json("stats")["measured"]
    assert found["window"] == "24h" and found["resources"]["shop/orders"]["requests"]["polls"] >= 1
    assert place.run("stats --window 2h").code == 2


def test_doctor_says_that_all_is_well(place: Place) -> None:
    assert place.read("doctor").startswith("ready: yes\n")
    shown = place.json("doctor")
    assert shown["ready"] == "yes" and shown["store"]["kind"] == "sqlite" and shown["destinations"] >= 2


# -- pipes and terminals ---------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["events --json --limit 500", "config schema", "tail --json --after FIRST"])
def test_a_reader_that_has_seen_enough_ends_the_command_with_0(place: Place, words: str) -> None:
    first = place.publish("piped", "-d", json.dumps({"pad": "x" * 50_000}))
    for _ in range(3):
        place.publish("piped", "-d", json.dumps({"pad": "x" * 50_000}))
    command = (*COMMAND, *words.replace("FIRST", first).split())
    env = environment(place.gateway.folder, {"TIDEGATE_DATA": "data"})
    with subprocess.Popen(
        command, cwd=place.gateway.folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdout is not None and child.stderr is not None
        assert child.stdout.read(1) == b"{"
        child.stdout.close()
        if words.startswith("tail"):
            place.publish("piped")
        assert child.stderr.read() == b""
        assert child.wait(20) == 0


def test_a_command_whose_output_is_closed_does_its_work(place: Place) -> None:
    env = environment(place.gateway.folder, {"TIDEGATE_DATA": "data"})
    closed = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *COMMAND, "config", "show"],
        check=False, cwd=place.gateway.folder, env=env, capture_output=True, timeout=60,
    )  # fmt: skip
    assert (closed.returncode, closed.stderr) == (0, b"")


def on_terminal(place: Place, words: str, columns: int) -> str:
    """What a terminal of that width is sent: stdout and stderr together."""
    ours, theirs = pty.openpty()
    ioctl(theirs, TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    env = environment(place.gateway.folder, {"TIDEGATE_DATA": "data", "TERM": "xterm-256color"})
    child = subprocess.Popen(
        [*COMMAND, *words.split()], cwd=place.gateway.folder, env=env, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    text = b""
    try:
        while part := os.read(ours, 65536):
            text += part
    except OSError:  # how Linux says that the other side is closed
        pass
    os.close(ours)
    assert child.wait(60) == 0, text
    return text.decode()


def test_a_narrow_terminal_folds_and_loses_nothing(place: Place) -> None:
    event = place.publish("narrow.type.with.a.long.name")
    text = on_terminal(place, "events --limit 1", 40)
    assert "\x1b[" in text, "colors on a terminal"
    assert event in text and "narrow.type.with.a.long.name" in text, "an id is one word that can be copied"
    assert event in on_terminal(place, "events --limit 1", 80)
    assert "Delivered to" in on_terminal(place, f"explain {event}", 40)
    assert "\x1b[" not in place.run("events --limit 1").out, "and none in a pipe"


def test_long_work_tells_a_terminal_what_it_does_and_a_pipe_nothing(place: Place) -> None:
    event = place.publish("long")
    place.settled(event)
    assert "selected so far" in on_terminal(place, f"replay {event} --yes --wait", 100)
    assert place.run(f"replay {event} --yes --wait").err == ""


# -- the copy --------------------------------------------------------------------------------------------


def test_a_backup_of_the_running_store_opens_and_has_everything(place: Place, tmp_path: Path) -> None:
    ids = {place.publish("kept", "--key", str(number)) for number in range(5)}
    made = place.json(
        "add destination kept url=https://kept.example.com/hook secret=whsec_c2VjcmV0LXRoYXQtaXMta2VwdA=="
    )
    assert made["name"] == "kept"
    (tmp_path / "data").mkdir()
    shown = place.gateway.run("backup", str(tmp_path / "data" / "tidegate.db"), "--json").json
    assert shown["bytes"] == (tmp_path / "data" / "tidegate.db").stat().st_size
    assert (tmp_path / "data" / "tidegate.db").stat().st_mode & 0o777 == 0o600
    place.gateway.run("backup", str(tmp_path / "data" / "tidegate.db")).refused("exists", 1)
    later = place.publish("kept", "--key", "too late")
    (tmp_path / "data" / "secret.key").write_bytes((place.gateway.data / "secret.key").read_bytes())
    with Served(tmp_path, place.gateway.file.read_text()) as restored:
        found = restored.run("events", "--type", "kept", "--json").json["data"]
        assert {one["id"] for one in found} == ids and later not in ids
        assert restored.run("doctor", "--json").json["store"] is not None
        assert "kept" in restored.run("config", "export").out, "sealed secrets open with the key beside the copy"
        for one in place.json("events --limit 500")["data"]:
            if one["id"] != later:
                again = restored.run("explain", one["id"], "--json").json["event"]
                assert again["data"] == one["data"]
                break
