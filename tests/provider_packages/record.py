"""Has the packages of providers verify what Tidegate signs, and records the requests that they accept.

    pip install -r tests/provider_packages/requirements.txt          (in an environment of its own)
    npm install --prefix DIR $(cat tests/provider_packages/packages.txt)
    python tests/provider_packages/record.py --python ENV/bin/python --node DIR [--write]

Each sample is signed as `tidegate trigger` signs it. A package has to accept it, and to reject it with a changed body
and with the signature of another secret. `--write` keeps what was accepted in `tests/data/package_requests.json`, and
`tests/engine/test_receive_vectors.py` sends it through the receiver. Run it again after a change of a scheme.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click

from tidegate.providers import webhook_names
from tidegate.providers.shape import Provider, load_provider
from tidegate.receive.samples import Wanted, make
from tidegate.rules.inbound.signatures.as_provider import Draft, StandIn, sign, stand_in

HERE = Path(__file__).parent
URL = "https://gateway.example/in/s"
DATA = HERE.parent / "data" / "package_requests.json"
KEY = bytes(range(32))
# What providers send beside the signature and the packages want to see.
MORE_HEADERS = {
    "box": {"box-signature-version": "1", "box-signature-algorithm": "HmacSHA256"},
    "shopify": {"x-shopify-api-version": "2026-10"},
}


def requests_of(name: str, secret: str, now_us: int) -> dict[str, Any]:
    """One signed request of a provider: what `verify.py` and `verify.mjs` read."""
    provider = load_provider(name)
    signer: StandIn = stand_in(provider.schemes[0], secret)
    made = make(provider, Wanted(provider.samples[0].type), now_us, lambda count: "0" * count, signer.secret)
    made.headers |= MORE_HEADERS.get(name, {})
    if signer.scheme.id_header:
        made.headers[signer.scheme.id_header.lower()] = "msg_0123456789"
    done = sign(signer, Draft(URL, made.headers, made.content()), now_us)
    return {
        "id": name,
        "provider": name,
        "url": URL,
        "headers": done.headers,
        "body": done.body.decode(),
        "secret": signer.secret,
        "now": now_us / 1_000_000,
    }


def secret_of(provider: Provider, key: bytes) -> str:
    """A secret as the provider shows it."""
    scheme = provider.schemes[0]
    shown = {"hex": key.hex(), "base64": base64.b64encode(key).decode()}
    return scheme.secret_prefix + shown.get(scheme.secret_encoding, f"user:{key.hex()}")


def variants(name: str, now_us: int) -> list[dict[str, Any]]:
    """The request, and the same with a changed body and signed with another secret."""
    good = requests_of(name, secret_of(load_provider(name), KEY), now_us)
    other = requests_of(name, secret_of(load_provider(name), KEY[::-1]), now_us)
    found = [good, {**other, "id": f"{name}/other secret", "secret": good["secret"]}]
    if (
        good["body"]
        and load_provider(name).schemes[0].kind != "basic"
        and "{body" in load_provider(name).schemes[0].signed
    ):
        found.append({**good, "id": f"{name}/changed body", "body": _changed(good["body"])})
    return found


def _changed(body: str) -> str:
    """The body with another last letter or digit, so that JSON stays JSON."""
    at = max(index for index, character in enumerate(body) if character.isalnum())
    return body[:at] + ("a" if body[at] == "1" else "1") + body[at + 1 :]


def ask(command: list[str], requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    done = subprocess.run(command, input=json.dumps(requests), capture_output=True, text=True, check=False)
    if done.returncode:
        raise click.ClickException(done.stderr[-2000:])
    return list(json.loads(done.stdout))


@click.command()
@click.option("--python", required=True, help="An interpreter with the packages of requirements.txt.")
@click.option("--node", default="", help="A folder whose node_modules has the packages of packages.txt.")
@click.option("--write", is_flag=True, help="Keep what was accepted.")
def main(python: str, node: str, write: bool) -> None:
    """Print what each package says of each request."""
    now_us = time.time_ns() // 1_000
    requests = [one for name in webhook_names() if load_provider(name).schemes for one in variants(name, now_us)]
    # Some allow a minute, so the slower one comes last.
    verdicts = ask(["node", str(HERE / "verify.mjs"), node], requests) if node else []
    verdicts += ask([python, str(HERE / "verify.py")], requests)
    wrong = [one for one in verdicts if one["accepted"] is not ("/" not in one["id"])]
    for one in verdicts:
        click.echo(f"{'WRONG ' if one in wrong else ''}{one['id']}: {one['package']} {one['accepted']} {one['why']}")
    by_id: dict[str, dict[str, Any]] = {one["id"]: one for one in requests}
    bad = {one["id"].partition("/")[0] for one in wrong}
    kept: dict[str, list[str]] = {}
    for one in verdicts:
        if "/" not in one["id"] and one["id"] not in bad:
            kept.setdefault(one["id"], []).append(one["package"])
    if write:
        found = [{**by_id[name], "package": ", ".join(packages)} for name, packages in sorted(kept.items())]
        DATA.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
    click.echo(
        f"{len(kept)} of {len({one['id'].partition('/')[0] for one in verdicts})} providers agree with a package"
    )
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
