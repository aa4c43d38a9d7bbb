"""Loads a file into a `Config`: read, replace `${env:NAME}` and `${file:PATH}`, check, convert.

Owns the order of these steps and the meaning of `${...}`. The environment is an argument; this module does not read
it. Invariant: a returned configuration is complete and consistent, and an error names every problem that could be
found, with FILE:LINE. Crash: loading changes nothing.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from datetime import date, datetime, time
from pathlib import Path as FilePath
from typing import Any, TypeVar

import msgspec

from tidegate.config.auth_types import with_auth_types
from tidegate.config.checks import check_config
from tidegate.config.expand import expand_all, with_written
from tidegate.config.lines import Path
from tidegate.config.problems import Problems, nearest
from tidegate.config.provider_folder import provider_files
from tidegate.config.shape import check_shape
from tidegate.config.spec import Config
from tidegate.core.errors import ConfigError
from tidegate.kinds import with_type
from tidegate.providers import provider_data, register, registered

MAX_FILE_BYTES = 4 << 20
MAX_SECRET_BYTES = 64 << 10  # of a ${file:PATH}
MAX_DEPTH = 64
_PLACEHOLDER = re.compile(r"\$?\$\{([^{}]*)\}")
_AT_LINE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


class Loaded(msgspec.Struct, frozen=True):
    """`text` is the content of the file; `warnings` are messages that do not stop the load."""

    config: Config
    text: str
    warnings: tuple[str, ...] = ()


def load_file(path: FilePath, environ: Mapping[str, str]) -> Loaded:
    """Load a file. Raises ConfigError (ConfigRejected when there are several problems)."""
    name = str(path)
    hint = "tidegate init"
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        message = f"the file {name!r} does not exist"
        raise ConfigError(message, where=name, hint=hint, code="config_unreadable") from None
    except OSError as error:
        raise ConfigError(
            f"the file {name!r} cannot be read: {error.strerror}",
            where=name,
            hint=f"ls -l {name}",
            code="config_unreadable",
        ) from None
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(
            f"the file {name!r} has {len(data)} bytes; {MAX_FILE_BYTES} are allowed",
            where=name,
            hint="define some of the items through the API",
            code="config_unreadable",
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"byte 0x{data[error.start]:02x} is not UTF-8", where=f"{name}:{line}", hint="save the file as UTF-8"
        ) from None
    return load_text(text, name, environ, base=path.parent)


def load_text(text: str, name: str, environ: Mapping[str, str], base: FilePath | None = None) -> Loaded:
    """As `load_file`, for text that errors call `name`; `${file:...}` is relative to `base`."""
    raw = _parse(text, name)
    problems = Problems(name, text, raw)
    filled = _Filler(problems, environ, base or FilePath()).fill(raw, ())
    # A placeholder that cannot be replaced is one problem, and its value is not checked further.
    problems.ignore_further_at_known_paths()
    before = registered()
    register(provider_files(filled, base or FilePath()))
    try:
        return _checked(with_auth_types(filled), name, text, problems)
    except ConfigError:
        register(before)  # the configuration that is active may use these
        raise


def _checked(written: Any, name: str, text: str, problems: Problems) -> Loaded:
    """The tree after `${...}` was replaced, expanded, checked and converted."""
    filled = expand_all(written, provider_data, problems)
    check_shape(filled, Config, problems)
    if len(problems):
        _check_the_others(filled, problems)
    problems.raise_found()
    config = convert(filled, Config, name)
    sources = {name: with_written(one, written["sources"][name]) for name, one in config.sources.items()}
    config = msgspec.structs.replace(config, sources=sources)
    check_config(config, problems)
    problems.raise_found()
    return Loaded(config, text, tuple(problems.warnings))


def _check_the_others(filled: Mapping[str, Any], problems: Problems) -> None:
    """Check the items with a correct shape even when others have errors, so that one run reports all problems."""
    rest: dict[str, Any] = {}
    rejected: dict[str, list[str]] = {}
    for table in Config.__struct_fields__:
        part = filled.get(table, {})
        items = part if isinstance(part, dict) else {}
        if table in ("credentials", "sources", "destinations", "routes"):
            rejected[table] = [name for name in items if problems.touch((table, name))]
            rest[table] = {name: item for name, item in items.items() if name not in rejected[table]}
        elif problems.touch((table,)):
            return  # a wrong setting can be the cause of further problems
        else:
            rest[table] = part
    try:
        config = convert(rest, Config)
    except ConfigError:
        return  # the problems found so far are reported
    check_config(config, problems, rejected)


def _parse(text: str, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # tomllib of Python 3.11 gives the place only in its message.
        match = _AT_LINE.search(str(error))
        line = int(match[1]) if match and match[1] else text.count("\n") + 1
        message, hint = _toml_problem(_AT_LINE.sub("", str(error)))
        raise ConfigError(f"the file is not valid TOML: {message}", where=f"{name}:{line}", hint=hint) from None
    except RecursionError:
        raise ConfigError("tables or lists are nested too deeply", where=f"{name}:1", hint="flatten them") from None


def _toml_problem(message: str) -> tuple[str, str]:
    """(what tomllib found, what to do). It shows the name of a table as a tuple of Python."""
    twice = re.fullmatch(r"Cannot declare \((.*?),?\) twice", message)
    if twice:
        table = twice[1].replace("', '", ".").strip("'")
        return f"the table [{table}] is defined twice", "merge the two tables, or rename one"
    if message == "Invalid value":
        return "this is not a value", 'write a string in quotes: key = "..."'
    return message[:1].lower() + message[1:], "check this line and the one before it"


class _Filler:
    """Replaces `${env:NAME}` and `${file:PATH}` in every string; `$${` is a literal `${`."""

    def __init__(self, problems: Problems, environ: Mapping[str, str], base: FilePath) -> None:
        self.problems = problems
        self.environ = environ
        self.base = base

    def fill(self, value: Any, path: Path) -> Any:
        if len(path) > MAX_DEPTH:
            self.problems.add(path[:3], f"tables or lists are nested more than {MAX_DEPTH} levels deep", "flatten them")
            return None
        if isinstance(value, str):
            return _PLACEHOLDER.sub(lambda match: self._one(match, path), value)
        if isinstance(value, dict):
            return {key: self.fill(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.fill(item, (*path, number)) for number, item in enumerate(value)]
        if isinstance(value, datetime | date | time):
            return value.isoformat().replace("+00:00", "Z")
        if isinstance(value, float) and not math.isfinite(value):
            self.problems.add(path, f"{value} is not a JSON number", "write a finite number")
        return value

    def _one(self, match: re.Match[str], path: Path) -> str:
        whole, inner = match[0], match[1]
        if whole.startswith("$${"):
            return whole[1:]
        kind, _, name = inner.partition(":")
        if kind == "env" and name:
            if name in self.environ:
                return self._text(self.environ[name], name, path)
            similar = [known for known in self.environ if known.startswith(name[:3])]
            near = nearest(name, similar, "variable") if similar else ""
            hint = near if near.startswith("did you mean") else f"export {name}=..."
            self.problems.add(path, f"the environment variable {name} is not set", hint)
        elif kind == "file" and name:
            return self._file(name, path)
        else:
            self.problems.add(path, f"{whole!r} is not ${{env:NAME}} or ${{file:PATH}}", "write $${ for a literal ${")
        return ""

    def _text(self, value: str, name: str, path: Path) -> str:
        if value.isascii() or not any("\ud800" <= one <= "\udfff" for one in value):
            return value
        self.problems.add(path, f"the environment variable {name} is not UTF-8", f"export {name}=...")
        return ""

    def _file(self, name: str, path: Path) -> str:
        """The text of the file without the newline that editors write at its end."""
        try:
            with (self.base / name).open("rb") as file:
                data = file.read(MAX_SECRET_BYTES + 1)
            if len(data) > MAX_SECRET_BYTES:
                self.problems.add(
                    path, f"the file {name!r} has more than {MAX_SECRET_BYTES} bytes", "use a smaller file"
                )
                return ""
            text = data.decode()
        except OSError as error:
            self.problems.add(path, f"the file {name!r} cannot be read: {error.strerror}", f"ls -l {self.base / name}")
            return ""
        except ValueError:
            self.problems.add(path, f"the file {name!r} is not UTF-8", "use a text file in UTF-8")
            return ""
        return text.removesuffix("\n").removesuffix("\r")


_S = TypeVar("_S", bound=msgspec.Struct)


def convert(value: Any, struct: type[_S], name: str = "") -> _S:
    """The strict conversion after `check_shape` found nothing. It decides what is accepted."""
    if struct is Config and isinstance(value.get("destinations"), dict):
        value = {**value, "destinations": {name: with_type(one) for name, one in value["destinations"].items()}}
    try:
        return msgspec.convert(value, struct, strict=True)
    except msgspec.ValidationError as error:
        raise ConfigError(str(error), where=name) from None
