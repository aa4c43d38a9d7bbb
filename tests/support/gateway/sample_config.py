"""A configuration that uses every part which the contract promises and this release has, and how a wrong one reads."""

from __future__ import annotations

import pytest

from tidegate.cli.output import error_lines
from tidegate.config.load import load_text
from tidegate.core.errors import ConfigError

ENVIRON = {
    "STRIPE_SECRET": "whsec_stripe_one",
    "SHOP_TOKEN": "shop-token-1",
    "SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T0/B0/xyz",
}

SAMPLE = """\
#:schema ./tidegate.schema.json
[gateway]
public_url = "https://gate.example.com"
[egress]
allow = ["127.0.0.1/32"]
[retention]
events = "30d"

[sources.payments.webhook]
verify = "stripe"
secret = "${env:STRIPE_SECRET}"

[sources.leads.form]
event_type = "lead.submitted"
redirect = "https://www.example.com/thanks"

[sources.crm.publish]

[sources.shop.api]
base_url = "https://shop.example.com/api"
auth = { type = "bearer", token = "${env:SHOP_TOKEN}" }

[sources.shop.resources.orders]
path = "/orders"
item_path = "/orders/{id}"
data_selector = "orders"
primary_key = "id"
version = "updated_at"
paginator = { type = "header_link" }
incremental = { cursor_path = "updated_at", param = "updated_since", lag = "10s" }
poll = "5m"
initial = "snapshot"
deletes = { mode = "scan", every = "1d", confirm = "get" }
cache = "30s"
webhook = { types = ["orders/*"], record = "order", key = "id" }
reconcile = "1h"

[destinations.crm]
url = "https://crm.example.com/hooks"
secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
headers = { "X-Team" = "sales" }
timeout = "15s"
concurrency = 8
rate = "50/s"
retry = ["5s", "5m", "30m", "2h", "5h", "10h", "10h"]
ordered_by = "data.customer.id"
body = "auto"
start = "end"

[destinations.sales-channel]
type = "slack"
url = "${env:SLACK_WEBHOOK_URL}"
text = "New sale: {{ data.object.customer }} for {{ data.object.amount }}"

[routes.big-sales]
from = "payments"
to = ["crm", "sales-channel"]
types = ["charge.succeeded"]
filter = { data = { object = { amount = { "$gte" = 10000 } } } }
transform = { pick = ["data.object.id", "data.object.amount", "data.object.customer"] }

[routes.order-changes]
from = "shop"
to = "crm"
changes = ["orders"]
"""

# Beginnings of small ones.
MINIMAL = '[sources.app.publish]\n[destinations.crm]\nurl = "https://crm.example.com/hooks"\n'
API = '[sources.s.api]\nbase_url = "https://s.example.com"\n'
RESOURCE = API + '[sources.s.resources.o]\npath = "/o"\n'
DESTINATION = '[destinations.c]\nurl = "https://c.example.com"\n'
CHAT = '[destinations.c]\ntype = "slack"\nurl = "https://hooks.slack.com/x"\n'


def rejections(text: str, environ: dict[str, str] | None = None) -> list[str]:
    """The lines a user would see, without the hints' lines glued on."""
    with pytest.raises(ConfigError) as caught:
        load_text(text, "t.toml", environ or {})
    found = getattr(caught.value, "problems", (caught.value,))
    return [line for error in found for line in error_lines(error).split("\n")]
