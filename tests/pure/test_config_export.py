"""An export holds no secret, is the same for the same configuration, and reads back as it was."""

from __future__ import annotations

import msgspec

from support.gateway.sample_config import ENVIRON, SAMPLE
from tidegate.auth.api_key import ApiKeyAuth
from tidegate.auth.http_basic import BasicAuth
from tidegate.config.export import export_tree, to_toml
from tidegate.config.load import load_text
from tidegate.config.spec import ApiInput, Config, Source
from tidegate.core.spec import Route, Transform, WebhookInput
from tidegate.kinds.slack import SlackDestination
from tidegate.kinds.webhook import WebhookDestination
from tidegate.rules.sync.spec import Resource

SECRETS = ("hush-1", "hush-2", "hush-3", "hush-4", "hush-5", "hush-6", "hush-7 and more text")
HARD = Config(
    sources={
        "a-b": Source(webhook=WebhookInput(verify="stripe", secret=[SECRETS[0], SECRETS[1]])),
        "a_b": Source(webhook=WebhookInput(verify="stripe", secret=SECRETS[2])),
        "api": Source(
            api=ApiInput(
                base_url="https://x.example.com",
                auth=ApiKeyAuth(name="X-Key", api_key=SECRETS[3]),
                headers={"X-Auth-Token": SECRETS[4], "X-Plain": 'with "quotes"\tand ${env:NOT_A_PLACEHOLDER}'},
            ),
            resources={"r": Resource(path="/r", params={"access_token": SECRETS[5], "page": "1"})},
        ),
    },
    destinations={
        "1st": WebhookDestination(
            url="https://d.example.com", auth=BasicAuth(username="u", password=SECRETS[6]), retry=[]
        ),
        "query": WebhookDestination(url="https://d.example.com/a${x}?key=hush-8&b"),
        "chat": SlackDestination(url="https://hooks.slack.com/services/hush", text="$${x} ${env:Y} {{ type }}"),
    },
    routes={
        "r": Route(
            from_="*",
            to=["1st"],
            changes=["*"],
            filter={"data": {"token": "not a secret", "n": {"$in": [1, 2.5, True, "x"]}}},
            transform=Transform(set={"data.note": "it's \\ fine"}),
        )
    },
)


def test_an_export_reads_back_as_the_same_configuration() -> None:
    for config in (load_text(SAMPLE, "t.toml", ENVIRON).config, HARD):
        variables = export_tree(config)[1]
        assert load_text(to_toml(config), "export.toml", variables).config == config


def test_an_export_holds_no_secret() -> None:
    text = to_toml(HARD)
    assert "hush" not in text
    assert 'url = "https://d.example.com/a$${x}?${env:TO_QUERY_URL_QUERY}"' in text  # where it goes can still be read
    assert to_toml(load_text(SAMPLE, "t.toml", ENVIRON).config).count("shop-token-1") == 0
    assert 'token = "not a secret"' in text  # a filter is not a secret, whatever its keys are called


def test_each_secret_has_a_variable_of_its_own() -> None:
    variables = export_tree(HARD)[1]
    assert list(variables) == [
        "A_B_WEBHOOK_SECRET_1",
        "A_B_WEBHOOK_SECRET_2",
        "A_B_WEBHOOK_SECRET",
        "API_API_API_KEY",
        "API_API_X_AUTH_TOKEN",
        "API_R_ACCESS_TOKEN",
        "TO_1ST_PASSWORD",
        "TO_QUERY_URL_QUERY",
        "TO_CHAT_URL",
    ]


def test_the_same_configuration_gives_the_same_bytes() -> None:
    config = load_text(SAMPLE, "t.toml", ENVIRON).config
    copy = msgspec.convert(msgspec.to_builtins(config), Config)
    assert to_toml(copy) == to_toml(config)
    text = to_toml(config)
    assert to_toml(load_text(text, "x", export_tree(config)[1]).config) == text


def test_a_default_that_was_written_out_is_left_out() -> None:
    assert to_toml(
        Config(destinations={"d": WebhookDestination(url="https://d.example.com", timeout="".join(["15", "s"]))})
    ) == ('[destinations.d]\ntype = "webhook"\nurl = "https://d.example.com"\n')


def test_the_layout_is_the_one_of_the_documentation() -> None:
    text = to_toml(load_text(SAMPLE, "t.toml", ENVIRON).config)
    assert '[sources.payments.webhook]\nverify = "stripe"\nsecret = "${env:PAYMENTS_WEBHOOK_SECRET}"\n' in text
    assert "[sources.crm.publish]\n" in text
    assert 'auth = { type = "bearer", token = "${env:SHOP_API_TOKEN}" }\n' in text
    assert "[sources.shop.resources.orders]\n" in text
