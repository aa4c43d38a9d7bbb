"""What is wrong with a configuration, in the words a user sees: value, path, line and the next step."""

from __future__ import annotations

import pytest

from support.gateway.sample_config import API, CHAT, DESTINATION, MINIMAL, RESOURCE, rejections
from tidegate.config.load import load_text
from tidegate.core.errors import ConfigError, NotBuilt
from tidegate.kinds import KINDS

HAVE_TEXT = sorted(name for name, kind in KINDS.items() if "text" in kind.keys)
# text -> the lines on stderr. Each row is one rule of the contract.
TABLE: list[tuple[str, str, list[str]]] = [
    (
        "an unknown table names the nearest",
        '[retentoin]\nevents = "1d"\n',
        [
            "error[config_invalid]: unknown key 'retentoin' - at $.retentoin (t.toml:1)",
            "hint: did you mean 'retention'?",
        ],
    ),
    (
        "an unknown key deep inside has its own line",
        '[sources.shop.api]\nbase_url = "https://s.example.com"\n\n'
        '[sources.shop.resources.orders]\npath = "/o"\npol = "5m"\n',
        [
            "error[config_invalid]: unknown key 'pol' - at $.sources.shop.resources.orders.pol (t.toml:6)",
            "hint: did you mean 'poll'?",
        ],
    ),
    (
        "a wrong type says what was found",
        '[destinations.crm]\nurl = "https://c.example.com"\nconcurrency = "8"\n',
        [
            "error[config_invalid]: expected an integer, found a string '8'"
            " - at $.destinations.crm.concurrency (t.toml:3)",
            "hint: write a whole number without quotes: concurrency = 8",
        ],
    ),
    (
        "true is not a number",
        '[destinations.crm]\nurl = "https://c.example.com"\nconcurrency = true\n',
        [
            "error[config_invalid]: expected an integer, found a boolean true"
            " - at $.destinations.crm.concurrency (t.toml:3)",
            "hint: write a whole number without quotes: concurrency = 8",
        ],
    ),
    (
        "a number out of range says the range",
        '[destinations.crm]\nurl = "https://c.example.com"\nconcurrency = 0\n',
        [
            "error[config_invalid]: 0 is out of range - at $.destinations.crm.concurrency (t.toml:3)",
            "hint: write a number from 1 up to 1024",
        ],
    ),
    (
        "an option of serve is not a key of the file",
        "[gateway]\nport = 8420\n",
        [
            "error[config_invalid]: unknown key 'port' - at $.gateway.port (t.toml:2)",
            "hint: it is an option of the command: tidegate serve --port 8420",
        ],
    ),
    (
        "a list that was written as a string shows the brackets",
        '[destinations.crm]\nurl = "https://c.example.com"\nretry = "5s"\n',
        [
            "error[config_invalid]: expected a list, found a string '5s' - at $.destinations.crm.retry (t.toml:3)",
            "hint: write it in brackets: retry = [...]",
        ],
    ),
    (
        "a table that is defined twice is named as in the file",
        "[sources.app.publish]\n[sources.app.publish]\n",
        [
            "error[config_invalid]: the file is not valid TOML: the table [sources.app.publish] is defined twice"
            " - at $ (t.toml:2)",
            "hint: merge the two tables, or rename one",
        ],
    ),
    (
        "a string without quotes",
        "[destinations.crm]\nurl = https://c.example.com\n",
        [
            "error[config_invalid]: the file is not valid TOML: this is not a value - at $ (t.toml:2)",
            'hint: write a string in quotes: key = "..."',
        ],
    ),
    (
        "a duration has a unit",
        '[destinations.crm]\nurl = "https://c.example.com"\ntimeout = "15"\n',
        [
            "error[config_invalid]: '15' is not a duration (examples: 100ms, 5s, 5m, 2h, 1d)"
            " - at $.destinations.crm.timeout (t.toml:3)",
            "hint: write it like the examples",
        ],
    ),
    (
        "a duration ends where it ends",
        '[destinations.crm]\nurl = "https://c.example.com"\ntimeout = "15s\\n"\n',
        [
            "error[config_invalid]: '15s\\n' is not a duration (examples: 100ms, 5s, 5m, 2h, 1d)"
            " - at $.destinations.crm.timeout (t.toml:3)",
            "hint: write it like the examples",
        ],
    ),
    (
        "a duration has a sensible range",
        '[destinations.crm]\nurl = "https://c.example.com"\ntimeout = "2d"\n',
        [
            "error[config_invalid]: '2d' is out of range - at $.destinations.crm.timeout (t.toml:3)",
            "hint: write a value from 100ms to 10m",
        ],
    ),
    (
        "a list's entry has its own place",
        '[destinations.crm]\nurl = "https://c.example.com"\nretry = [\n  "5s",\n  "5 minutes",\n]\n',
        [
            "error[config_invalid]: '5 minutes' is not a duration (examples: 100ms, 5s, 5m, 2h, 1d)"
            " - at $.destinations.crm.retry[1] (t.toml:5)",
            "hint: write it like the examples",
        ],
    ),
    (
        "a missing key is named where its table stands",
        '[destinations.crm]\ntimeout = "5s"\n',
        [
            "error[config_invalid]: the key 'url' is missing - at $.destinations.crm (t.toml:1)",
            'hint: add url = "https://..."',
        ],
    ),
    (
        "an unset variable is refused, and near ones are named",
        '[sources.p.webhook]\nverify = "stripe"\nsecret = "${env:STRIPE_SECRTE}"\n',
        [
            "error[config_invalid]: the environment variable STRIPE_SECRTE is not set"
            " - at $.sources.p.webhook.secret (t.toml:3)",
            "hint: did you mean 'STRIPE_SECRET'?",
        ],
    ),
    (
        "an unset variable without a near one says how to set it",
        '[sources.p.webhook]\nverify = "stripe"\nsecret = "${env:OTHER}"\n',
        [
            "error[config_invalid]: the environment variable OTHER is not set"
            " - at $.sources.p.webhook.secret (t.toml:3)",
            "hint: export OTHER=...",
        ],
    ),
    (
        "an unreadable file is refused",
        '[sources.p.webhook]\nverify = "stripe"\nsecret = "${file:nowhere/secret}"\n',
        [
            "error[config_invalid]: the file 'nowhere/secret' cannot be read: No such file or directory"
            " - at $.sources.p.webhook.secret (t.toml:3)",
            "hint: ls -l nowhere/secret",
        ],
    ),
    (
        "another placeholder is refused",
        '[gateway]\npublic_url = "${secret:x}"\n',
        [
            "error[config_invalid]: '${secret:x}' is not ${env:NAME} or ${file:PATH}"
            " - at $.gateway.public_url (t.toml:2)",
            "hint: write $${ for a literal ${",
        ],
    ),
    (
        "a provider that is not there names the nearest",
        '[sources.p.webhook]\nverify = "strip"\nsecret = "x"\n',
        [
            "error[config_invalid]: unknown provider 'strip' - at $.sources.p.webhook.verify (t.toml:2)",
            "hint: did you mean 'stripe'?",
        ],
    ),
    (
        "a secret that is written is not empty",
        '[sources.p.webhook]\nverify = "stripe"\nsecret = "${env:EMPTY}"\n',
        [
            "error[config_invalid]: the secret of verify = 'stripe' is empty"
            " - at $.sources.p.webhook.secret (t.toml:3)",
            "hint: check the variable or file that it comes from",
        ],
    ),
    (
        "an order names a part of the event",
        '[destinations.d]\nurl = "https://d.example.com"\nordered_by = "customer.id"\n',
        [
            "error[config_invalid]: 'customer.id' must start with one of type, source, origin, key, data, body,"
            " context, headers, query, change, test, schema_error - at $.destinations.d.ordered_by (t.toml:3)",
            "hint: paths start at the event; write data.NAME for a field of the payload",
        ],
    ),
    (
        "an order is a path",
        '[destinations.d]\nurl = "https://d.example.com"\nordered_by = "data..id"\n',
        [
            "error[config_invalid]: 'data..id' is not a path such as data.object.id"
            " - at $.destinations.d.ordered_by (t.toml:3)",
            'hint: put a name that holds dots, quotes or blanks in double quotes: labels."app.kubernetes.io/name"',
        ],
    ),
    (
        "a secret that cannot be one is refused and not shown",
        '[sources.p.webhook]\nverify = "standard-webhooks"\nsecret = "whsec_!!!hush"\n',
        [
            "error[config_invalid]: the secret (13 characters) is not valid for verify = 'standard-webhooks'"
            " - at $.sources.p.webhook.secret (t.toml:3)",
            "hint: it is base64 behind whsec_ or a public key in PEM or base64 behind whpk_; copy it again",
        ],
    ),
    (
        "no verification must be written out",
        "[sources.p.webhook]\n",
        [
            "error[config_invalid]: the key 'verify' is missing - at $.sources.p.webhook (t.toml:1)",
            'hint: write verify = "standard-webhooks", another provider, or verify = "none"',
        ],
    ),
    (
        "a signed URL needs the gateway's address",
        '[sources.p.webhook]\nverify = "twilio"\nsecret = "x"\n',
        [
            "error[config_invalid]: 'twilio' signs the URL, but public_url is not set"
            " - at $.sources.p.webhook.verify (t.toml:2)",
            "hint: set public_url in [gateway]",
        ],
    ),
    (
        "a source has a webhook or a form, not both",
        '[sources.p.webhook]\nverify = "none"\n[sources.p.form]\n',
        [
            "error[config_invalid]: the source has both a webhook and a form input - at $.sources.p.form (t.toml:3)",
            "hint: move the form to a source of its own",
        ],
    ),
    (
        "a source has an input",
        '[sources.p]\ndescription = "x"\n',
        [
            "error[config_invalid]: the source has no input - at $.sources.p (t.toml:1)",
            "hint: add [sources.NAME.webhook], .form, .publish, .api or .imap",
        ],
    ),
    (
        "a resource needs something that feeds it",
        '[sources.p.publish]\n[sources.p.resources.orders]\npath = "/orders"\n',
        [
            "error[config_invalid]: the resource has no data: the source has no API and no webhooks"
            " - at $.sources.p.resources.orders (t.toml:2)",
            "hint: add [sources.NAME.api]",
        ],
    ),
    (
        "reconcile heals webhooks only",
        RESOURCE + 'reconcile = "1h"\n',
        [
            "error[config_invalid]: 'reconcile' finds what webhooks missed, but this resource has no webhook"
            " - at $.sources.s.resources.o.reconcile (t.toml:5)",
            "hint: add webhook = { types = [...] }, or use poll",
        ],
    ),
    (
        "deletes are confirmed by asking for one item",
        RESOURCE + 'poll = "1m"\ndeletes = { mode = "scan" }\n',
        [
            "error[config_invalid]: deletes are confirmed by GET, but item_path is not set"
            " - at $.sources.s.resources.o.deletes (t.toml:6)",
            'hint: add item_path, or confirm = "second_scan"',
        ],
    ),
    (
        "an item's path has one placeholder for the key",
        RESOURCE + 'item_path = "/o/{key}"\n',
        [
            "error[config_invalid]: unknown placeholder '{key}' - at $.sources.s.resources.o.item_path (t.toml:5)",
            "hint: known here: {id}; braces that are text are written twice: {{name}}",
        ],
    ),
    (
        "a path cannot climb out of the API",
        '[sources.s.api]\nbase_url = "https://s.example.com/api"\n[sources.s.resources.o]\npath = "/../admin"\n',
        [
            "error[config_invalid]: '/../admin' leads out of base_url - at $.sources.s.resources.o.path (t.toml:4)",
            "hint: remove '..'",
        ],
    ),
    (
        "a route's source exists",
        MINIMAL + '[routes.r]\nfrom = "ap"\nto = "crm"\n',
        ["error[config_invalid]: unknown source 'ap' - at $.routes.r.from (t.toml:5)", "hint: did you mean 'app'?"],
    ),
    (
        "a route's destination exists",
        MINIMAL + '[routes.r]\nfrom = "*"\nto = ["crm", "chat"]\n',
        ["error[config_invalid]: unknown destination 'chat' - at $.routes.r.to (t.toml:6)", "hint: write one of: crm"],
    ),
    (
        "a route's changes are of a resource",
        MINIMAL + '[routes.r]\nfrom = "app"\nto = "crm"\nchanges = ["orders"]\n',
        [
            "error[config_invalid]: unknown resource 'orders' in app - at $.routes.r.changes[0] (t.toml:7)",
            "hint: add [sources.app.resources.orders]",
        ],
    ),
    (
        "a route that could match nothing is refused",
        MINIMAL + '[routes.r]\nfrom = "app"\nto = "crm"\ntypes = []\n',
        [
            "error[config_invalid]: the list 'types' is empty, so nothing matches - at $.routes.r.types (t.toml:7)",
            "hint: remove it, or add an entry",
        ],
    ),
    (
        "a chat that gets events of a source needs a text",
        CHAT + '[sources.s.publish]\n[routes.r]\nfrom = "s"\nto = "c"\n',
        [
            "error[config_invalid]: the destination 'c' gets events of s and has no text - at $.destinations.c.text"
            " (t.toml:1)",
            'hint: write text = "{{ type }} from {{ source }}"',
        ],
    ),
    (
        "the name of the source of system events is reserved",
        "[sources.tidegate.publish]\n",
        [
            "error[config_invalid]: the source name 'tidegate' is reserved for system events - at $.sources.tidegate"
            " (t.toml:1)",
            'hint: give the source another name; a route takes system events with from = "tidegate"',
        ],
    ),
    (
        "system events are not changes",
        CHAT + '[routes.r]\nfrom = "tidegate"\nto = "c"\nchanges = ["x"]\n',
        [
            "error[config_invalid]: system events are never changes - at $.routes.r.changes (t.toml:7)",
            'hint: remove it, or write types = ["destination.*"]',
        ],
    ),
    (
        "a threshold of an alert is out of range",
        '[alerts]\nrepeat_every = "1s"\nmax_per_hour = 5000\nquiet = { shop = "1h" }\n',
        [
            "error[config_invalid]: '1s' is out of range - at $.alerts.repeat_every (t.toml:2)",
            "hint: write a value from 1h to 365d",
            "error[config_invalid]: 5000 is out of range - at $.alerts.max_per_hour (t.toml:3)",
            "hint: write a number up to 1000",
            "error[config_invalid]: unknown source 'shop' - at $.alerts.quiet.shop (t.toml:4)",
            "hint: no source is defined yet",
        ],
    ),
    (
        "a chat signs nothing",
        CHAT + 'text = "x"\nsecret = "0123456789abcdef"\n',
        [
            "error[config_invalid]: 'secret' has no meaning for type = 'slack' - at $.destinations.c.secret (t.toml:5)",
            "hint: leave it out; it is a key of: webhook",
        ],
    ),
    (
        "a webhook has no text",
        DESTINATION + 'text = "x"\n',
        [
            "error[config_invalid]: 'text' has no meaning for type = 'webhook' - at $.destinations.c.text (t.toml:3)",
            f"hint: leave it out; it is a key of: {', '.join(HAVE_TEXT)}",
        ],
    ),
    (
        "a lane begins at the end, the beginning or a time",
        DESTINATION + 'start = "yesterday"\n',
        [
            "error[config_invalid]: 'yesterday' is not 'end', 'beginning' or a time"
            " - at $.destinations.c.start (t.toml:3)",
            'hint: write a time as "2026-11-24T12:00:00Z"',
        ],
    ),
    (
        "our own headers are ours",
        DESTINATION + 'headers = { Webhook-Id = "x" }\n',
        [
            "error[config_invalid]: the header 'Webhook-Id' is set by Tidegate"
            " - at $.destinations.c.headers.Webhook-Id (t.toml:3)",
            "hint: remove it",
        ],
    ),
    (
        "a name fits a path",
        "[sources.Shop.publish]\n",
        [
            'error[config_invalid]: "Shop" is not a valid name - at $.sources.Shop (t.toml:1)',
            "hint: use lower-case letters, digits, '-' and '_': at most 63 characters, and the first one is a letter or"
            " digit",
        ],
    ),
    (
        "text that is not TOML has a line",
        '[gateway]\npublic_url = "https://x\n',
        [
            "error[config_invalid]: the file is not valid TOML: illegal character '\\n' - at $ (t.toml:2)",
            "hint: check this line and the one before it",
        ],
    ),
]


@pytest.mark.parametrize(("text", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_an_error_has_value_path_line_and_next_step(text: str, expected: list[str]) -> None:
    assert rejections(text, {"STRIPE_SECRET": "x", "EMPTY": ""}) == expected


NOT_BUILT = [
    ('[destinations.d]\nurl = "https://d.example.com"\ntype = "kafka"\n', "$.destinations.d.type"),
    (
        RESOURCE + "resolve = {}\n",
        "$.sources.s.resources.o.resolve",
    ),
]


@pytest.mark.parametrize(("text", "path"), NOT_BUILT, ids=[path for _, path in NOT_BUILT])
def test_what_is_not_built_is_refused_by_name(text: str, path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_text(text, "t.toml", {})
    found = getattr(caught.value, "problems", (caught.value,))
    assert (found[0].code, found[0].path) == ("not_built", path)
    assert isinstance(found[0], NotBuilt)


def test_all_errors_are_shown_at_once_by_line() -> None:
    text = '[gatewy]\n[sources.app.publish]\nmax_bdy = "1MiB"\n[destinations.crm]\nurl = 5\nrate = "fast"\n'
    text += '[routes.r]\nfrom = "app"\n'
    lines = rejections(text)
    errors = [line for line in lines if line.startswith("error")]
    assert [line.rsplit("(", 1)[1] for line in errors] == [
        "t.toml:1)",
        "t.toml:3)",
        "t.toml:5)",
        "t.toml:6)",
        "t.toml:7)",
    ]


def test_an_unset_variable_does_not_hide_what_else_is_wrong() -> None:
    lines = rejections('[destinations.crm]\nurl = "${env:NOPE}"\nrate = "${env:NOPE}"\nspeed = 1\n')
    errors = [line.split(" - at ")[0] for line in lines if line.startswith("error")]
    assert errors == [
        "error[config_invalid]: the environment variable NOPE is not set",
        "error[config_invalid]: the environment variable NOPE is not set",
        "error[config_invalid]: unknown key 'speed'",
    ]


def test_an_error_in_a_filter_names_the_filter() -> None:
    text = MINIMAL + '[routes.r]\nfrom = "app"\nto = "crm"\nfilter = { data = { amount = { "$gtee" = 1 } } }\n'
    (line, *_) = rejections(text)
    assert " - at $.routes.r.filter.data.amount" in line
    assert line.endswith("(t.toml:7)")


def test_an_error_in_a_transform_names_its_route() -> None:
    text = MINIMAL + '[routes.r]\nfrom = "app"\nto = "crm"\n[routes.r.transform]\nrename = { nonsense = "data.x" }\n'
    (line, *_) = rejections(text)
    assert " - at $.routes.r.transform.rename (t.toml:8)" in line


def test_a_value_from_the_environment_is_never_shown() -> None:
    text = '[destinations.crm]\nurl = "https://c.example.com"\nrate = "${env:RATE}"\n'
    lines = rejections(text, {"RATE": "hush-hush"})
    assert "'${env:RATE}' is not a rate" in lines[0]
    assert not any("hush" in line for line in lines)


def test_a_wrong_secret_is_never_shown() -> None:
    lines = rejections('[destinations.crm]\nurl = "https://c.example.com"\nsecret = "whsec_ hush ! hush"\n')
    assert "$.destinations.crm.secret (t.toml:3)" in lines[0]
    assert not any("hush" in line for line in lines)
    lines = rejections(API + 'auth = { type = "bearer", token = 12345 }\n')
    assert "12345" not in "".join(lines)


def test_errors_in_names_are_shown_with_the_errors_of_other_items() -> None:
    text = MINIMAL + 'retry = ["1 s"]\n[routes.x]\nfrom = "ap"\nto = ["crm", "crn"]\n'
    errors = [line for line in rejections(text) if line.startswith("error")]
    assert [line.partition("]: ")[2] for line in errors] == [
        "'1 s' is not a duration (examples: 100ms, 5s, 5m, 2h, 1d) - at $.destinations.crm.retry[0] (t.toml:4)",
        "unknown source 'ap' - at $.routes.x.from (t.toml:6)",
        "unknown destination 'crn' - at $.routes.x.to (t.toml:7)",
    ]


@pytest.mark.parametrize(
    "text",
    [
        RESOURCE + 'pole = "5m"\n' + DESTINATION + '[routes.x]\nfrom = "s"\nto = "c"\nchanges = ["o"]\n',
        RESOURCE + 'pole = "5m"\n' + DESTINATION + '[routes.x]\nfrom = "*"\nto = "c"\nchanges = ["o"]\n',
        DESTINATION + 'urll = "x"\n[sources.app.publish]\n[routes.x]\nfrom = "app"\nto = "c"\n',
        '[gateway]\npublic_ur = "https://g.example.com"\n[sources.p.webhook]\nverify = "twilio"\nsecret = "x"\n',
    ],
)
def test_what_only_follows_from_an_error_is_not_an_error_too(text: str) -> None:
    errors = [line for line in rejections(text) if line.startswith("error")]
    assert len(errors) == 1 and "unknown key" in errors[0]
