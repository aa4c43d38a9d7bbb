"""Sources that take their API from a provider file: what is filled in, what the user sees, and what is refused."""

from __future__ import annotations

import msgspec
import pytest

from tidegate.config.diff import diff
from tidegate.config.expand import with_secret
from tidegate.config.export import decode_source, to_json, to_toml
from tidegate.config.load import load_text
from tidegate.config.spec import ExpandedSource, Source
from tidegate.core.errors import ConfigError
from tidegate.providers import register, webhook_names
from tidegate.providers.shape import load_provider, provider_of
from tidegate.runtime.shapes import Stored, raw_of, spec_of

TOKEN = "github_pat_11ABCDEFG0123456789abc"
FILE = f"""
[sources.hub.api]
provider = "github"
auth = {{ type = "bearer", token = "{TOKEN}" }}

[sources.hub.resources.issues]
use = "issues"
with = {{ owner = "acme", repo = "shop" }}
poll = "1m"

[sources.hub.operations.report]
use = "create_issue"
with = {{ owner = "acme", repo = "shop" }}
"""


def load(text: str):
    return load_text(text, "t.toml", {}).config


def hub(text: str = FILE) -> Source:
    return load(text).sources["hub"]


def test_a_resource_and_an_operation_are_taken_by_name():
    source = hub()
    assert source.api.base_url == "https://api.github.com"
    assert source.api.headers["X-GitHub-Api-Version"] == "2022-11-28"
    issues = source.resources["issues"]
    assert issues.path == "/repos/{with.owner}/{with.repo}/issues"
    assert issues.with_ == {"owner": "acme", "repo": "shop"}
    assert (issues.incremental.param, issues.deletes.mode, issues.poll) == ("since", "scan", "1m")
    report = source.operations["report"]
    assert (report.path, report.resource) == ("/repos/acme/shop/issues", "issues")


def test_a_value_that_is_given_is_filled_into_every_key_of_a_resource():
    """The places of a request keep their placeholders, because each is encoded as it needs."""
    keys = 'version = "{with.shelf}.v"\nignore = ["{with.shelf}.at"]\nprimary_key = ["id", "{with.shelf}"]\n'
    with_ = 'with = { owner = "acme", repo = "shop", shelf = "b1" }\n'
    text = FILE.replace('with = { owner = "acme", repo = "shop" }\npoll = "1m"\n', with_ + keys + 'poll = "1m"\n')
    issues = hub(text).resources["issues"]
    assert (issues.version, issues.ignore, issues.primary_key) == ("b1.v", ["b1.at"], ["id", "b1"])
    assert issues.path == "/repos/{with.owner}/{with.repo}/issues"


def test_the_user_may_override_any_key_and_tables_are_merged():
    changed = FILE.replace('poll = "1m"', 'poll = "1m"\nversion = ""\nparams = { state = "open" }\n'
                           'incremental = { lag = "5m" }\ndeletes = { mode = "none" }')  # fmt: skip
    issues = hub(changed).resources["issues"]
    assert issues.version == ""
    assert issues.params == {"state": "open", "sort": "updated", "direction": "asc", "per_page": 100}
    assert (issues.incremental.lag, issues.incremental.cursor_path) == ("5m", "updated_at")
    assert issues.deletes.mode == "none"
    # What equals a default is an override too, and is shown as the user wrote it.
    assert 'deletes = { mode = "none" }' in to_toml(load(changed))
    other = hub(FILE.replace('provider = "github"', 'provider = "github"\nbase_url = "https://git.example.com/api/v3"'))
    assert other.api.base_url == "https://git.example.com/api/v3"


def test_export_diff_and_the_api_have_what_the_user_wrote():
    config = load(FILE)
    exported = to_toml(config)
    assert "updated_at" not in exported and 'use = "issues"' in exported and TOKEN not in exported
    again = load_text(exported, "e.toml", {"HUB_API_AUTH_TOKEN": TOKEN, "HUB_API_TOKEN": TOKEN}).config
    assert again.sources["hub"] == config.sources["hub"]
    assert diff(config, again) == []
    changed = load(FILE.replace('"1m"', '"2m"'))
    assert [one.fields for one in diff(config, changed)] == [("resources.issues.poll",)]
    shown = msgspec.json.decode(to_json(config.sources["hub"]))
    assert shown["api"] == {"provider": "github", "auth": {"type": "bearer", "token": {"set": True}}}
    assert set(shown["resources"]["issues"]) == {"use", "with", "poll"}


def test_a_source_of_the_api_is_expanded_and_keeps_its_secret():
    shown = msgspec.json.decode(to_json(hub()))
    updated = decode_source("hub", shown, hub())
    assert isinstance(updated, ExpandedSource)
    assert updated == hub()
    assert spec_of(Stored(raw_of(updated)), Source) == updated
    plain = decode_source("app", {"publish": {}})
    assert type(spec_of(Stored(raw_of(plain)), Source)) is Source


def test_a_credential_does_not_follow_to_another_provider():
    shown = msgspec.json.decode(to_json(hub()))
    shown["api"]["provider"] = "stripe"
    shown["resources"] = {"customers": {"use": "customers"}}
    shown["operations"] = {}
    with pytest.raises(
        ConfigError, match=r"is for https://api\.github\.com, but the new URL is at https://api\.stripe"
    ):
        decode_source("hub", shown, hub())


def test_what_only_a_poll_or_a_webhook_uses_is_left_out_without_one():
    pulled = hub(FILE.replace('poll = "1m"', ""))
    assert pulled.resources["issues"].incremental is None
    assert pulled.resources["issues"].webhook is None
    fed = hub(FILE + '[sources.hub.webhook]\nverify = "github"\nsecret = "s3cret"\n')
    assert fed.resources["issues"].webhook.types == ["issues"]


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ('provider = "github"', 'provider = "githup"', 3, "unknown provider 'githup'"),
        ('provider = "github"', 'base_url = "https://x.example"', 7, "'use' needs a provider"),
        ('provider = "github"', 'provider = "github-sha1"', 3, "has no API half"),
        ('use = "issues"', 'use = "issue"', 7, "the provider 'github' has no resource 'issue'"),
        ('use = "create_issue"', 'use = "create"', 12, "has no operation 'create'"),
        (', repo = "shop" }\npoll', " }\npoll", 8, "the value 'repo' is missing"),
        ('owner = "acme"', 'owner = "acme/../x"', 8, "'acme/../x' is not such a value"),
        ('owner = "acme"', 'owner = "a{{b"', 8, "is not such a value"),
        ('owner = "acme"', 'owner = "acme", branch = "x"', 8, "'branch' is not a value that is needed here"),
        ('use = "issues"', 'use = "issues"\npaht = "/x"', 8, "unknown key 'paht'"),
    ],
)
def test_a_wrong_use_is_refused_at_the_line_of_the_user(old, new, line, words):
    assert old in FILE
    with pytest.raises(ConfigError) as caught:
        load(FILE.replace(old, new, 1))
    problems = getattr(caught.value, "problems", (caught.value,))
    assert any(one.where == f"t.toml:{line}" and words in one.message for one in problems), [
        f"{one.where} {one.message}" for one in problems
    ]
    assert all("path" not in one.message for one in problems), "no problem may follow from another one"


def test_a_feed_of_deletes_is_found_under_the_name_of_the_user():
    text = """
[sources.crm.api]
provider = "hubspot"
[sources.crm.resources.people]
use = "contacts"
poll = "1m"
[sources.crm.resources.gone]
use = "archived_contacts"
poll = "1h"
"""
    assert load(text).sources["crm"].resources["people"].deletes.resource == "gone"
    with pytest.raises(ConfigError, match="'contacts' needs the resource 'archived_contacts' of hubspot"):
        load(text.replace("archived_contacts", "companies"))


def test_a_value_of_the_base_url_is_not_needed_when_the_user_replaces_the_base_url():
    api = '[sources.wiki.api]\nprovider = "redmine"\nauth = { type = "api_key", api_key = "' + "0a" * 20 + '" }\n'
    with pytest.raises(ConfigError, match="the value 'host' is missing"):
        load(api)
    own = load(api + 'base_url = "http://10.0.0.5/redmine"\n[egress]\nallow = ["10.0.0.5/32"]\n')
    assert own.sources["wiki"].api.base_url == "http://10.0.0.5/redmine"


# -- files of the user -----------------------------------------------------------------------------------

OWN = """
title = "Clocks"
[webhook]
type = [{ path = "kind" }]
[[webhook.schemes]]
header = "x-clock"
[api]
base_url = "https://clocks.example/api"
[resources.cards]
path = "/cards"
"""
USES = """
[gateway]
providers = "own"
[sources.clock.webhook]
verify = "clocks"
secret = "s3cret"
[sources.clock.api]
provider = "clocks"
[sources.clock.resources.cards]
use = "cards"
poll = "1m"
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "clocks.toml").write_text(OWN)
    yield tmp_path / "own"
    register({})


def test_files_of_the_user_have_both_halves(folder):
    source = load_text(USES, "t.toml", {}, folder.parent).config.sources["clock"]
    assert source.api.base_url == "https://clocks.example/api"
    assert provider_of(source.webhook).schemes[0].header == "x-clock"
    assert "clocks" in webhook_names()


def test_a_wrong_file_of_the_user_stops_the_load_at_its_line(folder):
    load_text(USES, "t.toml", {}, folder.parent)
    (folder / "clocks.toml").write_text(OWN.replace('path = "/cards"', 'path = "/cards"\nversoin = "x"'))
    (folder / "github.toml").write_text(OWN)
    with pytest.raises(ConfigError) as caught:
        load_text(USES, "t.toml", {}, folder.parent)
    assert [one.message for one in caught.value.problems] == [
        "unknown key 'versoin'", "a provider 'github' ships with Tidegate"]  # fmt: skip
    assert caught.value.problems[0].where == f"{folder / 'clocks.toml'}:11"
    assert "clocks" in webhook_names()  # what is active still has it
    with pytest.raises(ConfigError, match=r"the folder .* does not exist"):
        load_text(USES.replace('"own"', '"other"'), "t.toml", {}, folder.parent)


def test_an_api_half_alone_verifies_nothing(folder):
    (folder / "clocks.toml").write_text(OWN[OWN.index("[api]") :])
    with pytest.raises(ConfigError, match="unknown provider 'clocks'"):
        load_text(USES, "t.toml", {}, folder.parent)
    with pytest.raises(ConfigError, match="has no webhook half"):
        register({"clocks": OWN[OWN.index("[api]") :]})
        load_provider("clocks")


# -- secrets ---------------------------------------------------------------------------------------------


def test_a_credential_does_not_follow_to_another_subdomain():
    api = {"provider": "zendesk", "with": {"subdomain": "acme"}, "auth": {"type": "bearer", "token": "t" * 40}}
    old = decode_source("tickets", {"api": api})
    assert old.api.base_url.startswith("https://acme.zendesk.com")
    shown = msgspec.json.decode(to_json(old))
    assert decode_source("tickets", shown, old) == old
    shown["api"]["with"] = {"subdomain": "evil"}
    with pytest.raises(ConfigError, match=r"is for https://acme\.zendesk\.com, but the new URL is at https://evil\."):
        decode_source("tickets", shown, old)


def test_a_rotated_secret_is_shown_in_what_the_user_wrote():
    source = hub(FILE + '[sources.hub.webhook]\nverify = "github"\nsecret = "old"\n')
    changed = with_secret(source, "new")
    assert changed.webhook.secret == changed.written["webhook"]["secret"] == "new"
    assert decode_source("hub", msgspec.json.decode(to_json(changed)), changed) == changed
