"""`tidegate providers` and `tidegate add source PROVIDER`: what is shown, asked, tried and written."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jsonschema_rs
import pytest
from click.testing import CliRunner, Result

from tidegate.cli import add_provider
from tidegate.cli.add import add
from tidegate.cli.providers import providers
from tidegate.config.load import load_file
from tidegate.config.schema_provider import provider_schema
from tidegate.core.errors import ConfigError, UpstreamError
from tidegate.providers import provider_data, provider_names, register, shipped_file

FILE = """
title = "Clocks"

[webhook]
secret_help = "The signing secret."
type = [{ path = "kind" }]
[[webhook.schemes]]
header = "x-clock"
[[webhook.samples]]
type = "card.made"
body = '{"kind":"card.made"}'

[api]
docs = "https://clocks.example/docs"
base_url = "http://{with.host}/api"
unconfirmed = ["the limits"]
[api.with]
host = { help = "Host and port.", pattern = "[a-z0-9.:]{1,80}", example = "127.0.0.1:8000" }
shelf = { help = "The shelf.", example = "s1", default = "s0" }
[api.auth.bearer]
help = "A key of the account."
link = "https://clocks.example/keys"
[api.auth.bearer.fields.token]
help = "The key."
pattern = "clk_[a-z0-9]{4,}"
example = "clk_0000"

[resources.cards]
description = "Cards."
path = "/shelves/{with.shelf}/cards"
data_selector = "cards"
deletes = { mode = "feed", resource = "lost" }
[resources.lost]
description = "Lost cards."
path = "/lost"
data_selector = "cards"
[operations.add_card]
description = "Adds a card."
path = "/shelves/{with.shelf}/cards"
json = { title = "{{ data.title }}" }
"""
TOKEN = "clk_s3cr3t"


@pytest.fixture
def host() -> Iterator[str]:
    """An API with five cards, for requests with the token."""

    class Clocks(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            allowed = self.headers.get("authorization") == f"Bearer {TOKEN}"
            cards = [{"id": number, "title": f"card {number}"} for number in range(5)]
            body = json.dumps({"cards": cards} if allowed else {"message": "who are you?"}).encode()
            self.send_response(200 if allowed else 401)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Clocks)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def config(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "clocks.toml").write_text(FILE)
    file = tmp_path / "tidegate.toml"
    file.write_text('[gateway]\nproviders = "own"\n[egress]\nallow = ["127.0.0.1/32"]\n')
    yield file
    register({})


def added(config: Path, *words: str, answers: str = "") -> Result:
    return CliRunner().invoke(add, ["source", "clocks", "--file", str(config), *words], input=answers)


def test_a_source_is_asked_for_tried_and_written(config: Path, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(add_provider, "at_a_terminal", lambda: True)
    wrong_first = f"card\ncards\nadd_card\nnope\nn\n{TOKEN}\n{host}\n\n"
    done = added(config, "--poll", "1m", answers=wrong_first)
    assert done.exit_code == 0, (done.output, done.exception)
    assert "https://clocks.example/keys" in done.output and "that does not look like one" in done.output
    assert "clocks has no resource 'card'" in done.output, "it is asked again"
    assert '{"id": 2, "title": "card 2"}' in done.output or '{"id":2,"title":"card 2"}' in done.output
    assert "card 3" not in done.output, "three records"
    assert TOKEN not in done.output and TOKEN not in config.read_text()
    source = load_file(config, {"CLOCKS_TOKEN": TOKEN}).config.sources["clocks"]
    assert source.api is not None and source.api.base_url == f"http://{host}/api"
    assert [(name, one.poll) for name, one in source.resources.items()] == [("cards", "1m"), ("lost", "1m")]
    assert source.operations["add_card"].path == "/shelves/s0/cards"
    again = added(config, answers="")  # before any question
    assert "cards, lost" not in again.output
    assert "has [sources.clocks] already" in str(again.exception)


def test_nothing_is_written_when_the_trial_fails(config: Path, host: str) -> None:
    before = config.read_text()
    done = added(config, "--yes", "--set", "token=clk_other", "--set", f"host={host}")
    assert isinstance(done.exception, UpstreamError) and "nothing was written" in done.exception.message
    assert "answered 401" in done.output and config.read_text() == before
    assert "https://clocks.example/keys" in done.exception.hint


def test_rows_that_cannot_be_read_fail_the_trial_and_are_shown(config: Path, host: str) -> None:
    """An answer with rows and no key: the resource can never have a record."""
    own = config.parent / "own" / "clocks.toml"
    own.write_text(FILE.replace('description = "Cards."', 'description = "Cards."\nprimary_key = "number"'))
    before = config.read_text()
    done = added(config, "--yes", "--set", f"token={TOKEN}", "--set", f"host={host}")
    assert isinstance(done.exception, UpstreamError) and config.read_text() == before
    assert "no key at 'number'" in done.output and '"title": "card 0"' in done.output


def test_the_choices_of_a_question_are_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(add_provider, "at_a_terminal", lambda: True)
    file = ["--file", str(tmp_path / "tidegate.toml"), "--no-try"]
    done = CliRunner().invoke(add, ["source", "github", *file], input=f"\n\n\ngithub_pat_{'a' * 30}\nacme\nshop\n")
    assert done.exit_code == 0 and done.output.count("bearer, github_app") == 1, done.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "--set token=... (The key.); --set host="),
        (
            ("--set", "token=abc", "--set", "host=h"),
            "the value of 'token' does not fit clk_[a-z0-9]{4,} (The key.; example: clk_0000)",
        ),
        (
            ("--set", f"token={TOKEN}", "--set", "host=h", "--set", "hots=h"),
            "'hots' is not a value that clocks asks for",
        ),
        (("--set", "token=env:NOT_SET"), "NOT_SET is not set"),
        (("--resource", "card"), "clocks has no resource 'card'; it has: cards, lost"),
        (("--auth", "digest"), "clocks has no kind of credential 'digest'"),
    ],
)
def test_without_a_terminal_what_is_missing_or_wrong_is_an_error(
    config: Path, words: tuple[str, ...], message: str
) -> None:
    before = config.read_text()
    done = added(config, "--no-try", *words)
    assert done.exit_code != 0 and message in done.output + str(done.exception)
    assert "abc" not in done.output and config.read_text() == before


def test_a_provider_file_is_tested_with_its_samples_and_one_page(config: Path, host: str) -> None:
    file = config.parent / "own" / "clocks.toml"
    run = CliRunner().invoke
    done = run(providers, ["test", str(file)])
    assert done.exit_code == 0 and "is valid" in done.output and "can receive, poll, call" in done.output
    live = ["test", str(file), "--set", f"token={TOKEN}", "--set", f"host={host}", "--allow", "127.0.0.1/32"]
    done = run(providers, live)
    assert done.exit_code == 0, (done.output, done.exception)
    assert "try/cards: 5 rows" in done.output and TOKEN not in done.output
    wrong = [*live[:3], "token=clk_wrong", *live[4:]]
    assert run(providers, wrong, standalone_mode=False).return_value == 1
    file.write_text(FILE.replace('"kind"', '"knid"').replace('"/lost"', '"lost"'))
    done = run(providers, ["test", str(file)])
    assert f"{file}:35" in done.output and "is not a path below base_url" in done.output
    file.write_text(FILE.replace('"kind" }', '"knid" }'))
    done = run(providers, ["test", str(file)])
    assert f"{file}:9" in done.output and "the sample 'card.made'" in done.output


@pytest.mark.parametrize(
    ("old", "new", "code", "words"),
    [
        ("", "", 0, "is valid"),
        (
            'path = "data.id"',
            'path = "data.uid"',
            0,
            "note: no sample has a value for key (data.uid): correct the place",
        ),
        ('data_path = "data"', 'data_path = "date"', 0, "note: no sample has anything at data_path = 'date'"),
        ("key = [", "keyy = [", 2, "unknown key 'keyy' - at $.webhook.keyy"),
        ("key = [", "keyy = [", 2, "did you mean 'key'?"),
        ("title =", "titel =", 2, "did you mean 'title'?"),
        ('header = "x-signature"', 'header = "x-signature"\nencoding = "base32"', 2, "did you mean 'base64'?"),
        ("key = [{ path", "key = [{ header = 'x', path", 2, "a place is one of header, query, path, constant"),
    ],
)
def test_what_is_wrong_with_the_webhook_half_is_named_with_its_line(
    tmp_path: Path, old: str, new: str, code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "other.toml"
    file.write_text(shipped_file("lemon-squeezy").read_text("utf-8").replace(old, new), "utf-8")
    returned = CliRunner().invoke(providers, ["test", str(file)], standalone_mode=False)
    shown = returned.output + capsys.readouterr().err
    assert words in shown, shown
    assert (returned.return_value or 0) == code
    assert code == 0 or f"{file}:" in shown


def test_list_and_show_name_what_was_confirmed(config: Path) -> None:
    run = CliRunner().invoke
    listed = run(providers, ["list", "clocks", "--config", str(config)]).output
    assert "receive, poll, call" in listed and "cards lost" in listed
    assert "no provider has 'zzz'" in run(providers, ["list", "zzz", "--config", str(config)]).output
    shown = run(providers, ["show", "clocks", "--config", str(config)]).output
    for words in ("limits:", "pages: single page", "deletes: the list lost", "not confirmed: the limits",
                  "tested with: nothing", "needs: lost", "The key."):  # fmt: skip
        assert words in shown, words
    assert json.loads(run(providers, ["show", "github", "--json"]).output)["can"] == ["receive", "poll", "call"]
    with pytest.raises(ConfigError, match="unknown provider 'nope'"):
        run(providers, ["show", "nope"], catch_exceptions=False)


def test_every_file_that_ships_can_be_listed_and_fits_the_schema() -> None:
    found = json.loads(CliRunner().invoke(providers, ["list", "--json"]).output)
    assert len(found) == len(provider_names())
    validator = jsonschema_rs.Draft202012Validator(provider_schema())
    wrong = {name: [one.message for one in validator.iter_errors(provider_data(name))][:2] for name in provider_names()}
    assert {name: errors for name, errors in wrong.items() if errors} == {}
    assert list(validator.iter_errors({"api": {"base_ulr": "x"}}))


def test_a_file_that_ships_is_tested_in_its_place_and_a_copy_may_not_take_its_name(tmp_path: Path) -> None:
    shipped = shipped_file("stripe")
    done = CliRunner().invoke(providers, ["test", str(shipped)])
    assert (done.exit_code, "is valid" in done.output) == (0, True), done.output
    copy = tmp_path / "stripe.toml"
    copy.write_text(shipped.read_text("utf-8"), "utf-8")
    with pytest.raises(ConfigError, match="ships with Tidegate"):
        CliRunner().invoke(providers, ["test", str(copy)], catch_exceptions=False)


def test_show_says_how_the_facts_of_webhooks_were_confirmed() -> None:
    shown = CliRunner().invoke(providers, ["show", "plivo-v2"]).output
    assert "signature: a package that verifies or makes its webhooks agrees in the tests" in shown
    assert "answer, retries and set-up: not looked up" in shown
    assert "source: plivo/plivo-python plivo/utils/__init__.py 4.63.0" in shown
    assert "not confirmed: whether messages have version 3 as well" in shown


def test_a_credential_of_a_new_form_is_tried_and_a_wrong_address_is_not(config: Path, host: str) -> None:
    before = config.read_text()
    done = added(config, "--yes", "--set", "token=key_of_a_new_form", "--set", f"host={host}")
    assert isinstance(done.exception, UpstreamError), "the API was asked"
    assert "does not fit clk_[a-z0-9]{4,} (The key.; example: clk_0000); it is tried anyway" in done.output
    done = added(config, "--yes", "--set", f"token={TOKEN}", "--set", "host=a b")
    assert done.exit_code != 0 and "the value of 'host' does not fit" in done.output + str(done.exception)
    assert config.read_text() == before


def test_a_private_network_that_was_allowed_for_the_trial_is_named_for_the_file(config: Path, host: str) -> None:
    config.write_text(config.read_text().replace("[egress]", "[egress_of_others]"))
    done = added(config, "--yes", "--set", f"token={TOKEN}", "--set", f"host={host}")
    assert "add --allow 127.0.0.1/32" in str(getattr(done.exception, "hint", ""))
    done = added(config, "--yes", "--set", f"token={TOKEN}", "--set", f"host={host}", "--allow", "127.0.0.1/32")
    assert done.exit_code == 0, done.output
    assert 'allow = ["127.0.0.1/32"]   # put it into [egress]' in done.output
