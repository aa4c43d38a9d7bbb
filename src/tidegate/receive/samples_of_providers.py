"""Tries the webhook samples of a provider file: each is signed as the file says and read as its type.

Owns that one check, and which places of the file have a value in none of the samples, for `tidegate providers test`. It
proves that a file is consistent, not that the system behaves so. Crash: nothing is kept.
"""

from __future__ import annotations

import secrets as random
import tomllib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from tidegate.config.problems import Problems
from tidegate.config.spec import Source
from tidegate.core.clock import Clock
from tidegate.core.errors import ConfigError, TidegateError
from tidegate.core.spec import WebhookInput
from tidegate.providers import register, registered
from tidegate.providers.shape import Place, Provider, load_provider
from tidegate.receive import trigger
from tidegate.receive.checks import joined_headers
from tidegate.receive.samples import Wanted
from tidegate.receive.trigger import Triggered
from tidegate.rules.inbound.signatures import Verification
from tidegate.rules.language.body import read_body
from tidegate.rules.language.view import MISSING, dig

URL = "https://gateway.example"
PLACES = ("delivery_id", "key", "occurred_at", "data_path")


class Tried(NamedTuple):
    """`errors`: what is wrong with the samples. `notes`: places that have a value in no sample."""

    errors: list[ConfigError]
    notes: list[str]


def try_samples(name: str, text: str, where: str) -> Tried:
    """Try the samples of a file that was checked. A file without a webhook half has none."""
    data = tomllib.loads(text)
    if "webhook" not in data:
        return Tried([], [])
    problems = Problems(where, text, data)
    before = registered()
    register({**before, name: text})
    try:
        return _tried(name, load_provider(name), problems)
    finally:
        register(before)


def _tried(name: str, provider: Provider, problems: Problems) -> Tried:
    scheme = provider.schemes[0] if provider.schemes else None
    secret = "" if scheme is None else scheme.secret_prefix + "user:" + random.token_hex(16)
    if scheme is not None and scheme.secret_encoding in ("base64", "hex"):
        secret = scheme.secret_prefix + random.token_hex(32)
    source = Source(webhook=WebhookInput(verify=name, secret=secret, split="auto" if provider.split else ""))
    empty = {key: places for key in PLACES if (places := getattr(provider, key))}
    for number, sample in enumerate(provider.samples):
        wrong = _wrong(name, source, sample.type, empty)
        if wrong:
            problems.add(("webhook", "samples", number), f"the sample {sample.type!r}: {wrong}", "check its places")
    return Tried(problems.errors(), [_note(key, places) for key, places in empty.items()])


def _note(key: str, places: Sequence[Place] | str) -> str:
    if isinstance(places, str):
        return f"no sample has anything at data_path = {places!r}"
    shown = ", ".join(one.header or one.query or one.path for one in places)
    return f"no sample has a value for {key} ({shown}): correct the place, or add a sample with one"


def _wrong(name: str, source: Source, type_: str, empty: dict[str, Any]) -> str:
    """Why the sample is not accepted. Places that it has a value for are removed from `empty`."""
    now_us = Clock().now_us()
    try:
        made = trigger.prepare(name, source, URL, Wanted(type_), now_us)
    except TidegateError as error:
        return error.message
    for key in _read(made):
        empty.pop(key, None)
    verify = made.input.verify
    if verify is None:
        return ""
    url = f"{URL}/in/{name}" + (f"?{made.query.decode()}" if made.query else "")
    checked = verify.check(dict(made.headers), made.body, url, now_us / 1_000_000, "POST")
    return "" if checked.result is Verification.OK else f"its signature is not accepted: {checked.result.value}"


def _read(made: Triggered) -> Iterator[str]:
    """Which of PLACES have a value in a request or in one of its items."""
    headers = joined_headers(made.headers)
    assert made.input.read is not None
    readings = [(made.input.read(headers, made.body, made.query), made.body, headers)]
    if made.input.split is not None and made.input.read_item is not None:
        inside = {**headers, b"content-type": made.input.item_type}
        for item in made.input.split(headers, made.body) or ():
            readings.append((made.input.read_item(inside, item, made.query), item, inside))
    for reading, body, around in readings:
        yield from ["delivery_id"] * (reading.delivery_id is not None)
        yield from ["key"] * (reading.key is not None)
        yield from ["occurred_at"] * (reading.occurred_at_us is not None)
        value = read_body(body, around.get(b"content-type", b"").decode("latin-1")).value
        yield from ["data_path"] * (bool(reading.data_path) and dig(value, reading.data_path) is not MISSING)
