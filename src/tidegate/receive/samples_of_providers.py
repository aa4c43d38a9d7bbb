"""Tries the webhook samples of a provider file: each is signed as the file says and read as its type.

Owns that one check, for `tidegate providers test`. It proves that a file is consistent, not that the system behaves so.
Crash: nothing is kept.
"""

from __future__ import annotations

import secrets as random
import tomllib

from tidegate.config.problems import Problems
from tidegate.config.spec import Source
from tidegate.core.clock import Clock
from tidegate.core.errors import ConfigError, TidegateError
from tidegate.core.spec import WebhookInput
from tidegate.providers import register, registered
from tidegate.providers.shape import load_provider
from tidegate.receive import trigger
from tidegate.receive.samples import Wanted
from tidegate.rules.inbound.signatures import Verification

URL = "https://gateway.example"


def try_samples(name: str, text: str, where: str) -> list[ConfigError]:
    """What is wrong with the samples of a file that was checked; [] without a webhook half."""
    data = tomllib.loads(text)
    if "webhook" not in data:
        return []
    problems = Problems(where, text, data)
    register({**registered(), name: text})
    provider = load_provider(name)
    scheme = provider.schemes[0] if provider.schemes else None
    secret = "" if scheme is None else scheme.secret_prefix + "user:" + random.token_hex(16)
    if scheme is not None and scheme.secret_encoding in ("base64", "hex"):
        secret = scheme.secret_prefix + random.token_hex(32)
    source = Source(webhook=WebhookInput(verify=name, secret=secret))
    for number, sample in enumerate(provider.samples):
        wrong = _wrong(name, source, sample.type)
        if wrong:
            problems.add(("webhook", "samples", number), f"the sample {sample.type!r}: {wrong}", "check its places")
    return problems.errors()


def _wrong(name: str, source: Source, type_: str) -> str:
    now_us = Clock().now_us()
    try:
        made = trigger.prepare(name, source, URL, Wanted(type_), now_us)
    except TidegateError as error:
        return error.message
    verify = made.input.verify
    if verify is None:
        return ""
    url = f"{URL}/in/{name}" + (f"?{made.query.decode()}" if made.query else "")
    checked = verify.check(dict(made.headers), made.body, url, now_us / 1_000_000, "POST")
    return "" if checked.result is Verification.OK else f"its signature is not accepted: {checked.result.value}"
