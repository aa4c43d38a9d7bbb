"""The configuration of a running gateway: compared with the file, applied, and exported as a file.

Each test serves its own folder. Pending deliveries come from a receiver that answers 500 and a retry in an hour.
"""

from __future__ import annotations

import json
import signal
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.cli.command import Served
from support.cli.subprocesses import Receiver, wait_until

SETTINGS = '[egress]\nallow = ["127.0.0.1/32"]\n'
BASE = SETTINGS + "[sources.app.publish]\n"
WAITING = '[destinations.crm]\nurl = "{far}/crm"\nretry = ["1h"]\n[routes.all]\nfrom = "app"\nto = "crm"\n'


@pytest.fixture
def far() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def changes(gateway: Served, *words: str) -> list[tuple[str, str, str]]:
    shown = gateway.run("config", *words, "--json").json["changes"]
    return [(one["kind"], one["name"], one["action"]) for one in shown]


def waiting_delivery(gateway: Served, far: Receiver) -> dict[str, Any]:
    """A delivery to crm with one failed attempt, and its next in an hour."""
    far.answers.append(500)
    event = gateway.run("trigger", "app", "order.made", "--json").json["id"]

    def failed() -> Any:
        (one,) = gateway.run("explain", event, "--json").json["deliveries"]
        return one if one["attempts"] and one["state"] == "pending" else None

    found: dict[str, Any] = wait_until(failed, "the first attempt")
    return found


# -- reading the file again ------------------------------------------------------------------------------


def test_apply_makes_the_file_so_and_diff_says_it_before(tmp_path: Path, far: Receiver) -> None:
    with Served(tmp_path, BASE) as gateway:
        assert gateway.run("config", "diff").out == "no differences\n"
        gateway.file.write_text(BASE + WAITING.format(far=far.url))
        announced = changes(gateway, "diff")
        assert announced == [("destination", "crm", "added"), ("route", "all", "added")]
        assert gateway.run("config", "show", "--json").json["destinations"] == {}, "a diff changes nothing"
        applied = gateway.run("config", "apply")
        assert applied.out == "+ destination crm created\n+ route all created\n"
        assert gateway.run("config", "apply").out == "no changes\n"
        assert changes(gateway, "diff") == []
        gateway.run("trigger", "app", "order.made")
        wait_until(lambda: far.taken, "the new route delivers")


def test_apply_shows_changed_settings_like_changed_items(tmp_path: Path, far: Receiver) -> None:
    with Served(tmp_path, BASE) as gateway:
        narrower = BASE.replace("127.0.0.1/32", "10.1.2.3/32") + '[retention]\nevents = "9d"\n'
        gateway.file.write_text(narrower + WAITING.format(far=far.url))
        assert gateway.run("config", "apply").out == (
            "~ egress updated\n~ retention updated\n+ destination crm created\n+ route all created\n"
        )
        assert gateway.run("config", "apply").out == "no changes\n"
        assert gateway.logged("egress updated")


def test_an_invalid_file_changes_nothing_and_shows_every_problem(tmp_path: Path, far: Receiver) -> None:
    with Served(tmp_path, BASE + WAITING.format(far=far.url)) as gateway:
        before = gateway.run("config", "show", "--json").json
        gateway.file.write_text('[egress]\nalow = []\n[destinations.crm]\nurl = "${env:NOT_SET}"\n')
        done = gateway.run("config", "apply")
        assert done.code == 2 and done.out == ""
        assert [(one["path"], one["where"]) for one in done.errors] == [
            ("$.egress.alow", "tidegate.toml:2"),
            ("$.destinations.crm.url", "tidegate.toml:4"),
        ]
        gateway.signal(signal.SIGHUP)
        lines = wait_until(lambda: gateway.logged("the configuration was not applied"), "it is logged")
        assert "$.egress.alow (tidegate.toml:2)" in lines[0]["message"] and lines[0]["level"] == "error"
        assert gateway.run("config", "show", "--json").json == before
        gateway.run("trigger", "app", "order.made")
        wait_until(lambda: far.taken, "the old configuration still delivers")


def test_sighup_reads_the_file_again_and_a_watcher_never_does(tmp_path: Path) -> None:
    with Served(tmp_path, BASE) as gateway:
        gateway.file.write_text(BASE + "[sources.web.publish]\n")
        assert list(gateway.run("config", "show", "--json").json["sources"]) == ["app"]
        gateway.signal(signal.SIGHUP)
        wait_until(lambda: gateway.logged("the configuration was reloaded: 1 change"), "it is logged")
        assert list(gateway.run("config", "show", "--json").json["sources"]) == ["app", "web"]


def test_without_a_file_there_is_none_to_apply(tmp_path: Path) -> None:
    with Served(tmp_path, BASE) as gateway:
        gateway.file.unlink()
        gateway.run("config", "apply").refused("config_unreadable", 2)


# -- a destination that leaves ---------------------------------------------------------------------------


def test_a_destination_that_leaves_the_file_is_paused_and_comes_back_with_its_backlog(
    tmp_path: Path, far: Receiver
) -> None:
    whole = BASE + WAITING.format(far=far.url)
    with Served(tmp_path, whole) as gateway:
        waiting = waiting_delivery(gateway, far)
        gateway.file.write_text(BASE)
        assert changes(gateway, "diff") == [("destination", "crm", "paused"), ("route", "all", "removed")]
        done = gateway.run("config", "apply")
        assert "- destination crm paused\n" in done.out and "tidegate config apply --prune" in done.out
        assert "crm is not in the file and stays paused" in gateway.run("config", "diff").out
        assert changes(gateway, "diff") == [] and changes(gateway, "apply") == []
        shown = gateway.run("explain", waiting["event"]).out
        assert "the destination is no longer in the configuration file" in shown
    with gateway:  # the pause is in the store, not in the process
        assert changes(gateway, "apply") == []
        gateway.file.write_text(whole)
        assert ("destination", "crm", "resumed") in changes(gateway, "diff")
        assert ("destination", "crm", "resumed") in changes(gateway, "apply")
        gateway.run("replay", waiting["id"])
        wait_until(lambda: len(far.taken) == 2, "the backlog is sent")
        assert {one.headers["webhook-id"] for one in far.taken} == {waiting["event"]}


def test_prune_deletes_what_left_the_file_with_its_backlog(tmp_path: Path, far: Receiver) -> None:
    whole = BASE + WAITING.format(far=far.url)
    with Served(tmp_path, whole) as gateway:
        waiting = waiting_delivery(gateway, far)
        gateway.file.write_text(BASE)
        gateway.run("config", "apply")
        assert changes(gateway, "apply", "--prune") == [("destination", "crm", "deleted")]
        assert gateway.run("config", "show", "--json").json["destinations"] == {}
        shown = gateway.run("explain", waiting["event"], "--json").json["deliveries"]
        assert [(one["destination"], one["state"]) for one in shown] == [("crm", "canceled")]
        gateway.file.write_text(whole)
        assert ("destination", "crm", "created") in changes(gateway, "apply")
        assert len(far.taken) == 1, "a new one of that name has none of the old backlog"


# -- the gateway's configuration as a file ---------------------------------------------------------------

ADDED = (
    ("source", "web", "form.event_type=lead.submitted", "form.redirect=https://www.example.com/thanks"),
    ("source", "pay", "webhook.verify=stripe", "webhook.secret=whsec_kept-secret-4711"),
    ("destination", "mail", "url=https://mail.example.com/x", "auth.type=bearer", "auth.token=token-4712", "rate=5/s"),
    ("destination", "chat", "type=slack", "url=https://hooks.slack.com/services/T/B/x", "text=New: {{ data.id }}"),
    ("route", "leads", 'from=["web", "pay"]', 'to=["mail", "chat"]', 'filter={ data = { n = { "$gte" = 5 } } }'),
)


def add_all(gateway: Served) -> None:
    for kind, *words in ADDED:
        done = gateway.run("add", kind, *words)
        assert done.code == 0, done
        assert "to move it to a file, run: tidegate config export" in done.out


def test_an_export_is_the_same_bytes_and_holds_no_secret(tmp_path: Path) -> None:
    with Served(tmp_path, BASE) as gateway:
        add_all(gateway)
        texts = {gateway.run("config", "export").out for _ in range(3)}
        (text,) = texts
        tree = tomllib.loads(text)
        assert sorted(tree) == ["destinations", "routes", "sources"], "settings are the file's alone"
        assert sorted(tree["sources"]) == ["pay", "web"]
        whole = gateway.run("config", "export", "--owner", "all").out
        assert sorted(tomllib.loads(whole)["sources"]) == ["app", "pay", "web"]
        for shown in (text, whole, gateway.run("config", "export", "--json").out, gateway.run("config", "show").out):
            assert "4711" not in shown and "4712" not in shown
        assert "4711" not in "".join(gateway.log) and "4712" not in "".join(gateway.log)
    with gateway:
        assert gateway.run("config", "export").out == text, "after a restart too"


VARIABLES = {"PAY_WEBHOOK_SECRET": "whsec_kept-secret-4711", "TO_MAIL_TOKEN": "token-4712"}


def variables(text: str) -> dict[str, str]:
    """A value for each variable of an export; Slack's address is a secret too where it is written as one."""
    names = {part.partition("}")[0] for part in text.split("${env:")[1:]}
    return {name: VARIABLES.get(name, "https://hooks.slack.com/services/T/B/x") for name in names}


def test_an_export_of_all_makes_the_same_gateway_elsewhere(tmp_path: Path) -> None:
    with Served(tmp_path, BASE) as gateway:
        add_all(gateway)
        text = gateway.run("config", "export", "--owner", "all").out
    (tmp_path / "twin").mkdir()
    with Served(tmp_path / "twin", text, env=variables(text)) as twin:
        assert twin.run("config", "export", "--owner", "all").out == text
        assert twin.run("config", "export").out == "", "all of it is the file's now"


def test_an_export_put_into_the_file_belongs_to_the_file(tmp_path: Path) -> None:
    with Served(tmp_path, BASE) as gateway:
        add_all(gateway)
        text = gateway.run("config", "export").out
    gateway = Served(tmp_path, BASE + text, env=variables(text))
    with gateway:
        shown = gateway.run("config", "export", "--owner", "file", "--json").json
        assert sorted(shown["destinations"]) == ["chat", "mail"] and sorted(shown["sources"]) == ["app", "pay", "web"]
        assert gateway.run("config", "export").out == ""
        gateway.run("add", "source", "web", "publish={}", "--replace").refused("owned_by_file", 1)


def test_an_item_of_the_api_is_taken_over_only_when_it_is_the_same(tmp_path: Path) -> None:
    with Served(tmp_path, BASE) as gateway:
        gateway.run("add", "destination", "mail", "url=https://mail.example.com/x")
        gateway.file.write_text(BASE + '[destinations.mail]\nurl = "https://mail.example.com/other"\n')
        error = gateway.run("config", "apply").refused("owned_twice", 2)
        assert error["path"] == "$.destinations.mail"
        gateway.file.write_text(BASE + '[destinations.mail]\nurl = "https://mail.example.com/x"\n')
        assert changes(gateway, "apply") == [("destination", "mail", "taken over")]
        assert changes(gateway, "apply") == []
        gateway.file.write_text(BASE)
        assert changes(gateway, "apply") == [("destination", "mail", "paused")]


def test_the_file_s_items_are_read_only_elsewhere_and_replace_is_asked_for(tmp_path: Path) -> None:
    with Served(tmp_path, BASE) as gateway:
        gateway.run("add", "source", "app", "form={}", "--replace").refused("owned_by_file", 1)
        first = ("add", "source", "web", "form.event_type=a")
        assert gateway.run(*first).code == 0
        gateway.run(*first).refused("exists", 1)
        replaced = gateway.run("add", "source", "web", "form.event_type=b", "--replace", "--json").json
        assert replaced["form"]["event_type"] == "b"
        assert json.loads(gateway.run("config", "show", "--json").out)["sources"]["web"] == {
            "form": {"event_type": "b"}
        }
