"""The parts of `docs/reference/configuration.md`: every struct of the configuration as a table of its keys.

Owns how a struct becomes a table. May not know pages: `generate.py` puts the text into them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import msgspec

from tidegate import auth, kinds
from tidegate.config.schema import DESCRIPTIONS
from tidegate.config.shape import KEYS_NOT_BUILT, TAGS_NOT_BUILT
from tidegate.config.spec import Config
from tidegate.core.spec import Destination
from tidegate.rules.sync import paginators


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; a `|` inside a cell is escaped."""
    lines = ["| " + " | ".join(head) + " |"]
    lines.append("|" + "---|" * (lines[0].count("|") - 1))
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


# -- configuration ---------------------------------------------------------------------------------------

# The heading of each struct: its TOML table. A struct that is not listed is a member of a union (`UNIONS`).
SECTIONS = {
    "GatewaySettings": "[gateway]",
    "Egress": "[egress]",
    "Retention": "[retention]",
    "Alerts": "[alerts]",
    "Credential": "[credentials.NAME]",
    "Source": "[sources.NAME]",
    "WebhookInput": "[sources.NAME.webhook]",
    "Dedupe": "[sources.NAME.webhook.dedupe]",
    "CustomScheme": 'verify = { type = "hmac", ... }',
    "WebSub": "[sources.NAME.webhook.websub]",
    "AnswerTable": "[sources.NAME.webhook.answer]",
    "FormInput": "[sources.NAME.form]",
    "PublishInput": "[sources.NAME.publish]",
    "ApiInput": "[sources.NAME.api]",
    "Limits": "[sources.NAME.api.limits]",
    "ImapInput": "[sources.NAME.imap]",
    "Resource": "[sources.NAME.resources.NAME]",
    "Incremental": "incremental",
    "Deletes": "deletes",
    "Parent": "parent",
    "Shadow": "shadow, of a resource",
    "WebhookFeed": "webhook, of a resource",
    "Operation": "[sources.NAME.operations.NAME]",
    "LookUp": "look_up",
    "Destination": "[destinations.NAME]",
    "Proxy": "proxy",
    "Route": "[routes.NAME]",
    "Transform": "transform",
}
UNIONS = {
    "auth": tuple(one.spec.__name__ for one in auth.KINDS.values()),
    "paginator": tuple(one.spec.__name__ for one in paginators.KINDS.values()),
}
UNION_DESCRIPTIONS = {
    **{one.spec.__name__: dict(one.keys) for one in auth.KINDS.values()},
    **{one.spec.__name__: dict(one.keys) for one in paginators.KINDS.values()},
}


KIND_STRUCTS = tuple(one.spec.__name__ for one in kinds.KINDS.values())
BASES = {"Destination": Destination}  # has the keys that all kinds share, and is not in a `Config` itself


def structs() -> dict[str, Any]:
    """Every struct in a `Config` by name, in the order of appearance."""
    found: dict[str, Any] = {}

    def visit(info: Any) -> None:
        if isinstance(info, msgspec.inspect.StructType):
            if info.cls.__name__ not in found:
                found[info.cls.__name__] = info
                for field in info.fields:
                    visit(field.type)
            return
        for name in ("type", "types", "item_type", "value_type"):
            inner = getattr(info, name, None)
            for one in inner if isinstance(inner, tuple) else (inner,):
                if isinstance(one, msgspec.inspect.Type):
                    visit(one)

    visit(msgspec.inspect.type_info(Config))
    return found


def kind(info: Any) -> str:
    """A type as a user knows it."""
    inspect = msgspec.inspect
    if isinstance(info, inspect.Metadata):
        return kind(info.type)
    if isinstance(info, inspect.UnionType):
        words = [kind(one) for one in info.types if not isinstance(one, inspect.NoneType)]
        return " or ".join(dict.fromkeys(words))
    if isinstance(info, inspect.StrType):
        return FORMS.get((info.pattern or "").rpartition("(")[2], "string")
    if isinstance(info, inspect.LiteralType):
        return ", ".join(f"`{word}`" for word in sorted(info.values))
    if isinstance(info, inspect.ListType):
        return f"list of {kind(info.item_type)}"
    if isinstance(info, inspect.DictType):
        return f"table of {kind(info.value_type)}"
    names = {inspect.IntType: "integer", inspect.FloatType: "number", inspect.BoolType: "boolean"}
    for type_, word in names.items():
        if isinstance(info, type_):
            return word
    return "table" if isinstance(info, inspect.StructType) else "any value"


FORMS = {"ms|s|m|h|d)$": "duration", "s|m|h|d)$": "rate", "B|KiB|MiB|GiB)$": "size"}


def default(field: Any) -> str:
    if field.required:
        return "required"
    value = field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default
    if isinstance(value, list) and value:
        return "`" + msgspec.json.encode(value).decode().replace(",", ", ") + "`"
    if value in (None, msgspec.UNSET, msgspec.NODEFAULT) or value in ("", [], {}) or isinstance(value, msgspec.Struct):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def rows_of(info: Any, words: dict[str, str]) -> list[tuple[str, ...]]:
    tag: list[tuple[str, ...]] = []
    if info.cls is Destination:
        names = ", ".join(f"`{name}`" for name in sorted(kinds.KINDS))
        tag = [("`type`", names, f"`{kinds.DEFAULT}`", words["type"])]
    elif info.tag_field and "type" in words:
        tag = [("`type`", f"`{info.tag}`", "required", words["type"])]
    missing = [field.encode_name for field in info.fields if field.encode_name not in words]
    if missing:
        sys.exit(f"error: {info.cls.__name__} has keys without a description: {', '.join(missing)}")
    return tag + [
        (f"`{field.encode_name}`", kind(field.type), default(field), words[field.encode_name]) for field in info.fields
    ]


def configuration() -> str:
    found = structs()
    head = ("key", "value", "default", "description")
    out = []
    for name, title in SECTIONS.items():
        heading = f"`{title}`" if title[0] == "[" else title
        if title.startswith("verify"):
            heading = "`verify`, as a table"
        elif title[0] != "[":
            heading = f"`{title.split(',')[0]}`{title.partition(',')[1]}{title.partition(',')[2]}"
        info = found[name] if name in found else msgspec.inspect.type_info(BASES[name])
        out.append(f"## {heading}\n\n" + table(head, rows_of(info, DESCRIPTIONS[name])))
        if name == "Destination":
            out += _destination_kinds()
        for union in [key for key in UNIONS if key in {f.encode_name for f in info.fields}]:
            if f"## `{union}`" not in "".join(out):
                out.append(_union(union, found))
    return "\n".join(out) + "\n" + _not_built()


def _destination_kinds() -> list[str]:
    """A part for each kind: its own keys, and those of all kinds that have another default here."""
    out = []
    for one in sorted(kinds.KINDS.values(), key=lambda one: one.name != kinds.DEFAULT):
        info = msgspec.inspect.type_info(one.spec)
        assert isinstance(info, msgspec.inspect.StructType)
        own = [field for field in info.fields if field.encode_name in one.keys]
        rows = [
            (f"`{field.encode_name}`", kind(field.type), default(field), one.keys[field.encode_name]) for field in own
        ]
        text = f'### `type = "{one.name}"`\n\n{one.help}\n\n'
        out.append(text + table(("key", "value", "default", "description"), rows))
    return out


def _union(key: str, found: dict[str, Any]) -> str:
    rows = []
    for name in UNIONS[key]:
        info = found[name]
        first = (f"`{info.tag}`",)
        fields = rows_of(info, UNION_DESCRIPTIONS[name]) or [("", "", "", "The response is one complete page.")]
        rows += [(first if n == 0 else ("",)) + row for n, row in enumerate(fields)]
    return f"## `{key}`\n\nA table with `type` and the keys of this type.\n\n" + table(
        ("type", "key", "value", "default", "description"), rows
    )


def _not_built() -> str:
    rows = [(f"`{key}`", "key", hint) for (_struct, key), hint in KEYS_NOT_BUILT.items()]
    for tags, what, hint in TAGS_NOT_BUILT.values():
        rows += [(f"`{tag}`", what, hint) for tag in tags]
    title = "## Planned, not built yet\n\n"
    text = "Tidegate rejects these with `not_built` (exit code 2). It never ignores them.\n\n"
    return title + text + table(("name", "kind", "alternative"), rows)
