"""Reads a body into plain values, or says in words why it cannot be read.

Owns which formats are read (JSON, NDJSON, forms, multipart, XML; what `compressed.py` undoes; UTF-8, UTF-16 and the
charsets of Python) and their bounds. May not know events, providers or what is done with the values. Invariants:
nothing here raises, whatever the bytes are; time and memory are linear in the body and bounded when it is compressed;
every value can be written as JSON in UTF-8 and is nested at most 64 deep. Crash: nothing is kept.
"""

from __future__ import annotations

import codecs
import json
from typing import Any, Final, NoReturn

import msgspec

from tidegate.rules.language import multipart, xml
from tidegate.rules.language.compressed import unpack
from tidegate.rules.language.numbers import read_float
from tidegate.rules.language.text import FORM_TYPE, charset_of, is_utf8, media_type, mislabeled, to_utf8
from tidegate.rules.language.urlencoded import read_urlencoded

MAX_DEPTH = 64  # no provider nests deeper than about 20
MAX_LINES = 100_000  # of NDJSON
MAX_CONTAINERS = 250_000  # lists and objects of one JSON body: each costs far more than its two bytes
_NDJSON = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"})
_READ = "JSON, NDJSON, XML, application/x-www-form-urlencoded and multipart/form-data"


class Parsed(msgspec.Struct, frozen=True, gc=False):
    """A body that was read, or why it was not.

    `as_written`: the bytes themselves are valid JSON of `value` and may be passed on. `why`: "" when the body was read,
    else a clause such as "the body is not JSON: trailing comma in object at byte 41". `guess`: what was guessed to
    read it, "" when nothing was.
    """

    value: Any
    as_written: bool
    why: str = ""
    guess: str = ""

    @property
    def readable(self) -> bool:
        return not self.why


_DECODER: Final = msgspec.json.Decoder(float_hook=read_float)


def read_body(body: bytes, content_type: str, encoding: str = "", *, inner_json: bool = True) -> Parsed:
    """The whole body.

    `encoding` is the value of Content-Encoding, "" without one. `inner_json`: fields of a form that hold a JSON object
    or list are read as such (GitHub and Slack send JSON in the field `payload`).
    """
    if encoding or body[:2] == b"\x1f\x8b":
        unpacked = unpack(body, encoding)
        if isinstance(unpacked, str):
            return _unreadable(unpacked)
        if unpacked is not body:
            read = _read(unpacked, content_type, inner_json)
            return Parsed(read.value, False, read.why, read.guess)
    return _read(body, content_type, inner_json)


def _read(body: bytes, content_type: str, inner_json: bool) -> Parsed:
    kind = media_type(content_type)
    if kind == "multipart/form-data":
        return _read_multipart(body, content_type, inner_json)
    if kind.endswith(("/xml", "+xml")) or body[:8].removeprefix(codecs.BOM_UTF8)[:5] == b"<?xml":
        return _read_xml(body, content_type)
    if not body:
        return _unreadable("the body is empty")
    if kind == FORM_TYPE and body.lstrip()[:1] not in (b"{", b"["):
        return _read_form(body, content_type, inner_json)
    body, changed, why = to_utf8(body, content_type)
    if why:
        return _unreadable(why)
    if kind in _NDJSON:
        return _read_lines(body)
    if _is_json(kind) or body.lstrip()[:1] in (b"{", b"["):
        parsed = _read_json(body)
        # `curl -d` and some senders label JSON as a form; a real form never begins with a bare brace.
        if parsed.why and kind == FORM_TYPE:
            return _read_form(body, content_type, inner_json)
        guess = parsed.guess or ("" if changed or parsed.why else mislabeled(body, content_type))
        return Parsed(parsed.value, parsed.as_written and not changed, parsed.why, guess)
    return _unreadable(f"its content type is {_type(kind)}; only {_READ} are read")


def _read_xml(body: bytes, content_type: str) -> Parsed:
    """The charset of the Content-Type comes before the document's own (RFC 7303), unless the bytes are not in it."""
    plain, changed, why = to_utf8(body, content_type)
    if why:
        return _unreadable(why)
    in_utf8 = changed or (charset_of(content_type) == "utf-8" and is_utf8(body))
    value, why = xml.read_xml(plain, encoding="utf-8" if in_utf8 else None)
    return Parsed(value, False, f"the body is not XML that can be read: {why}" if why else "")


def _unreadable(why: str) -> Parsed:
    return Parsed(None, False, why)


def _type(kind: str) -> str:
    return "missing" if not kind else kind if kind.isprintable() and len(kind) <= 80 else "odd"


def _is_json(kind: str) -> bool:
    """The suffix is of RFC 6839."""
    return kind in ("application/json", "text/json") or kind.endswith("+json")


# -- JSON ------------------------------------------------------------------------------------------------


def _read_json(body: bytes) -> Parsed:
    if _is_crowded(body):
        return _unreadable(f"the body has more than {MAX_CONTAINERS} lists and objects")
    try:
        value = _DECODER.decode(body)
    except RecursionError:
        return _unreadable(f"the body is nested more than {MAX_DEPTH} deep")
    except (ValueError, UnicodeDecodeError) as error:  # malformed, not UTF-8, or an integer without end
        return _read_json_leniently(body, error)
    return (
        Parsed(value, True) if _shallow(body, value) else _unreadable(f"the body is nested more than {MAX_DEPTH} deep")
    )


def _is_crowded(body: bytes) -> bool:
    """Brackets inside strings count too, so that this needs no parser."""
    return len(body) > 2 * MAX_CONTAINERS and body.count(b"[") + body.count(b"{") > MAX_CONTAINERS


def _read_json_leniently(body: bytes, error: Exception) -> Parsed:
    """Half an emoji, which real senders write and a strict reader refuses.

    A text cut in the middle of a surrogate pair ends in `\\ud83d`, which is legal JSON (RFC 8259 section 8.2) but not
    Unicode. It is read as U+FFFD, so that one broken name does not hide a payment from every filter.
    """
    if b"\\ud" not in body and b"\\uD" not in body:
        return _unreadable(_why_not_json(body, error))
    try:
        text = body.decode()
        value = json.loads(text, parse_constant=_refuse, parse_float=read_float)
        if not _shallow(body, value):
            return _unreadable(f"the body is nested more than {MAX_DEPTH} deep")
        return Parsed(_scrub(value), False, guess="half of a character (a lone surrogate) was replaced by U+FFFD")
    except RecursionError:
        return _unreadable(f"the body is nested more than {MAX_DEPTH} deep")
    except ValueError as again:
        return _unreadable(_why_not_json(body, again))


def _why_not_json(body: bytes, error: Exception) -> str:
    """`the body is not JSON: trailing comma in object at byte 41`. Places count bytes from 0."""
    if isinstance(error, UnicodeDecodeError):
        return f"the body is not UTF-8 at byte {error.start}; its Content-Type names no other charset"
    text = str(error)
    if text.startswith("Input data was truncated"):
        return f"the body is not JSON: it ends too early, after {len(body)} bytes"
    if text.startswith("Invalid UTF-8"):
        return _why_not_json(body, _not_utf8(body) or error)
    what, found, rest = text.removeprefix("JSON is malformed: ").rpartition(" (byte ")
    if not found:
        return f"the body is not JSON: {text.partition('(')[0].strip()}"
    place = int(rest.rstrip(")")) if rest.rstrip(")").isdigit() else 0
    near = body[max(0, place - 1) : place + 8]
    for word in (b"NaN", b"-Infinity", b"Infinity", b"undefined", b"None", b"True", b"False"):
        if word[:8] in near:
            what = f"{word.decode()} is not a JSON value"
    return f"the body is not JSON: {what} at byte {place}"


def _not_utf8(body: bytes) -> UnicodeDecodeError | None:
    try:
        body.decode()
    except UnicodeDecodeError as error:
        return error
    return None


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a JSON value")


def _scrub(value: Any) -> Any:
    """`value` with lone surrogates replaced; at most MAX_DEPTH deep by then."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_scrub(item) for item in value]
    if isinstance(value, dict):
        return {_scrub(name): _scrub(item) for name, item in value.items()}
    return value


def _shallow(body: bytes, value: Any) -> bool:
    """Counting brackets decides it for nearly all bodies without a walk."""
    if body.count(b"{") + body.count(b"[") <= MAX_DEPTH:
        return True
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return True
    return False


def _children(value: Any) -> list[Any]:
    """Only what can nest further: leaves need no visit."""
    if isinstance(value, dict):
        return [item for item in value.values() if isinstance(item, dict | list)]
    if isinstance(value, list):
        return [item for item in value if isinstance(item, dict | list)]
    return []


def _read_lines(body: bytes) -> Parsed:
    """NDJSON: one JSON value a line; the value is their list."""
    if _is_crowded(body):
        return _unreadable(f"the body has more than {MAX_CONTAINERS} lists and objects")
    values: list[Any] = []
    for number, line in enumerate(body.splitlines(), 1):
        if not line.strip():
            continue
        if len(values) >= MAX_LINES:
            return _unreadable(f"the body has more than {MAX_LINES} lines")
        parsed = _read_json(line)
        if parsed.why:
            return _unreadable(f"{parsed.why} of line {number}")
        values.append(parsed.value)
    return Parsed(values, False)


# -- forms -----------------------------------------------------------------------------------------------


def _read_form(body: bytes, content_type: str, inner_json: bool) -> Parsed:
    """Fields by name; a name that comes twice has the list of its values."""
    pairs, why, guess = read_urlencoded(body, content_type)
    return _unreadable(why) if why else Parsed(_fields(pairs, inner_json), False, guess=guess)


def _read_multipart(body: bytes, content_type: str, inner_json: bool) -> Parsed:
    pairs, why, guess = multipart.read_multipart(body, content_type)
    if why:
        return _unreadable(f"the body is multipart and cannot be read: {why}")
    return Parsed(_fields(pairs, inner_json), False, guess=guess)


def _fields(pairs: list[tuple[str, Any]], inner_json: bool) -> Any:
    """A form whose only field is `payload` with JSON is that JSON."""
    values: dict[str, list[Any]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(_inner(value) if inner_json else value)
    fields = {name: held[0] if len(held) == 1 else held for name, held in values.items()}
    only = fields.get("payload") if inner_json and len(pairs) == 1 else None
    return only if isinstance(only, dict | list) else fields


def _inner(value: Any) -> Any:
    if not isinstance(value, str) or value[:1] not in ("{", "["):
        return value
    parsed = _read_json(value.encode("utf-8", "replace"))
    return value if parsed.why else parsed.value
