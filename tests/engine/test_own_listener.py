"""A gateway that listens on a name blocks its own address like one that listens on an address."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidegate.core.errors import Blocked
from tidegate.process.gateway import ServeOptions, open_gateway

TOML = '[egress]\nallow = ["127.0.0.0/8", "::1/128"]\n'


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "0.0.0.0"])
async def test_its_own_port_is_blocked_and_other_ports_are_checked_without_an_error(tmp_path: Path, host: str) -> None:
    file = tmp_path / "tidegate.toml"
    file.write_text(TOML)

    options = ServeOptions(config=file, data=tmp_path / "data", host=host, port=8420, ingest_port=8421)
    gateway = await open_gateway(options, {})
    await gateway.start()
    try:
        for port in (8420, 8421):
            for name in ("127.0.0.1", "localhost"):
                with pytest.raises(Blocked, match="own_listener"):
                    await gateway.dialer.resolve(name, port)
        assert "127.0.0.1" in await gateway.dialer.resolve("localhost", 8422)
    finally:
        await gateway.stop()
