"""`tidegate add resource URL`: asks a list once and prints the resource that would read it.

Owns the request and the printed TOML; the proposal itself is `rules/sync/propose.py`. It needs no gateway and changes
nothing. Invariants: credentials of the command line are sent to the origin of the URL alone and are never printed;
private addresses are blocked unless `--allow` names them.
"""

from __future__ import annotations

import asyncio
import re
from urllib.parse import parse_qsl, urlsplit

import click

from tidegate.cli.client import JsonObject
from tidegate.cli.json_text import json_text
from tidegate.cli.options import json_option
from tidegate.core.errors import UpstreamError

SECONDS = 30.0
MAX_BYTES = 16 << 20
_KEY = re.compile(r"key|token|secret|signature|passw|auth", re.IGNORECASE)


@click.command()
@click.argument("url")
@click.option("--header", "-H", "headers", multiple=True, metavar="NAME: VALUE", help="A request header; repeatable.")
@click.option("--allow", multiple=True, metavar="NETWORK", help="A private network that may be asked: 127.0.0.1/32.")
@json_option
def resource(url: str, headers: tuple[str, ...], allow: tuple[str, ...], as_json: bool) -> None:
    """Request the list at URL once and propose a resource for it.

    Prints the resource that reads it, its first records, and what one response cannot show.
    """
    from tidegate.cli.output import print_json
    from tidegate.core.clock import Clock
    from tidegate.rules.inbound.redaction import is_credential
    from tidegate.rules.sync.propose import propose

    sent = dict(_header(one) for one in headers)
    status, answered, body = asyncio.run(_get(url, sent, allow))
    parts = urlsplit(url)
    if not 200 <= status < 300:
        text = " ".join(body[:800].decode("utf-8", "replace").split())[:200]
        raise UpstreamError(
            f"{parts.hostname} answered {status}: {text}",
            upstream_status=status,
            hint='pass the credentials: --header "Authorization: Bearer TOKEN"' if status in (401, 403) else None,
        )
    params = dict(parse_qsl(parts.query, keep_blank_values=True))
    keys = [name for name in params if is_credential(name.lower()) or _KEY.search(name)]
    params = {name: value for name, value in params.items() if name not in keys}
    try:
        found = propose(parts.path or "/", answered, body, params, Clock().now_us())
    except ValueError as error:
        raise UpstreamError(str(error), code="page_unreadable", hint="check that the URL is that of a list") from None
    source, name = _names(parts.hostname or "", parts.path)
    lines = [f"[sources.{source}.api]", f'base_url = "{parts.scheme}://{parts.netloc.rpartition("@")[2]}"']
    if sent or keys:
        lines.append(f"# auth = ...    this request had: {', '.join((*sent, *keys))}")
    lines += ["", f"[sources.{source}.resources.{name}]", *found.toml]
    if as_json:
        records: list[JsonObject] = found.records
        print_json({"toml": "\n".join(lines) + "\n", "rows": found.rows, "records": records,
                    "evidence": found.evidence, "unknown": found.unknown})  # fmt: skip
        return
    _print(lines, found.rows, found.records, found.evidence, found.unknown)


def _print(lines: list[str], rows: int, records: list[JsonObject], evidence: list[str], unknown: list[str]) -> None:

    from tidegate.cli.output import clean, count

    print("\n".join(clean(line) for line in lines))
    print(f"\n# {count(rows, 'row')}; the first records:")
    for one in records:
        print(f"#   {clean(one['key'])}: {clean(json_text(one['record']))[:160]}")
    for title, found in (("why", evidence), ("not known from one answer", unknown)):
        print(f"# {title}:")
        for text in found:
            print(f"#   - {clean(text)}")


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name) or re.search(r"[\r\n\0]", value):
        raise click.BadParameter("a header is written as NAME: VALUE", param_hint="--header")
    return name, value.strip()


def _names(host: str, path: str) -> tuple[str, str]:
    """Names for the source and the resource: of the domain, and of the last segment that is a word."""
    labels = [one for one in host.split(".") if one not in ("www", "api")]
    source = labels[-2] if len(labels) > 1 and not labels[-1].isdigit() else "api"
    words = [one.rpartition(".")[0] or one for one in path.split("/") if re.search(r"[a-zA-Z]{2}", one)]
    return _name(source), _name(words[-1] if words else "items")


def _name(text: str) -> str:
    return re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-")[:63] or "items"


async def _get(url: str, headers: dict[str, str], allow: tuple[str, ...]) -> tuple[int, list[tuple[str, str]], bytes]:
    from tidegate.core.clock import Clock
    from tidegate.core.errors import Blocked
    from tidegate.outbound.dialer import Dialer, Guard
    from tidegate.outbound.http import PullClient
    from tidegate.rules.outbound.addresses import parse_allow

    clock = Clock()
    client = PullClient(Dialer(Guard(parse_allow(list(allow))), clock), clock)
    try:
        answer = await client.request(
            "GET",
            url,
            headers={"Accept": "application/json, */*;q=0.5", **headers},
            timeout_seconds=SECONDS,
            max_bytes=MAX_BYTES,
        )
    except Blocked as error:
        raise Blocked(str(error), hint="to ask a private address, name its network: --allow 127.0.0.1/32") from None
    finally:
        await client.close()
    return answer.status, answer.headers, answer.body
