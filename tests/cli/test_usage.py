"""The command line before any gateway runs: help, wrong usage, commands that are not built, invalid files.

Every call is a process of its own with an empty environment.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from support.cli.command import COMMAND, Done, tidegate
from support.gateway.sample_config import ENVIRON, SAMPLE
from tidegate import __version__
from tidegate.cli import COMMANDS


def read(done: Done) -> str:
    assert done.code == 0 and done.err == "", done
    return done.out


# -- help ------------------------------------------------------------------------------------------------


def test_help_names_every_command_and_the_version_is_printed(tmp_path: Path) -> None:
    text = read(tidegate(tmp_path, "--help"))
    assert [name for name in COMMANDS if not re.search(rf"^  {name} ", text, re.MULTILINE)] == []
    assert read(tidegate(tmp_path, "--version")) == f"tidegate {__version__}\n"


def test_no_command_at_all_shows_the_help_and_is_wrong_usage(tmp_path: Path) -> None:
    done = tidegate(tmp_path)
    assert done.code == 2 and done.out == ""
    assert done.err.startswith("Usage: tidegate [OPTIONS] COMMAND ...") and "error[" not in done.err


@pytest.mark.parametrize("words", ["serve", "config apply", "keys create", "replay", "listen", "add source"])
def test_every_command_explains_itself_without_a_gateway(tmp_path: Path, words: str) -> None:
    text = read(tidegate(tmp_path, *words.split(), "--help"))
    assert text.startswith(f"Usage: tidegate {words} [OPTIONS]")


@pytest.mark.parametrize("words", ["", "add", "config", "db", "keys"])
def test_a_list_of_commands_has_each_line_in_full(tmp_path: Path, words: str) -> None:
    text = read(tidegate(tmp_path, *words.split(), "--help"))
    assert "COMMAND ..." in text and "Commands:" in text
    assert not re.search(r"\w\.\.\.$", text, re.M), "cut short"


@pytest.mark.parametrize("key", ["two words", "zo\u00eb", "from-a-file\n"])
def test_an_admin_key_that_cannot_be_sent_is_rejected(tmp_path: Path, key: str) -> None:
    error = tidegate(tmp_path, "serve", "--port", "0", env={"TIDEGATE_ADMIN_KEY": key}).refused("usage", 2)
    assert key.strip() not in error["what"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["admin", "R7#kq" * 4 + "xyz"])
def test_an_admin_key_below_24_characters_is_refused_before_anything_is_made(tmp_path: Path, key: str) -> None:
    error = tidegate(tmp_path, "serve", "--port", "0", env={"TIDEGATE_ADMIN_KEY": key}).refused("key_too_short", 2)
    assert key not in error["what"] and f"has {len(key)} characters" in error["what"]
    assert list(tmp_path.iterdir()) == []


def test_help_is_fast(tmp_path: Path) -> None:
    """Below 0.3 s on a quiet machine (40 ms were seen); the bound leaves room for one that is five times slower."""
    took = []
    for _ in range(5):
        began = time.monotonic()
        tidegate(tmp_path, "--help")
        took.append(time.monotonic() - began)
    assert statistics.median(took) < 1.5, took


# -- wrong usage -----------------------------------------------------------------------------------------

WRONG: Mapping[str, str] = {
    "frob": "there is no command 'frob'; write one of: add, advise, ",
    "evnts": "there is no command 'evnts'; did you mean 'events'?",
    "config": "'tidegate config' needs a command: apply, diff, export, schema, show",
    "config aply": "there is no command 'aply'; did you mean 'apply'?",
    "add": "'tidegate add' needs a command: destination, resource, route, source",
    "add source": "Missing argument 'NAME'.",
    "add source shop": "'shop' is not a provider (list them: tidegate providers list), and there is no KEY=VALUE",
    "add route shop": "Missing argument 'KEY=VALUE...'.",
    "add route r from=a to": "'to' is not KEY=VALUE (example: tidegate add route sales from=payments to=crm",
    "add route r from=a from=b": "'from' is given twice",
    "serve --port x": "Invalid value for '--port': 'x' is not a port (allowed: 0 to 65535)",
    "serve --port 65536": "Invalid value for '--port': '65536' is not a port (allowed: 0 to 65535)",
    "serve --frob": "No such option '--frob'.",
    "events --since yesterday": "'yesterday' is not a time (examples: 2026-11-24T12:00:00Z, 2h)",
    "events --origin post": "'post' is not one of 'webhook', 'form', 'publish', 'poll', 'reconcile', 'pull', ",
    "events --limit 0": "0 is not in the range 1<=x<=500.",
    "pull shop": "'shop' is not SOURCE/RESOURCE (example: shop/orders)",
    "pull shop/orders -p x": "'x' is not NAME=VALUE",
    "replay": "select what to replay (--source, --destination, --since, ...), or use --all",
    "replay dlv_1 --dry-run": "a delivery ID cannot be combined with other options",
    "replay --all --source a": "--all cannot be combined with other options",
    "replay --state lost": "'lost' is not one of 'delivered', 'pending', 'exhausted', 'canceled'.",
    "keys create robot": "Missing option '--scope'. Choose from: read, ack, publish, pull, call, write, admin",
    "keys create robot --scope read --expires-in soon": "'soon' is not a duration (examples: 100ms, 5s, 5m, 2h, 1d)",
    "pull shop/orders --max-age new": "'new' is not a duration (examples: 100ms, 5s, 5m, 2h, 1d)",
    "keys create robot --scope all": "'all' is not one of 'read', 'ack', 'publish', 'pull', 'call', 'write', 'admin'.",
    "listen": "Missing argument 'PORT_OR_URL'.",
    "listen 3000": "Missing option '--source'.",
    "listen ftp://x --source a": "'ftp://x' is not a port or an address",
    "trigger app order.made -d {": "'{' is not JSON: ",
    "trigger app order.made -d @none.json": "'none.json' cannot be read: no such file or directory",
}


@pytest.mark.parametrize("words", WRONG)
def test_wrong_usage_is_one_line_with_the_help_to_call(tmp_path: Path, words: str) -> None:
    error = tidegate(tmp_path, *words.split()).refused("usage", 2)
    assert WRONG[words] in error["what"]
    assert error["hint"].startswith("tidegate") and error["hint"].endswith(" --help")


# -- which gateway ---------------------------------------------------------------------------------------

CALLING = (
    "events", "tail", "explain evt_1", "replay --all", "trigger app t", "pull s/r", "poll s/r", "records s/r",
    "advise", "keys", "keys create a --scope read", "keys delete a", "keys login", "backup b.db", "config apply",
    "config export", "config show", "add source a publish={}",
)  # fmt: skip


@pytest.mark.parametrize("words", CALLING)
def test_without_a_gateway_a_command_says_how_to_start_one(tmp_path: Path, words: str) -> None:
    error = tidegate(tmp_path, *words.split()).refused("gateway_unreachable", 1)
    assert error["what"] == "no gateway runs on tidegate-data: there is no tidegate-data/local.json"
    assert error["hint"].startswith("start it with: tidegate serve --config tidegate.toml")


def test_doctor_without_a_gateway_shows_local_facts(tmp_path: Path) -> None:
    done = tidegate(tmp_path, "doctor", "--json")
    assert done.code == 1 and done.errors[0]["code"] == "gateway_unreachable"
    shown = json.loads(done.out)
    assert shown["tidegate"] == __version__ and shown["data_exists"] is False and shown["free_bytes"] > 0


ADDRESSES: Mapping[str, tuple[dict[str, str], str, int]] = {
    "no key": ({"TIDEGATE_URL": "http://127.0.0.1:1"}, "usage", 2),
    "no address": ({"TIDEGATE_KEY": "tg_x"}, "usage", 2),
    "no http": ({"TIDEGATE_URL": "gate.example", "TIDEGATE_KEY": "tg_x"}, "usage", 2),
    "no such port": ({"TIDEGATE_URL": "http://127.0.0.1:99999", "TIDEGATE_KEY": "tg_x"}, "usage", 2),
    "no text": ({"TIDEGATE_URL": "http://127.0.0.1:1", "TIDEGATE_KEY": "tg\nx"}, "usage", 2),
    "nobody": ({"TIDEGATE_URL": "http://127.0.0.1:1", "TIDEGATE_KEY": "tg_x"}, "gateway_unreachable", 1),
}


@pytest.mark.parametrize("case", ADDRESSES)
def test_an_address_that_cannot_be_is_refused(tmp_path: Path, case: str) -> None:
    env, code, exit_code = ADDRESSES[case]
    tidegate(tmp_path, "events", env=env).refused(code, exit_code)


def test_a_local_file_that_is_broken_says_so(tmp_path: Path) -> None:
    (tmp_path / "tidegate-data").mkdir()
    (tmp_path / "tidegate-data" / "local.json").write_text("{")
    tidegate(tmp_path, "events").refused("local_file_broken", 1)


# -- files -----------------------------------------------------------------------------------------------

REFUSED: Mapping[str, tuple[str, str, str, str, str]] = {
    "broken TOML": ("[egress\n", "config_invalid", "$", "gate.toml:1", "the file is not valid TOML: "),
    "a table twice": ("[gateway]\n[gateway]\n", "config_invalid", "$", "gate.toml:2", "twice"),
    "no UTF-8": ("\n# \udcff\n", "config_invalid", "$", "gate.toml:2", "byte 0xff is not UTF-8"),
    "unknown key": ("[gatway]\n", "config_invalid", "$.gatway", "gate.toml:1", "unknown key 'gatway'"),
    "wrong type": (
        "[destinations.crm]\nurl = 5\n", "config_invalid", "$.destinations.crm.url", "gate.toml:2",
        "expected a string, found an integer 5",
    ),
    "unset variable": (
        '[destinations.crm]\n\nurl = "${env:CRM_URL}"\n', "config_invalid", "$.destinations.crm.url", "gate.toml:3",
        "the environment variable CRM_URL is not set",
    ),
    "unknown name": (
        '[sources.app.publish]\n[destinations.crm]\nurl = "https://crm.example.com"\n[routes.a]\nfrom = "app"\n'
        'to = "crn"\n', "config_invalid", "$.routes.a.to", "gate.toml:6", "'crn'",
    ),
    "not built": ('[destinations.a]\ntype = "kafka"\n', "not_built", "$.destinations.a.type", "gate.toml:2", "'kafka'"),
    "credentials in a URL": (
        '[destinations.crm]\nurl = "https://ann:pw-7391@crm.example.com"\n', "url_invalid", "$.destinations.crm.url",
        "gate.toml:2", "the URL has a user or password",
    ),
}  # fmt: skip


@pytest.mark.parametrize("command", ["check gate.toml", "serve --port 0 --config gate.toml", "config diff gate.toml"])
@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_is_not_right_is_refused_at_its_line(tmp_path: Path, case: str, command: str) -> None:
    text, code, path, where, words = REFUSED[case]
    (tmp_path / "gate.toml").write_bytes(text.encode(errors="surrogateescape"))
    done = tidegate(tmp_path, *command.split())
    error = done.refused(code, 2)
    assert (error["path"], error["where"]) == (path, where)
    assert words in error["what"]
    assert "pw-7391" not in done.err, "a secret is never shown"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["gate.toml"], "nothing was made"


def test_everything_that_is_wrong_is_named_at_once_by_line(tmp_path: Path) -> None:
    (tmp_path / "tidegate.toml").write_text(
        '[egress]\nalow = []\n[destinations.crm]\nurl = "${env:NO}"\nrate = "fast"\n'
    )
    done = tidegate(tmp_path, "check")
    assert done.code == 2 and done.out == ""
    assert [one["where"] for one in done.errors] == [f"tidegate.toml:{line}" for line in (2, 4, 5)]
    shown = tidegate(tmp_path, "check", "--json")
    assert (shown.code, shown.err) == (2, "")
    answer = json.loads(shown.out)
    assert answer["ok"] is False
    assert [one["where"] for one in answer["errors"]] == [one["where"] for one in done.errors]


@pytest.mark.parametrize(
    "words", ["check none.toml", "check .", "serve --port 0 --config none.toml", "serve --port 0 --config ."]
)
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, words: str) -> None:
    tidegate(tmp_path, *words.split()).refused("config_unreadable", 2)
    assert list(tmp_path.iterdir()) == []


def test_a_data_directory_that_cannot_be_used_is_refused_with_another_way(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file\n")
    error = tidegate(tmp_path, "serve", "--port", "0", "--data", "taken/data").refused("store_unavailable", 1)
    assert error["what"] == "the data directory taken/data cannot be used: not a directory"
    assert error["hint"] == "use a directory that this user can write to: --data DIR"


def test_init_writes_a_file_that_check_takes_and_never_over_another(tmp_path: Path) -> None:
    assert "next: tidegate serve --config tidegate.toml" in read(tidegate(tmp_path, "init"))
    assert read(tidegate(tmp_path, "check")) == "tidegate.toml is valid: 1 source, 0 destinations, 0 routes\n"
    assert json.loads((tmp_path / "tidegate.schema.json").read_text())["properties"]["sources"]
    (tmp_path / "tidegate.toml").write_text("# mine\n")
    tidegate(tmp_path, "init").refused("exists", 1)
    assert (tmp_path / "tidegate.toml").read_text() == "# mine\n"
    read(tidegate(tmp_path, "init", "--force"))
    assert (tmp_path / "tidegate.toml").read_text() != "# mine\n"
    written = tidegate(tmp_path, "init", "other/place", "--json").json["files"]
    assert written == ["other/place/tidegate.toml", "other/place/tidegate.schema.json"]
    assert all((tmp_path / file).exists() for file in written)


def test_check_counts_what_the_sample_has(tmp_path: Path) -> None:
    (tmp_path / "tidegate.toml").write_text(SAMPLE)
    shown = tidegate(tmp_path, "check", "tidegate.toml", "--json", env=ENVIRON).json
    assert [line.partition(" - at ")[0] for line in shown.pop("warnings")] == [
        "no webhook arrives yet, because the source has none; add [sources.NAME.webhook]"
    ]
    assert shown == {"ok": True, "sources": 4, "destinations": 2, "routes": 2}


def test_the_schema_is_printed_and_written_the_same(tmp_path: Path) -> None:
    printed = read(tidegate(tmp_path, "config", "schema"))
    read(tidegate(tmp_path, "config", "schema", "--output", "s.json"))
    assert (tmp_path / "s.json").read_text() == printed
    assert read(tidegate(tmp_path, "config", "schema", "--json")) == printed
    assert tidegate(tmp_path, "config", "schema", "--output", "s.json", "--json").json == {"files": ["s.json"]}
    error = tidegate(tmp_path, "config", "schema", "--output", "none/s.json").refused("io_failed", 1)
    assert error["what"] == "cannot read or write: none/s.json: no such file or directory"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_output_that_cannot_be_written_is_an_error_and_not_a_traceback(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([*COMMAND, "config", "schema"], stdout=full, stderr=subprocess.PIPE, check=False)
    shown = Done(done.returncode, "", done.stderr.decode())
    assert shown.refused("io_failed", 1)["what"] == "cannot read or write: no space left on device"


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("db migrate --from somewhere --to postgresql://x/y", "--from: its value"),
        ("db migrate --from sqlite:nowhere --to postgresql://x/y", "nowhere"),
        ("db migrate --from sqlite:. --to mysql://x/y", "PostgreSQL"),
        ("serve --port 0 --database mysql://x:hush@y/z", "--database: mysql:..."),
    ],
)
def test_stores_that_are_none_are_refused(tmp_path: Path, words: str, shown: str) -> None:
    done = tidegate(tmp_path, *words.split())
    assert done.code == 2 and shown in done.err and "hint: " in done.err
    assert "hush" not in done.err
