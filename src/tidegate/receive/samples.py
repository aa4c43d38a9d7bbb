"""Makes a request of a source from the sample in its provider file: type, changed values, fresh id and time. Pure.

Owns how a value is put into a place: a header, the query, or a path of a JSON body or a form. May not know signatures,
the store or the clock. Invariants: a sample never changes; a value that cannot be put where it belongs is refused with
the place, never dropped. Crash: nothing is kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec

from tidegate.core.clock import rfc3339
from tidegate.core.errors import BadRequest
from tidegate.core.model import JsonObject
from tidegate.providers.shape import Provider, Sample
from tidegate.rules.inbound.places import Place
from tidegate.rules.language.body import read_body
from tidegate.rules.language.numbers import decode_json, encode_json
from tidegate.rules.language.paths import Names, parse_path
from tidegate.rules.language.text import FORM_TYPE, media_type
from tidegate.rules.language.view import MISSING, is_index, walk

MAX_SETTINGS = 100
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")


class Made(msgspec.Struct):
    """A request in the making. `value` is the parsed body, MISSING when the body has no form that can be changed."""

    headers: dict[str, str]
    query: list[tuple[str, str]]
    body: bytes
    value: Any = MISSING
    form: bool = False
    inner: str = ""  # the only field of a form, when it holds JSON: paths start inside it
    note: str = ""  # what was done beyond the sample, in words

    def content(self) -> bytes:
        """The body with all changes."""
        if self.value is MISSING:
            return self.body
        if not self.form:
            return encode_json(self.value)
        fields = {self.inner: self.value} if self.inner else self.value
        texts = [(name, item if isinstance(item, str) else encode_json(item).decode()) for name, item in fields.items()]
        return (
            urlencode(texts).replace("%7Bsignature%7D", "{signature}").encode()
        )  # its place, filled when it is signed


class Wanted(msgspec.Struct, frozen=True):
    """What was asked for. `body`: JSON or text instead of the sample's body, None for the sample's."""

    type: str
    settings: Mapping[str, Any] = {}
    body: bytes | None = None


def make(provider: Provider, wanted: Wanted, now_us: int, token: Callable[[int], str], secret: str) -> Made:
    """The request before it is signed. `token(n)`: n random hexadecimal characters. BadRequest."""
    sample, exact = _sample(provider, wanted.type)
    made = _start(sample, wanted, now_us, secret)
    if wanted.body is None:
        _freshen(made, provider, now_us, token)
    if not exact or wanted.body is not None:
        _set_type(made, provider, wanted.type, sample)
    if len(wanted.settings) > MAX_SETTINGS:
        raise BadRequest(f"{len(wanted.settings)} values to set are too many (maximum {MAX_SETTINGS})")
    for path, value in wanted.settings.items():
        _put(made, parse_path(path), value, path)
    return made


def _sample(provider: Provider, type_: str) -> tuple[Sample, bool]:
    for sample in provider.samples:
        if sample.type == type_:
            return sample, True
    return (provider.samples[0] if provider.samples else Sample(type=type_, body="{}")), False


def _start(sample: Sample, wanted: Wanted, now_us: int, secret: str) -> Made:
    now_s = now_us // 1_000_000
    headers = {"content-type": sample.content_type, **{name.lower(): value for name, value in sample.headers.items()}}
    if wanted.body is not None:
        if media_type(sample.content_type) == FORM_TYPE and wanted.body[:1] in (b"{", b"["):
            headers["content-type"] = "application/json"
        text = wanted.body.decode("utf-8", "surrogateescape")
    else:
        text = sample.body.replace('"{now_ms}"', str(now_s * 1000)).replace("{now_ms}", str(now_s * 1000))
        text = text.replace("{now}", str(now_s)).replace("{secret}", secret)
    made = Made(headers, [], text.encode("utf-8", "surrogateescape"))
    _parse(made, media_type(headers["content-type"]))
    if wanted.body is not None and made.value is MISSING and media_type(headers["content-type"]).endswith("json"):
        raise BadRequest("the body is not JSON", hint="give JSON: --payload '{...}' or --payload @FILE")
    return made


def _parse(made: Made, kind: str) -> None:
    if kind == FORM_TYPE:
        fields: JsonObject = {}
        for name, value in parse_qsl(made.body.decode("utf-8", "replace"), keep_blank_values=True):
            fields[name] = _json_object(value)
        made.value, made.form = fields, True
        if len(fields) == 1 and isinstance(inner := next(iter(fields.values())), dict):
            made.value, made.inner = inner, next(iter(fields))
    elif kind.endswith("json"):
        try:
            made.value = decode_json(made.body)
        except (ValueError, RecursionError):
            made.value = MISSING


def _json_object(text: str) -> Any:
    if text[:1] != "{":
        return text
    try:
        return decode_json(text.encode())
    except (ValueError, RecursionError):
        return text


# -- fresh values ----------------------------------------------------------------------------------------


def _freshen(made: Made, provider: Provider, now_us: int, token: Callable[[int], str]) -> None:
    """An id of its own, so that the event is new, and the time of now, so that it is not of last year."""
    for place in provider.delivery_id:
        old = _get(made, place)
        if old is not None:
            if "{signature}" not in str(old):  # Dropbox Sign: the signature is the id
                _replace(made, place, old, _fresh_id(old, token))
            break
        if place.header and not provider.samples:
            made.headers[place.header.lower()] = f"test_{token(12)}"
            break
    paths = [place.path for place in provider.occurred_at if place.path]
    paths += [scheme.timestamp_path for scheme in provider.schemes if scheme.timestamp_path]
    for path in dict.fromkeys(paths):
        place = Place(path=path)
        old = _get(made, place)
        if old is not None and (fresh := _fresh_time(old, now_us)) is not None:
            _replace(made, place, old, fresh)


def _replace(made: Made, place: Place, old: Any, fresh: Any) -> None:
    """Put a fresh value in place of the old one; in a body of another form wherever the old text stands."""
    if place.path and made.value is MISSING:
        made.body = made.body.replace(str(old).encode(), str(fresh).encode())
    else:
        _set(made, place, fresh)


def _fresh_id(old: Any, token: Callable[[int], str]) -> Any:
    if isinstance(old, int):
        return 100_000_000 + int(token(7), 16)
    if not isinstance(old, str) or _UUID.fullmatch(old):
        text = token(32)
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-8{text[17:20]}-{text[20:]}"
    if old.isascii() and old.isdigit():
        return str(100_000_000 + int(token(7), 16))
    head = old.rstrip("0123456789").rstrip("_-") if len(old) < 12 else re.split(r"[_-]", old)[0][:8]
    return f"{head}_test_{token(12)}" if head else f"test_{token(12)}"


def _fresh_time(old: Any, now_us: int) -> Any:
    if isinstance(old, bool):
        return None
    if isinstance(old, int):
        return now_us // 1000 if old > 10**11 else now_us // 1_000_000
    if isinstance(old, float):
        return now_us / 1_000_000
    if isinstance(old, str) and old.isascii() and old.isdigit():
        return str(now_us // 1000 if len(old) > 11 else now_us // 1_000_000)
    return rfc3339(now_us - now_us % 1000) if isinstance(old, str) and _INSTANT.match(old) else None


# -- places ----------------------------------------------------------------------------------------------


def _set_type(made: Made, provider: Provider, type_: str, sample: Sample) -> None:
    """Put the type where the provider has it: the first place that the sample has, else the first that can be set."""
    places = [place for place in provider.type if not place.constant]
    place = next((one for one in places if _get(made, one) is not None), places[0] if places else None)
    if place is None:
        return  # every request of this provider has the same type; the caller checks which
    first, dot, rest = type_.rpartition(".")
    if place.plus and dot:
        _put(made, parse_path(place.path), first, place.path)
        _put(made, parse_path(place.plus), rest, place.plus)
    else:
        _set(made, place, type_)
    if sample.type != type_:
        made.note = f"no sample of {type_} ships, so it was made from the sample of {sample.type}"


def _get(made: Made, place: Place) -> Any:
    if place.header:
        return made.headers.get(place.header.lower())
    if place.query:
        return dict(made.query).get(place.query)
    found = MISSING
    if place.path:
        value = made.value
        if value is MISSING:
            value = read_body(made.body, made.headers["content-type"]).value
        found = walk(value, _inside(made, parse_path(place.path)))
    return None if found is MISSING else found


def _set(made: Made, place: Place, value: Any) -> None:
    if place.header:
        made.headers[place.header.lower()] = str(value)
    elif place.query:
        made.query.append((place.query, str(value)))
    else:
        _put(made, parse_path(place.path), value, place.path)


def _inside(made: Made, names: Names) -> Names:
    """The names below the only field of a form: `payload.type` and `type` are the same there."""
    return names[1:] if made.inner and len(names) > 1 and names[0] == made.inner else names


def _put(made: Made, names: Names, value: Any, path: str) -> None:
    if made.value is MISSING:
        kind = made.headers["content-type"]
        raise BadRequest(f"{path} cannot be set in a body of {kind}", hint="give the whole body: --payload @FILE")
    if not names:
        raise BadRequest("a value needs a path, such as data.object.amount=100")
    made.value = _written(made.value, _inside(made, names), value, path)


def _written(node: Any, names: Sequence[str], value: Any, path: str) -> Any:
    """`node` with the value at the path; objects on the way are made."""
    if not names:
        return value
    name, rest = names[0], names[1:]
    if isinstance(node, list) and is_index(name):
        place = int(name)
        if place > len(node):
            raise BadRequest(f"{path}: the list has {len(node)} items, so there is no item {place}")
        below = node[place] if place < len(node) else MISSING
        node[place : place + 1] = [_written(below, rest, value, path)]
        return node
    if node is MISSING or node is None:
        node = {}
        if name == "0":
            return [_written(MISSING, rest, value, path)]
    if not isinstance(node, dict):
        raise BadRequest(f"{path}: what contains {name!r} is not an object")
    node[name] = _written(node.get(name, MISSING), rest, value, path)
    return node
