"""`tidegate add source NAME` with a provider file: asks for what is needed, tries it, and writes the configuration.

Owns the questions, the trial of one page and what is written. Invariants: a credential is written as `${env:...}` or
`${file:...}` and printed nowhere; nothing is written when a value does not fit, or when the trial fails. Crash: the
file is appended to in one write.
"""

from __future__ import annotations

import re
import shlex
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from tidegate import auth
from tidegate.cli.check_live import LiveResult
from tidegate.config.checks_provider import check_provider
from tidegate.config.expand import PLAIN_VALUE, mentioned_in
from tidegate.config.export import decode_source, source_toml
from tidegate.config.problems import Problems
from tidegate.config.provider_folder import provider_files
from tidegate.config.spec import Config
from tidegate.core.errors import Blocked, ConfigError, Conflict, UpstreamError
from tidegate.core.spec import Egress
from tidegate.providers import near_provider, provider_data, provider_names, register, registered
from tidegate.providers.api import ApiFile, Given
from tidegate.providers.summary import needed

TRIES = 5  # of one question
Tree = dict[str, Any]


class Value(msgspec.Struct, frozen=True):
    """A value that was given. `written`: what the file gets in its place, "" for the value itself."""

    text: str
    written: str = ""


class Choices(msgspec.Struct):
    """What the user chose. `values`: credentials and values of `with`, by name."""

    source: str
    provider: str
    auth: str = ""
    values: dict[str, Value] = {}
    resources: list[str] = []
    operations: list[str] = []
    poll: str = ""
    base_url: str = ""

    def tree(self, half: ApiFile, *, written: bool) -> Tree:
        """The source with the keys of the file: with the values themselves, or as they are written."""
        assert half.api is not None
        text = {name: one.written if written and one.written else one.text for name, one in self.values.items()}
        api: Tree = {"provider": self.provider}
        if self.base_url:
            api["base_url"] = self.base_url
        wanted = {name: text[name] for name in half.api.with_ if name in text}
        if wanted:
            api["with"] = wanted
        if self.auth:
            fields = half.api.auth[self.auth].fields
            api["auth"] = {"type": self.auth, **{name: text[name] for name in fields if name in text}}
        tree: Tree = {"api": api}
        if self.resources:
            tree["resources"] = {
                name: {"use": name, "poll": self.poll or half.resources[name].suggested_poll} for name in self.resources
            }
        if self.operations:
            tree["operations"] = {name: {"use": name} for name in self.operations}
        return tree

    def environ(self) -> dict[str, str]:
        """The variables that the written text names, with their values."""
        found = {}
        for one in self.values.values():
            if one.written.startswith("${env:"):
                found[one.written[6:-1]] = one.text
        return found


def values_of(given: Sequence[str], environ: Mapping[str, str]) -> dict[str, Value]:
    """`("token=env:T", "owner=acme")` as values. UsageError for a pair that is not NAME=VALUE, or has no value."""
    found: dict[str, Value] = {}
    for pair in given:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise click.UsageError(f"'{name[:60]}' is not NAME=VALUE")
        found[name] = _value(text, environ)
    return found


def _value(text: str, environ: Mapping[str, str]) -> Value:
    kind, _, name = text.partition(":")
    if kind == "env" and name:
        if name not in environ:
            raise click.UsageError(f"the environment variable {name} is not set; export {name}=...")
        return Value(environ[name], f"${{env:{name}}}")
    if kind == "file" and name:
        try:
            return Value(Path(name).read_text("utf-8").rstrip("\n"), f"${{file:{name}}}")
        except (OSError, ValueError) as error:
            raise click.UsageError(f"the file {name!r} cannot be read: {error}") from None
    return Value(text)


def at_a_terminal() -> bool:
    """Whether a person can answer questions."""
    return sys.stdin.isatty()


# -- what is needed --------------------------------------------------------------------------------------


class Asking:
    """Completes the choices: from flags, then by questions where a person is at the terminal."""

    def __init__(self, half: ApiFile, data: Tree, choices: Choices, *, ask: bool, tried: bool = True) -> None:
        """`tried`: the API is asked before anything is written."""
        assert half.api is not None
        self.half = half
        self.api = half.api
        self.data = data
        self.choices = choices
        self.ask = ask
        self.tried = tried
        self.missing: list[str] = []

    def complete(self) -> Choices:
        one = self.choices
        one.auth = self._one_of("kind of credential", one.auth, list(self.api.auth))
        self.tried = self.tried and not asks_for_consent(one.auth)
        one.resources = self._some_of("resources", one.resources, list(self.half.resources))
        one.operations = self._some_of("operations", one.operations, list(self.half.operations))
        added = [name for name in needed(self.half, one.resources) if name not in one.resources]
        if added:
            click.echo(f"also taken, because it is needed: {', '.join(added)}", err=True)
        one.resources = needed(self.half, one.resources)
        choice = self.api.auth.get(one.auth)
        if choice is not None:
            click.echo(f"{one.auth}: {choice.help} {choice.link}".rstrip(), err=True)
            secret = auth.KINDS[one.auth].secret_fields
            for name, given in choice.fields.items():
                self._need(name, _loose(given), hidden=name in secret, credential=True)
        for name in self._mentioned(one):
            self._need(name, self.api.with_[name], hidden=False)
        if self.missing:
            others = [kind for kind in self.api.auth if kind != one.auth]
            kinds = f"; other kinds of credential: --auth {', --auth '.join(others)}" if others else ""
            raise click.UsageError("values are missing: " + "; ".join(self.missing) + kinds)
        unknown = one.values.keys() - self.api.with_.keys() - (choice.fields.keys() if choice else set())
        if unknown:
            raise click.UsageError(f"'{min(unknown)}' is not a value that {one.provider} asks for")
        return one

    def _mentioned(self, one: Choices) -> list[str]:
        """The values of `with` that the chosen parts need, in the order of the file."""
        api = {key: value for key, value in self.data["api"].items() if key not in ("with", "auth")}
        parts = [{**api, "base_url": one.base_url or api["base_url"]}]
        parts += [self.data["api"].get("auth", {}).get(one.auth, {}).get("set", {})]
        parts += [self.data["resources"][name] for name in one.resources]
        parts += [self.data["operations"][name] for name in one.operations]
        names = mentioned_in(parts)
        return [name for name in self.api.with_ if name in names]

    def _one_of(self, what: str, chosen: str, known: list[str]) -> str:
        if chosen and chosen not in known:
            raise click.UsageError(f"{self.choices.provider} has no {what} '{chosen}'; it has: {', '.join(known)}")
        if chosen or len(known) < 2 or not self.ask:
            return chosen or next(iter(known), "")
        return str(click.prompt(what, type=click.Choice(known), default=known[0], err=True))

    def _some_of(self, what: str, chosen: list[str], known: list[str]) -> list[str]:
        if not chosen and known and self.ask:
            chosen = self._listed(what, known)
        elif not chosen and what == "resources":
            chosen = known[:1]
        for name in chosen:
            self._one_of(what.removesuffix("s"), name, known)
        return list(dict.fromkeys(chosen))

    def _listed(self, what: str, known: list[str]) -> list[str]:
        """The answer to the question for a list of names; asked again when one of them is not known."""
        question = f"{what} ({', '.join(known)}, none), separated by commas"
        chosen: list[str] = []
        for _ in range(TRIES):
            text = click.prompt(question, default=known[0] if what == "resources" else "none", err=True)
            chosen = [one.strip() for one in text.split(",") if one.strip() not in ("", "none")]
            wrong = [name for name in chosen if name not in known]
            if not wrong:
                break
            click.echo(f"{self.choices.provider} has no {what.removesuffix('s')} '{wrong[0][:60]}'", err=True)
        return chosen

    def _need(self, name: str, given: Given, *, hidden: bool, credential: bool = False) -> None:
        value = self.choices.values.get(name)
        label = f"{name}: {given.help} {given.link}".rstrip()
        if value is None and self.ask:
            value = self._asked(label.rstrip("."), given, hidden=hidden, credential=credential)
        if value is None and given.default:
            return
        if value is None:
            example = "..." if hidden or not given.example else given.example
            self.missing.append(f"--set {name}={shlex.quote(example)} ({label.partition(': ')[2]})")
            return
        if not fits(value.text, given):
            self._does_not_fit(name, given, credential=credential)
        if hidden and not value.written:
            variable = re.sub(r"[^A-Z0-9]+", "_", f"{self.choices.source}_{name}".upper())
            value = Value(value.text, f"${{env:{'_' if variable[:1].isdigit() else ''}{variable}}}")
        self.choices.values[name] = value

    def _asked(self, label: str, given: Given, *, hidden: bool, credential: bool) -> Value | None:
        for _ in range(TRIES):
            text = click.prompt(
                label, default=given.default, show_default=bool(given.default), hide_input=hidden, err=True
            )
            if not text and given.default == "":
                continue
            if fits(text, given):
                return Value(text)
            example = f" (example: {given.example})" if given.example else ""
            if credential and click.confirm(f"that does not look like one{example}; use it anyway?", err=True):
                return Value(text)
            if not credential:
                click.echo(f"that is not such a value{example}", err=True)
        return None

    def _does_not_fit(self, name: str, given: Given, *, credential: bool) -> None:
        """A value of the address must fit its pattern. A credential may have a new form: the trial tells."""
        example = f"; example: {given.example}" if given.example else ""
        text = f"the value of '{name}' does not fit {given.pattern or PLAIN_VALUE} ({given.help}{example})"
        if not credential or not self.tried:
            raise click.UsageError(text)
        click.echo(f"warning: {text}; it is tried anyway", err=True)


def asks_for_consent(kind: str) -> bool:
    """Whether a person has to consent in a browser before the API can be asked."""
    return bool(kind) and bool(getattr(auth.KINDS[kind], "consent", False))


def fits(text: str, given: Given) -> bool:
    return re.fullmatch(given.pattern or PLAIN_VALUE, text) is not None


def _loose(given: Given) -> Given:
    """A credential without a pattern may have any characters."""
    return given if given.pattern else msgspec.structs.replace(given, pattern=r"[\s\S]{1,16000}")


# -- trying it -------------------------------------------------------------------------------------------


async def ask_once(choices: Choices, half: ApiFile, text: str, allow: list[str]) -> list[LiveResult]:
    """One page of each chosen resource of a provider whose file has `text`."""
    register({**registered(), choices.provider: text})
    return await trial(configuration(choices, half, allow), keep=3)


def configuration(choices: Choices, half: ApiFile, allow: list[str]) -> Config:
    """The source alone, with the values. ConfigError when it does not work."""
    source = decode_source(choices.source, choices.tree(half, written=False))
    return Config(egress=Egress(allow=allow), sources={choices.source: source})


async def trial(config: Config, keep: int) -> list[LiveResult]:
    from tidegate.cli.check_live import ask_all

    return [one async for one in ask_all(config, keep)]


def _hint_of_trial(results: list[LiveResult], choices: Choices, half: ApiFile) -> str:
    """What to look at first, by what the API answered."""
    assert half.api is not None
    statuses = {one.status for one in results}
    if any(one.hint == Blocked.hint for one in results):
        return "a private address is asked only if you allow it: add --allow 127.0.0.1/32, with your network"
    first = "correct what the API complains about"
    if statuses & {401, 403} and choices.auth:
        one = half.api.auth[choices.auth]
        first = f"check the credential ({one.help} {one.link}".rstrip() + ")"
    elif 404 in statuses and half.api.with_.keys() & choices.values.keys():
        names = ", ".join(name for name in half.api.with_ if name in choices.values)
        first = f"check {names}, and that the credential may read there"
    return f"{first}; or write the source without a trial: --no-try"


# -- writing ---------------------------------------------------------------------------------------------


def _tree(file: Path) -> Tree:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} cannot be read: {error}", hint=f"tidegate check {file}") from None


def _check_free(file: Path, name: str) -> None:
    if name in _tree(file).get("sources", {}):
        hint = f"choose another name: tidegate add source {name}-2 --provider ..., or edit {file}"
        raise Conflict(f"{file} has [sources.{name}] already", hint=hint, code="exists")


def append(file: Path, name: str, block: str) -> None:
    """Add the block to the file. Conflict when it has the source already."""
    _check_free(file, name)
    with file.open("a", encoding="utf-8") as opened:
        opened.write(("\n" if file.stat().st_size else "") + block)


def add(name: str, options: Mapping[str, Any], put: Any) -> int:
    """The whole command. `put(name, tree)` sends the source to a running gateway."""
    import asyncio
    import os

    from tidegate.cli.check_live import show

    file: Path = options["file"]
    tree = _tree(file)
    register(provider_files(tree, file.parent))
    provider = options["provider"] or name
    if provider not in provider_names():
        near = near_provider(provider)
        words = f"did you mean {near!r}?" if near else "list them: tidegate providers list"
        raise click.UsageError(f"'{provider[:60]}' is not a provider ({words}), and there is no KEY=VALUE")
    if not options["running"]:
        _check_free(file, name)
    data = provider_data(provider)
    half = check_provider(data, provider, Problems())
    if half.api is None:
        hint = f"it can only receive: tidegate add source {name} webhook.verify={provider} webhook.secret=..."
        raise ConfigError(f"the provider '{provider}' has no API half", hint=hint)
    given = values_of(options["given"], os.environ)
    choices = Choices(name, provider, options["kind"], given, list(options["resource"]), list(options["operation"]))
    choices.poll, choices.base_url = options["poll"], options["base_url"]
    tried = not options["no_try"]
    choices = Asking(half, data, choices, ask=at_a_terminal() and not options["yes"], tried=tried).complete()
    known = tree.get("egress", {}).get("allow", [])
    allow = [*known, *options["allow"]]
    config = configuration(choices, half, allow)
    consent = asks_for_consent(choices.auth)
    if tried and not consent:
        results = asyncio.run(trial(config, keep=3))
        for one in results:
            show(one)
        if any(one.error for one in results):
            raise UpstreamError("the trial failed, and nothing was written", code="trial_failed",
                                hint=_hint_of_trial(results, choices, half))  # fmt: skip
    if options["running"]:
        put(name, choices.tree(half, written=False))
        return 0
    _write(file, choices, half, consent=consent)
    if set(options["allow"]) - set(known):
        listed = msgspec.json.encode(allow).decode()
        click.echo(f"allow = {listed}   # put it into [egress] of {file}: --allow is not in it")
    return 0


def _write(file: Path, choices: Choices, half: ApiFile, *, consent: bool) -> None:
    """Add the source to the file, and say what comes next."""
    block = source_toml(choices.source, choices.tree(half, written=True))
    append(file, choices.source, block)
    click.echo(f"\nadded to {file}:\n\n{block}")
    for variable in choices.environ():
        click.echo(f"export {variable}=...   # for `tidegate serve`; the value is not in the file")
    click.echo(f"tidegate check {file}")
    if consent:
        click.echo(f"tidegate auth connect {choices.source}   # when the gateway runs")
