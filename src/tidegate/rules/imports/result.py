"""What an import makes: an API, resources and operations, and notes about what was left out or guessed. Pure.

Owns the two forms of the result: a source of `tidegate.toml`, and a provider file. Knows no format. Invariant: a value
that only the user knows (a credential, an owner, a subdomain) is named in `to_do`, never made up without a word.
"""

from __future__ import annotations

import difflib
import re
from typing import Any, Literal

import msgspec

from tidegate.core.errors import TidegateError

Tree = dict[str, Any]
MAX_NOTES = 500
UNSET = "change-me"  # what a value gets that the user has to set
_GIVEN = re.compile(r"\{with\.([a-z0-9_]+)\}")


class ImportRejected(TidegateError):
    """The document cannot be imported. Nothing was made."""

    code = "import_rejected"
    status = 422
    hint = "see the section about imports in docs/guides/poll-an-api.md"


class Note(msgspec.Struct, frozen=True):
    """One thing that the result does not have as the document has it. `where`: its place in the document."""

    kind: Literal["left_out", "guessed", "to_do"]
    where: str
    what: str
    remedy: str


class Credential(msgspec.Struct, frozen=True):
    """One kind of auth: the keys that are the same for everybody, and those that the user gives, with a help text."""

    kind: str
    set: Tree = {}
    fields: dict[str, str] = {}


class Candidate(msgspec.Struct, frozen=True):
    """What can be chosen. `problem`: why it cannot be taken, "" when it can."""

    kind: Literal["resource", "operation"]
    name: str
    request: str
    problem: str = ""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What the user wants. `resources` and `operations`: names of candidates; empty is what the format takes by itself.

    `values`: of `{with.NAME}` and of variables; `keys`: primary keys by the name of the resource.
    """

    resources: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    everything: bool = False
    values: dict[str, str] = {}
    keys: dict[str, str] = {}


class Imported(msgspec.Struct, kw_only=True):
    """The result. Resources and operations have the keys of `tidegate.toml`, with `{with.NAME}` in their strings."""

    format: str
    title: str = ""
    docs: str = ""
    base_url: str = ""
    headers: dict[str, str] = {}
    credentials: list[Credential] = []
    secret_headers: dict[str, str] = {}  # more credentials, each in a header of its own: what it is
    given: dict[str, str] = {}  # what `{with.NAME}` is, by name
    defaults: dict[str, str] = {}
    resources: dict[str, Tree] = {}
    operations: dict[str, Tree] = {}
    candidates: list[Candidate] = []
    notes: list[Note] = []
    notes_dropped: int = 0

    def left_out(self, where: str, what: str, remedy: str) -> None:
        self._note(Note("left_out", where, what, remedy))

    def guessed(self, where: str, what: str, remedy: str) -> None:
        self._note(Note("guessed", where, what, remedy))

    def to_do(self, where: str, what: str, remedy: str) -> None:
        self._note(Note("to_do", where, what, remedy))

    def _note(self, note: Note) -> None:
        if note in self.notes:
            return
        if len(self.notes) >= MAX_NOTES:
            self.notes_dropped += 1
        else:
            self.notes.append(note)

    # -- the two forms -----------------------------------------------------------------------------------

    def source(self, name: str, values: dict[str, str]) -> tuple[Tree, dict[str, str]]:
        """`[sources.NAME]`, and the environment variables of its credential with what each is."""
        known = {one: values.get(one) or self.defaults.get(one) or "" for one in self.given}
        api: Tree = {"base_url": self._filled_url(known)}
        variables: dict[str, str] = {}

        def variable(of: str, help_text: str) -> str:
            found = re.sub(r"[^A-Z0-9]+", "_", f"{name}_{of}".upper())
            variables[found] = help_text
            return f"${{env:{found}}}"

        if self.headers or self.secret_headers:
            api["headers"] = {key: _filled(text, known) for key, text in self.headers.items()}
            api["headers"] |= {key: variable(key, text) for key, text in self.secret_headers.items()}
        if self.credentials:
            one = self.credentials[0]
            api["auth"] = {"type": one.kind, **_filled(one.set, known)}
            api["auth"] |= {field: variable(field, text) for field, text in one.fields.items()}
        tree: Tree = {"api": api}
        if self.resources:
            tree["resources"] = {
                key: {**_dollars(one), **self._with(key, one, known), "poll": "5m"}
                for key, one in self.resources.items()
            }
        if self.operations:
            tree["operations"] = {
                key: {**_dollars(one), **self._with(key, one, known)} for key, one in self.operations.items()
            }
        return tree, variables

    def _note_default(self, name: str, known: dict[str, str]) -> None:
        default = self.defaults.get(name)
        if default and known.get(name) == default:
            self.guessed(name, f"it is {default[:80]}, the default of the document", f"--set {name}=VALUE")

    def _filled_url(self, known: dict[str, str]) -> str:
        for name in _names(self.base_url):
            self._note_default(name, known)
            if not known.get(name):
                self.to_do("base_url", f"{name}: {self.given.get(name, '')}".rstrip(": "), f"--set {name}=VALUE")
        return str(_filled(self.base_url, known))

    def _with(self, where: str, one: Tree, known: dict[str, str]) -> Tree:
        names = _names(one)
        for name in names:
            self._note_default(name, known)
            if not known.get(name):
                self.to_do(where, f"{name}: {self.given.get(name, '')}".rstrip(": "), f"--set {name}=VALUE")
        return {"with": {name: known.get(name) or UNSET for name in names}} if names else {}

    def provider(self) -> Tree:
        """The content of a provider file."""
        headers = {**self.headers, **{name: f"{{with.{_given_name(name)}}}" for name in self.secret_headers}}
        given = {**self.given, **{_given_name(name): text for name, text in self.secret_headers.items()}}
        used = _names([self.base_url, headers, self.resources, self.operations])
        used += [name for one in self.credentials for name in _names(one.set) if name not in used]
        api: Tree = {"docs": self.docs} if self.docs else {}
        api["unconfirmed"] = [f"{note.where}: {note.what}"[:300] for note in self.notes if note.kind == "guessed"][:50]
        api["base_url"] = self.base_url
        if headers:
            api["headers"] = headers
        if used:
            api["with"] = {
                name: {
                    "help": given.get(name) or f"The value of {name}.",
                    **({"default": self.defaults[name]} if self.defaults.get(name) else {}),
                    "example": _example(self.defaults.get(name, ""), name),
                }
                for name in used
            }
        if self.credentials:
            api["auth"] = {
                one.kind: {
                    **({"set": one.set} if one.set else {}),
                    "fields": {field: {"help": text} for field, text in one.fields.items()},
                }
                for one in self.credentials
            }
        tree: Tree = {"title": self.title or "Imported", "api": api}
        if self.resources:
            tree["resources"] = {key: {**one, "suggested_poll": "5m"} for key, one in self.resources.items()}
        if self.operations:
            tree["operations"] = self.operations
        return tree


def _given_name(header: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", header.lower()).strip("_")


def taken(found: list[Candidate], wanted: tuple[str, ...], kind: str) -> list[str]:
    """What was asked for, by its name or its request (`GET /pets`, `/pets`).

    ImportRejected for an unknown one, and for one that cannot be taken."""
    known = {one.name: one for one in found if one.kind == kind}
    requests = {text: one.name for one in known.values() for text in (one.request, one.request.partition(" ")[2])}
    wanted = tuple(name if name in known else requests.get(name, name) for name in wanted)
    for name in wanted:
        if name not in known:
            near = difflib.get_close_matches(name, [*known, *requests], n=3, cutoff=0.5)
            some = f"near it: {', '.join(near)}" if near else f"some: {', '.join(sorted(known)[:12]) or 'none'}"
            raise ImportRejected(
                f"there is no {kind} {name[:60]!r} in the document", hint=f"--list shows them all; {some}"
            )
        if known[name].problem:
            hint = f"--key {name}=FIELD names the key" if "no field" in known[name].problem else "choose another one"
            raise ImportRejected(f"{kind} {name}: {known[name].problem}", hint=hint)
    return list(dict.fromkeys(wanted))


def _names(value: Any) -> list[str]:
    return list(dict.fromkeys(name for text in _texts(value) for name in _GIVEN.findall(text)))


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for key, one in value.items() for text in [*_texts(key), *_texts(one)]]
    return [text for one in value for text in _texts(one)] if isinstance(value, list) else []


def _filled(value: Any, known: dict[str, str]) -> Any:
    """The value with `{with.NAME}` replaced, and `$` escaped as the configuration needs it."""
    if isinstance(value, str):
        return _GIVEN.sub(lambda found: known.get(found[1]) or UNSET, value.replace("${", "$${"))
    if isinstance(value, dict):
        return {key: _filled(one, known) for key, one in value.items()}
    return [_filled(one, known) for one in value] if isinstance(value, list) else value


def _dollars(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("${", "$${")
    if isinstance(value, dict):
        return {key: _dollars(one) for key, one in value.items()}
    return [_dollars(one) for one in value] if isinstance(value, list) else value


def _example(default: str, name: str) -> str:
    return default if re.fullmatch(r"[A-Za-z0-9._~-]+", default) else re.sub(r"[^a-z0-9]", "", name) or "x"
