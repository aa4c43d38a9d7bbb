"""A person signs in at a provider on another site, in a real browser, and comes back."""

from __future__ import annotations

from pathlib import Path

from support.browser.busy_gateway import in_background
from support.browser.chromium import chromium, watched
from support.gateway.api import served
from support.upstream.authorization_server import AuthorizationServer


def test_consent_in_a_real_browser(tmp_path: Path) -> None:
    """The provider is `localhost` and the gateway `127.0.0.1`: two sites, so strict cookies do not come along."""
    complaints: list[str] = []
    with chromium() as browser, in_background(AuthorizationServer()) as (server, _):
        server.asks = True
        elsewhere = f"http://localhost:{server.port}"
        toml = f"""
[credentials.ledger.auth]
type = "oauth2_authorization_code"
authorization_url = "{elsewhere}/authorize"
access_token_url = "{server.url}/token"
client_id = "app"
client_secret = "s3cret"
scopes = ["read"]
"""
        with in_background(served(tmp_path, toml)) as (gate, side), watched(browser, complaints) as context:
            link = side.run(gate.api.post("/keys/login"))["path"]
            page = context.new_page()
            page.goto(f"{gate.api.url}{link}")
            page.click("button:has-text('Open the dashboard')")
            page.goto(f"{gate.api.url}/connect")
            page.click("a:has-text('ledger')")
            assert "Not signed in" in page.inner_text("main")
            assert f"{gate.api.url}/oauth/callback" in page.inner_text("main")
            page.click("a:has-text('Sign in to ledger')")
            page.wait_for_url(f"{elsewhere}/**")
            page.click("a:has-text('Allow')")
            page.wait_for_url(f"{gate.api.url}/oauth/callback**")
            assert page.inner_text("h1") == "Connected"
            page.click("a:has-text('Back to ledger')")
            page.wait_for_url(f"{gate.api.url}/connect/ledger")
            assert "Ready" in page.inner_text("main")  # the session came along again
            assert not [one for one in context.cookies() if one["name"] == "tidegate_oauth"]
    # The provider's page is another program's; only what our own pages did counts.
    assert [one for one in complaints if "localhost" not in one] == []
