"""Writes the generated parts of `docs/reference/` and of the guide for alerts from the program: `make docs`.

Pages are written by hand. This script replaces the part between `<!-- generated: NAME -->` and `<!-- end -->` with the
result of `PARTS[NAME]`. `tests/test_docs.py` fails when a committed page differs from what this script writes. After
you change a key, a command, a path, a metric or a provider, run the script, review the difference and commit it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec
from generate_configuration import configuration, table

from tidegate.api import writes as operating
from tidegate.api.app import _DOCUMENTS
from tidegate.api.metrics import METRICS
from tidegate.api.openapi import DELIVERY_HEADERS, Envelope
from tidegate.api.routes import PREFIX, TABLE
from tidegate.cli import COMMANDS, cli
from tidegate.core.finding_codes import CODES
from tidegate.providers import provider_names, webhook_names
from tidegate.providers.shape import EVIDENCE, Provider, load_provider
from tidegate.providers.summary import summary
from tidegate.query import schemas as forms
from tidegate.rules.alerts.kinds import KINDS as ALERT_KINDS

PAGES = Path(__file__).parent / "reference"
MORE = Path(__file__).parent / "guides" / "alerts.md"
MARK = re.compile(r"(<!-- generated: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


# -- command line ----------------------------------------------------------------------------------------


def command_line() -> str:
    context = click.Context(cli, info_name="tidegate")
    rows = [(f"[`{name}`](#tidegate-{name})", text) for name, (_, text) in COMMANDS.items()]
    out = [table(("command", "description"), rows)]
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        out.append(_command(f"tidegate {name}", command, 2))
        if isinstance(command, click.Group):
            out += [_command(f"tidegate {name} {part}", one, 3) for part, one in sorted(command.commands.items())]
    return "\n".join(out)


def _command(name: str, command: click.Command, level: int) -> str:
    words = (command.help or "").split("\f")[0].strip()
    pieces = command.collect_usage_pieces(click.Context(command, info_name=name))
    text = f"{'#' * level} `{name}`\n\n{_paragraphs(words)}\n\n    {name} {' '.join(pieces)}\n"
    rows = [_option(one) for one in command.params if isinstance(one, click.Option)]
    return text + ("\n" + table(("option", "value", "default", "description"), rows) if rows else "")


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _option(option: click.Option) -> tuple[str, ...]:
    names = ", ".join(f"`{name}`" for name in option.opts)
    if option.is_flag:
        takes = ""
    elif isinstance(option.type, click.Choice):
        takes = ", ".join(f"`{one}`" for one in option.type.choices)
    elif isinstance(option.type, click.types._NumberRangeBase):
        takes = f"{option.type.min} to {option.type.max}"
    else:
        takes = (option.metavar or option.type.name).upper().replace("_", " ")
    if option.multiple:
        takes += ", repeatable"
    words = option.help or ""
    if option.envvar:
        words += f" Also `{option.envvar}`."
    shown = "" if option.default is None or option.is_flag or option.multiple else str(option.default)
    shown = "" if "Sentinel" in shown else shown
    return names, takes, f"`{shown}`" if shown else "", words.strip()


# -- API -------------------------------------------------------------------------------------------------


def api() -> str:
    entries = [*((PREFIX + one.path, one) for one in TABLE), *_DOCUMENTS.items()]
    rows = [(f"`{one.method} {path}`", _scope(one), one.summary, _answer(one)) for path, one in entries]
    out = [table(("call", "scope", "description", "response"), rows)]
    for path, one in entries:
        if one.query:
            given = [(f"`{p.name}`", _words(p), p.description) for p in one.query]
            title = f"### Parameters of `{one.method} {path}`\n\n"
            out.append(title + table(("parameter", "value", "description"), given))
    return "\n".join(out)


def _scope(entry: Any) -> str:
    return f"`{entry.scope}`" if entry.scope else "any key"


MEDIA = {"/metrics": "the Prometheus text format", "/openapi.json": "OpenAPI 3.1"}


def _answer(entry: Any) -> str:
    """Status and schema of a successful response, with a link to the schema."""
    statuses = " or ".join(str(status) for status in (entry.status, *entry.statuses))
    kinds = entry.response if isinstance(entry.response, tuple) else (entry.response,)
    found = []
    for kind_ in kinds:
        name, args = getattr(kind_, "__name__", ""), getattr(kind_, "__args__", ())
        if kind_ is None:
            continue
        if args and getattr(kind_, "__origin__", None) is forms.Page:
            found.append(f"list of {_link(args[0])}")
        elif isinstance(kind_, type) and issubclass(kind_, msgspec.Struct) and kind_ is not forms.ItemPage:
            found.append(_link(kind_))
        else:
            thing = "the item" if "{name}" in entry.path else "an object"
            found.append(
                {"ItemPage": "list of items", "dict": thing}.get(name, MEDIA.get(entry.path, f"`{entry.media}`"))
            )
    return f"{statuses} {' or '.join(found)}".strip()


def _link(struct: Any) -> str:
    name = _name(struct)
    return f"[{name}](#{name.lower()})"


def _name(struct: Any) -> str:
    return re.sub(r"(Schema|In|Request)$", "", struct.__name__)


def _words(parameter: Any) -> str:
    if parameter.words:
        return ", ".join(f"`{word}`" for word in parameter.words)
    return {"limit": "1 to 500", "boolean": "boolean"}.get(parameter.kind, parameter.kind)


BODIES = (operating.EventIn, operating.ReplayRequest, operating.KeyRequest, operating.PollRequest)


def answer_structs() -> list[Any]:
    """Every struct in a response of the API, in the order of appearance."""
    found: list[Any] = []

    def visit(info: Any) -> None:
        if isinstance(info, msgspec.inspect.StructType):
            if info.cls in found:
                return
            if getattr(info.cls, "__origin__", info.cls) not in (forms.Page, forms.ItemPage):
                found.append(info.cls)
            for field in info.fields:
                visit(field.type)
        for name in ("type", "types", "item_type", "item_types", "value_type"):
            inner = getattr(info, name, None)
            for one in inner if isinstance(inner, tuple) else (inner,):
                if isinstance(one, msgspec.inspect.Type):
                    visit(one)

    for entry in TABLE:
        for one in entry.response if isinstance(entry.response, tuple) else (entry.response,):
            if one is not None:
                visit(msgspec.inspect.type_info(one))
    return found


def api_forms() -> str:
    return "\n".join(_form(one) for one in answer_structs())


def api_bodies() -> str:
    return "\n".join(_form(one, required=True) for one in BODIES)


def _form(struct: Any, *, required: bool = False) -> str:
    info = msgspec.inspect.type_info(struct)
    assert isinstance(info, msgspec.inspect.StructType)
    # A struct without a docstring inherits the one of its base in msgspec.
    words = " ".join((struct.__dict__.get("__doc__") or "").split())
    rows = []
    for field in info.fields:
        row: tuple[str, ...] = (f"`{field.encode_name}`", _json_kind(field.type))
        rows.append((*row, "yes" if field.required else "") if required else row)
    head = ("member", "value", "required") if required else ("member", "value")
    title = f"{_name(struct)}, request body" if required else _name(struct)
    return f"### {title}\n\n" + (f"{words}\n\n" if words else "") + table(head, rows)


def _json_kind(info: Any) -> str:
    inspect = msgspec.inspect
    if isinstance(info, inspect.Metadata):
        return "timestamp" if (info.extra_json_schema or {}).get("format") == "date-time" else _json_kind(info.type)
    if isinstance(info, inspect.StructType):
        return _name(info.cls)
    if isinstance(info, inspect.UnionType):
        words = [_json_kind(one) for one in info.types]
        return " or ".join(dict.fromkeys(words))
    if isinstance(info, inspect.NoneType):
        return "null"
    if isinstance(info, inspect.ListType):
        return f"list of {_json_kind(info.item_type)}"
    if isinstance(info, inspect.TupleType):
        return "pair of " + " and ".join(_json_kind(one) for one in info.item_types)
    if isinstance(info, inspect.DictType):
        return f"object of {_json_kind(info.value_type)} by name"
    names = {inspect.IntType: "integer", inspect.FloatType: "number", inspect.BoolType: "boolean"}
    for type_, word in names.items():
        if isinstance(info, type_):
            return word
    return "string" if isinstance(info, inspect.StrType) else "any JSON"


def delivery_headers() -> str:
    return table(("header", "description"), [(f"`{name}`", words) for name, words in DELIVERY_HEADERS.items()])


def envelope() -> str:
    return _form(Envelope)


# -- findings, metrics and providers -------------------------------------------------------------------------------


def findings() -> str:
    rows = [(f"`{code}`", row.severity.value, row.meaning, _remedy(row.remedy)) for code, row in CODES.items()]
    return table(("code", "severity", "what it means", "remedy"), rows)


def _remedy(text: str) -> str:
    """A command after `: ` or alone is code."""
    words, colon, command = text.rpartition("tidegate ")
    return f"{words}`tidegate {command}`".replace("{name}", "NAME") if colon else text.replace("{name}", "NAME")


def metrics() -> str:
    rows = []
    for name, (kind_, labels, words) in METRICS.items():
        shown = f"{name}_total" if kind_ == "counter" else name
        rows.append((f"`{shown}`", kind_, ", ".join(f"`{label}`" for label in labels), words))
    return table(("metric", "type", "labels", "description"), rows)


def providers() -> str:
    rows = []
    for name in webhook_names():
        one = load_provider(name)
        title = f"[{one.title}]({one.docs})"
        can = ", ".join(summary(name).can)
        rows.append((f"`{name}`", title, can, _schemes(one), _places(one), _needs(one)))
    return table(("verify", "system", "can", "signature", "type, delivery id, key", "remarks"), rows)


def provider_apis() -> str:
    """Each API half: a row a resource, and below the table what was not confirmed."""
    rows, open_facts = [], []
    for one in map(summary, provider_names()):
        if not one.docs:
            continue
        auth = ", ".join(f"`{kind}`" for kind in one.auth)
        calls = ", ".join(
            f"`{call.name}`" + (f" (once by {call.once})" if call.once else "") for call in one.operations
        )
        lists = [
            f"`{each.name}`: {each.pages}; {each.cursor}; {each.deletes}"
            + (f"; webhook {', '.join(each.webhook)}" if each.webhook else "")
            for each in one.resources
        ]
        system = f"[{one.title}]({one.docs})"
        rows.append(
            (f"`{one.name}`", system, ", ".join(one.can), auth, one.limits, "<br>".join(lists), calls, one.tested)
        )
        open_facts += [f"- `{one.name}`: {'; '.join(one.unconfirmed)}"] if one.unconfirmed else []
    head = (
        "provider",
        "system",
        "can",
        "auth",
        "limits",
        "resources: pages; cursor; deletes",
        "operations",
        "tested with",
    )
    return table(head, rows) + "\nNot confirmed:\n\n" + "\n".join(open_facts)


def provider_evidence() -> str:
    """How the facts of each webhook half were confirmed: counts, then a row a file, the best confirmed first."""
    recorded = json.loads((PAGES.parents[1] / "tests" / "data" / "package_requests.json").read_text("utf-8"))
    packages = {one["provider"]: one["package"] for one in recorded}
    halves = {name: load_provider(name) for name in webhook_names()}
    facts = ("signature", "places", "delivery")
    counts = [
        (f"`{word}`", meaning, *(str(_count(halves, fact, word)) for fact in facts))
        for word, meaning in EVIDENCE.items()
    ]
    order = list(EVIDENCE)
    rows = []
    for name, one in sorted(halves.items(), key=lambda pair: (order.index(pair[1].confirmed.signature), pair[0])):
        said = one.confirmed
        signature = f"`{said.signature}`" + (f": {packages[name]}" if name in packages else "")
        row = (f"`{name}`", signature, f"`{said.places}`", f"`{said.delivery}`", "; ".join(one.sources))
        rows.append((*row, "; ".join(one.unconfirmed)))
    head = ("evidence", "means", "signature", "places", "delivery")
    return (
        table(head, counts)
        + "\n"
        + table(("verify", "signature", "places", "delivery", "sources", "not confirmed"), rows)
    )


def _count(halves: dict[str, Provider], fact: str, word: str) -> int:
    return sum(getattr(one.confirmed, fact) == word for one in halves.values())


def _schemes(provider: Provider) -> str:
    found = []
    for scheme in provider.schemes:
        what = {"hmac": f"HMAC {scheme.digest}", "hash": scheme.digest, "token": "shared token"}.get(
            scheme.kind, scheme.kind
        )
        place = scheme.header or (f"?{scheme.query}" if scheme.query else scheme.path) or "signature"
        found.append(f"{what} in `{place}`")
    return "; ".join(dict.fromkeys(found))


def _places(provider: Provider) -> str:
    found = []
    for word, places in (("type", provider.type), ("id", provider.delivery_id), ("key", provider.key)):
        spans = [
            f"`{one.header or one.query or one.path or one.constant}{one.plus and f'.{one.plus}'}`" for one in places
        ]
        if spans:
            found.append(f"{word}: {' or '.join(spans)}")
    return "; ".join(found)


def _needs(provider: Provider) -> str:
    found = []
    if provider.split:
        found.append("several events in one request")
    if any("{url" in scheme.signed or "{url_sha256_hex}" in scheme.claims.values() for scheme in provider.schemes):
        found.append("needs `public_url`")
    if provider.data_path:
        found.append(f"`data` is the body's `{provider.data_path}`")
    if provider.handshakes:
        found.append("answers the handshake")
    if provider.answer is not None:
        found.append(f"responds with {provider.answer.status}")
    return "; ".join(found)


def alerts() -> str:
    """Each type of system event: what it says, how severe it is, and what ends it."""
    rows = [
        (f"`{name}`", one.severity.value, one.meaning, f"`{one.ended}`" if one.ended else "")
        for name, one in ALERT_KINDS.items()
    ]
    return table(("type", "severity", "when", "its end"), rows)


PARTS: dict[str, Callable[[], str]] = {
    "alerts": alerts,
    "configuration": configuration,
    "command-line": command_line,
    "api": api,
    "api-forms": api_forms,
    "api-bodies": api_bodies,
    "delivery-headers": delivery_headers,
    "envelope": envelope,
    "findings": findings,
    "metrics": metrics,
    "providers": providers,
    "provider-apis": provider_apis,
    "provider-evidence": provider_evidence,
}


def fresh(text: str) -> str:
    """A page with its generated parts replaced."""
    return MARK.sub(lambda found: found[1] + "\n" + PARTS[found[2]]().strip() + "\n\n" + found[3], text)


def main() -> None:
    for page in (*sorted(PAGES.glob("*.md")), MORE):
        text = page.read_text("utf-8")
        new = fresh(text)
        if new != text:
            page.write_text(new, "utf-8")
            sys.stdout.write(f"wrote {page}\n")


if __name__ == "__main__":
    main()
