"""A source of the API takes what its provider file gives, follows the file at a start, and survives its loss."""

from __future__ import annotations

from pathlib import Path

from support.gateway.running import run, running
from tidegate.config.export import decode_source
from tidegate.providers import register

OWN = """
title = "Clocks"
[api]
base_url = "https://clocks.example/api"
[resources.cards]
path = "/cards"
"""


def test_a_source_follows_its_provider_file(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    file = folder / "clocks.toml"
    file.write_text(OWN)
    toml = '[gateway]\nproviders = "own"\n'

    async def main() -> None:
        async with running(tmp_path, toml) as gateway:
            written = {"api": {"provider": "clocks"}, "resources": {"all": {"use": "cards"}}}
            await gateway.editor.put("source", "clock", lambda old: decode_source("clock", written, old))
            assert gateway.active.sources["clock"].spec.resources["all"].path == "/cards"
        file.write_text(OWN.replace('"/cards"', '"/v2/cards"'))
        async with running(tmp_path, toml) as gateway:
            assert gateway.active.sources["clock"].spec.resources["all"].path == "/v2/cards"
        file.write_text(OWN.replace("[resources.cards]", "[resources.clocks]"))
        async with running(tmp_path, toml) as gateway:
            assert gateway.active.sources["clock"].spec.resources["all"].path == "/v2/cards"
            found = [one for one in gateway.findings.listed() if one.code == "config_warning"]
            assert "the provider 'clocks' has no resource 'cards'" in str(found[0].samples)

    try:
        run(main)
    finally:
        register({})
