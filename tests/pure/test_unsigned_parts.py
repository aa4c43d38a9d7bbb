"""Own schemes: what a sender could change without breaking the signature is named when the file is read."""

from __future__ import annotations

import pytest

from tidegate.config.load import load_text

TOML = """
[sources.shop.webhook]
secret = "s3cr3t-s3cr3t"
[sources.shop.webhook.verify]
type = "hmac"
header = "x-signature"
encoding = "hex"
signed = "{SIGNED}"
timestamp_header = "x-time"
"""


@pytest.mark.parametrize(("signed", "warned"), [("{body}", True), ("{timestamp}.{body}", False)])
def test_a_time_outside_the_signature_is_a_warning(signed: str, warned: bool) -> None:
    loaded = load_text(TOML.replace("{SIGNED}", signed), "tidegate.toml", {})
    assert any("the time is not signed" in str(one) for one in loaded.warnings) is warned
