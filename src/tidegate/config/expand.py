"""Fills the keys that a provider file gives into the sources of a user: `provider`, `use` and `with`.

Owns the merge. `[sources.X.api] provider = "github"` takes `[api]` of that file, `use = "issues"` takes
`[resources.issues]` or `[operations.issues]`; the user's keys come first, tables are merged key by key, and lists and
paginators of another type are replaced. `{with.NAME}` of the API and of operations becomes the value that the user
gave; a resource keeps its own. Pure: a function from trees to trees. It may not know the store. Problems are at the
user's key, or name the provider file. Invariant: what is returned has no reference to a provider file, so a later
change of that file changes nothing until the source is loaded again. Crash: nothing is kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from tidegate.config.lines import Path
from tidegate.config.problems import Problems, nearest
from tidegate.config.spec import ExpandedSource, Source
from tidegate.core.errors import ConfigError
from tidegate.providers.api import RESOURCE_EXTRA

Tree = dict[str, Any]
Lookup = Callable[[str], Tree]
"""A provider's name -> the content of its file. ConfigError when there is none."""

PLAIN_VALUE = r"[A-Za-z0-9._~-]{1,200}"  # of a value without a pattern of its own
_HOLE = re.compile(r"\{with\.([A-Za-z0-9_]+)\}")
_NOT_TEXT = re.compile(r"[\x00-\x1f\x7f{}]")
# Keys of a provider's resource that only have a meaning when it is polled.
_OF_POLLS = ("incremental", "deletes")
# Keys of a resource whose placeholders are filled when a request is made, each as its place needs it.
_FILLED_LATER = ("path", "item_path", "params", "item_params", "headers", "json", "use", "with")
_TAGS = ("type", "mode")  # keys that say which other keys a table has


def takes_from_provider(source: Any) -> bool:
    """Whether a source's tree names a provider file, or has values to fill in."""
    if not isinstance(source, dict):
        return False
    api = source.get("api")
    if isinstance(api, dict) and "provider" in api:
        return True
    return any("use" in one for one in _tables(source, "resources")) or any(
        "use" in one or "with" in one for one in _tables(source, "operations")
    )


def expand_all(tree: Tree, lookup: Lookup, problems: Problems) -> Tree:
    """A file's tree in which each source has what its provider gives. Other tables are shared with `tree`."""
    sources = tree.get("sources")
    if not isinstance(sources, dict):
        return tree
    expanded = {name: expand(one, ("sources", name), lookup, problems) for name, one in sources.items()}
    return {**tree, "sources": expanded}


def expand(source: Any, path: Path, lookup: Lookup, problems: Problems) -> Any:
    """One source's tree with what its provider gives; the same object when it takes nothing."""
    if not takes_from_provider(source):
        return source
    return _Expansion(source, path, problems).run(lookup)


def with_written(source: Source, written: Tree) -> Source:
    """The struct of an expanded tree, beside what the user wrote."""
    if not takes_from_provider(written):
        return source
    return ExpandedSource(**{name: getattr(source, name) for name in Source.__struct_fields__}, written=written)


def with_secret(source: Source, secret: str) -> Source:
    """The source with another secret of its webhook."""
    assert source.webhook is not None
    changed = msgspec.structs.replace(source, webhook=msgspec.structs.replace(source.webhook, secret=secret))
    if not isinstance(changed, ExpandedSource):
        return changed
    written = {**changed.written, "webhook": {**changed.written["webhook"], "secret": secret}}
    return msgspec.structs.replace(changed, written=written)


def _tables(source: Tree, key: str) -> list[Tree]:
    found = source.get(key)
    return [one for one in found.values() if isinstance(one, dict)] if isinstance(found, dict) else []


class _Expansion:
    """One source. Problems are added; a table that has one keeps a form in which nothing else is wrong with it."""

    def __init__(self, source: Tree, path: Path, problems: Problems) -> None:
        self.source = source
        self.path = path
        self.problems = problems
        api = source.get("api")
        self.api: Tree = api if isinstance(api, dict) else {}
        self.name = str(self.api.get("provider", ""))
        self.file: Tree = {}
        self.declared: Mapping[str, Tree] = {}  # `[api.with]` of the file
        self.values: Tree = {}  # of the whole API

    def run(self, lookup: Lookup) -> Tree:
        out = dict(self.source)
        if self.name:
            try:
                self.file = lookup(self.name)
            except ConfigError as error:
                self.problems.add((*self.path, "api", "provider"), error.message, error.hint or "", code=error.code)
        if isinstance(self.source.get("api"), dict):
            out["api"] = self._api()
        for key, one in (("resources", self._resource), ("operations", self._operation)):
            found = self.source.get(key)
            if isinstance(found, dict):
                out[key] = {name: one(name, table) for name, table in found.items()}
        return out

    # -- the API -----------------------------------------------------------------------------------------

    def _api(self) -> Tree:
        at = (*self.path, "api")
        half = self.file.get("api")
        if not isinstance(half, dict):
            if self.file:
                hint = "describe the API in the source itself: base_url, auth and the paths of its resources"
                self.problems.add((*at, "provider"), f"the provider '{self.name}' has no API half", hint)
            return self.api if "base_url" in self.api else {**self.api, "base_url": "https://unknown.invalid"}
        keys = ("base_url", "headers", "rate", "timeout", "limits")
        base: Tree = {key: half[key] for key in keys if key in half}
        auth = self.api.get("auth")
        if isinstance(auth, dict):
            choice = half.get("auth", {}).get(auth.get("type"), {})
            base["auth"] = {"type": auth.get("type"), **choice.get("set", {})}
            base["base_url"] = choice.get("base_url") or base.get("base_url", "")
        self.declared = half.get("with", {})
        out: Tree = merged(base, self.api)
        # What the user's own keys replaced, such as a base URL with a host name, needs no value any more.
        self.values = self._given(self.api, mentioned_in(out), at)
        filled_in: Tree = filled(out, self.values)
        return filled_in

    # -- resources and operations ------------------------------------------------------------------------

    def _resource(self, name: str, own: Any) -> Any:
        at = (*self.path, "resources", name)
        if not isinstance(own, dict) or "use" not in own:
            return own
        entry = self._entry(own, at, "resources")
        if entry is None:
            return {"path": "/", **{key: value for key, value in own.items() if key in ("path", "use")}}
        base = {key: value for key, value in entry.items() if key not in RESOURCE_EXTRA}
        self._drop_unused(base, own)
        self._rename(base, own, at)
        out = merged(base, {key: value for key, value in own.items() if key != "with"})
        values = self._given(own, mentioned_in(out), at)
        out = {key: value if key in _FILLED_LATER else filled(value, values) for key, value in out.items()}
        return {**out, "with": values} if values else out

    def _drop_unused(self, base: Tree, own: Tree) -> None:
        """What only a poll or a webhook gives a meaning, when the user has none."""
        if not {"poll", "schedule", "reconcile"} & own.keys():
            for key in _OF_POLLS:
                base.pop(key, None)
        verify = self.source["webhook"].get("verify") if isinstance(self.source.get("webhook"), dict) else ""
        if "webhook" in own:
            return
        if "publish" not in self.source and not str(verify or "").startswith(self.name):
            base.pop("webhook", None)

    def _rename(self, base: Tree, own: Tree, at: Path) -> None:
        """A resource names its parent, or its feed of deletes, by the provider's name; here it may have another."""
        for key in ("parent", "deletes"):
            theirs = base[key].get("resource", "") if isinstance(base.get(key), dict) else ""
            if not theirs:
                continue
            chosen = own[key].get("resource") if isinstance(own.get(key), dict) else None
            name = chosen or self._named(theirs)
            if name is None:
                hint = f'add [sources.NAME.resources.{theirs}] use = "{theirs}"'
                self.problems.add((*at, "use"), f"'{own['use']}' needs the resource '{theirs}' of {self.name}", hint)
            elif name != theirs:
                base[key] = {**base[key], "resource": name}
                if key == "parent":
                    for part, value in base.items():
                        base[part] = _renamed(value, theirs, name)

    def _named(self, theirs: str) -> str | None:
        """What the user calls a resource of the provider: the same, or the only one that uses it."""
        resources = self.source.get("resources", {})
        users = [name for name, one in resources.items() if isinstance(one, dict) and one.get("use") == theirs]
        if theirs in resources:
            return theirs
        return users[0] if len(users) == 1 else None

    def _operation(self, name: str, own: Any) -> Any:
        at = (*self.path, "operations", name)
        if not isinstance(own, dict) or not ({"use", "with"} & own.keys()):
            return own
        base: Tree = {}
        if "use" in own:
            entry = self._entry(own, at, "operations")
            if entry is None:
                return {"path": "/", "use": own["use"]}
            base = dict(entry)
            if base.get("resource") and "resource" not in own:
                base["resource"] = self._named(base["resource"]) or ""
        out = merged(base, own)
        values = self._given(own, mentioned_in(out), at)
        return {
            key: value if key in ("use", "with") else filled(value, values, encode=key == "path")
            for key, value in out.items()
        }

    def _entry(self, own: Tree, at: Path, table: str) -> Tree | None:
        """The provider's resource or operation that `use` names; None when a problem was added."""
        what, use = table.removesuffix("s"), own["use"]
        if not self.name:
            hint = 'add provider = "NAME" to [sources.NAME.api]'
            self.problems.add((*at, "use"), "'use' needs a provider, and the API of the source names none", hint)
            return None
        if not self.file:
            return None
        known = self.file.get(table, {})
        if not isinstance(use, str) or use not in known:
            hint = nearest(str(use), known, what) if known else f"list them: tidegate providers show {self.name}"
            self.problems.add((*at, "use"), f"the provider '{self.name}' has no {what} {str(use)[:60]!r}", hint)
            return None
        found: Tree = known[use]
        return found

    # -- values ------------------------------------------------------------------------------------------

    def _given(self, own: Tree, mentioned: set[str], at: Path) -> Tree:
        """The values of `{with.NAME}` for the names that are mentioned: of this table, then of the API, then defaults.

        Adds a problem for each that is missing, unknown, or does not fit what the provider declares.
        """
        given = own["with"] if isinstance(own.get("with"), dict) else {}
        for name in given:
            if name in self.declared:
                self._fits(given[name], self.declared[name], (*at, "with", name))
            elif name not in mentioned:
                known = mentioned | (self.declared.keys() if at[-1] == "api" else set())
                hint = nearest(name, known, "key") if known else "remove it"
                self.problems.add((*at, "with", name), f"'{name}' is not a value that is needed here", hint)
        out = {**self.values, **given}
        for name in sorted(mentioned - out.keys()):
            rule = self.declared.get(name, {})
            out[name] = rule.get("default") or rule.get("example") or "x"
            if not rule.get("default"):
                hint = f'add with = {{ {name} = "{rule.get("example") or "..."}" }}. {rule.get("help", "")}'
                self.problems.add((*at, "with"), f"the value '{name}' is missing", hint.strip())
        return out if at[-1] == "api" else {name: value for name, value in out.items() if name in mentioned}

    def _fits(self, value: Any, rule: Tree, at: Path) -> None:
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        pattern = rule.get("pattern") or PLAIN_VALUE
        if len(text) > 2000 or _NOT_TEXT.search(text) is not None or re.fullmatch(pattern, text) is None:
            example = f"write it like {rule['example']}" if rule.get("example") else rule.get("help", "")
            self.problems.add(at, f"{self.problems.show(at, value)} is not such a value", example)


# -- trees -----------------------------------------------------------------------------------------------


def merged(base: Tree, own: Tree) -> Tree:
    """`own` over `base`: tables key by key, unless they are of another `type` or `mode`; all else is replaced."""
    out = dict(base)
    for key, value in own.items():
        old = base.get(key)
        if (
            isinstance(value, dict)
            and isinstance(old, dict)
            and all(value.get(tag, old.get(tag)) == old.get(tag) for tag in _TAGS)
        ):
            out[key] = merged(old, value)
        else:
            out[key] = value
    return out


def filled(node: Any, values: Mapping[str, Any], *, encode: bool = False) -> Any:
    """The tree with `{with.NAME}` replaced by values; a text that is one placeholder alone gets the value's type.

    `encode`: percent-encoded, for a path. A name without a value stays, which the checks reject.
    """
    if isinstance(node, str):
        whole = _HOLE.fullmatch(node)
        if whole is not None and whole[1] in values and not encode:
            return values[whole[1]]
        return _HOLE.sub(lambda match: _text(values[match[1]], encode) if match[1] in values else match[0], node)
    if isinstance(node, dict):
        return {key: filled(value, values, encode=encode) for key, value in node.items()}
    if isinstance(node, list):
        return [filled(value, values, encode=encode) for value in node]
    return node


def _text(value: Any, encode: bool) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return quote(text, safe="") if encode else text


def mentioned_in(node: Any) -> set[str]:
    return set(_HOLE.findall(msgspec.json.encode(node).decode()))


def _renamed(node: Any, old: str, new: str) -> Any:
    """The tree with `{resources.OLD.` and the fields `_OLD_` of a parent's rows under the new name."""
    if isinstance(node, str):
        text = node.replace(f"{{resources.{old}.", f"{{resources.{new}.")
        return f"_{new}_{text.removeprefix(f'_{old}_')}" if text.startswith(f"_{old}_") else text
    if isinstance(node, dict):
        return {key: _renamed(value, old, new) for key, value in node.items()}
    return [_renamed(value, old, new) for value in node] if isinstance(node, list) else node
