"""Reads the user's own provider files: the folder that `[gateway] providers` names.

Owns the bounds and the check of these files before anything takes keys from them. Invariant: a file with a problem
stops the load and is named with its line; a file never takes the name of a provider that ships. Crash: nothing is kept.
"""

from __future__ import annotations

import re
from pathlib import Path as FilePath
from typing import Any

from tidegate.config.checks_provider import MAX_FILE_BYTES, check_provider_text
from tidegate.config.problems import ConfigRejected
from tidegate.core.errors import ConfigError
from tidegate.providers import shipped_file, shipped_names

MAX_FILES = 200
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def provider_files(tree: Any, base: FilePath) -> dict[str, str]:
    """name -> text of the files in the folder that the tree of a configuration names; {} when it names none.

    ConfigRejected with the problems of all files.
    """
    settings = tree.get("gateway") if isinstance(tree, dict) else None
    named = settings.get("providers", "") if isinstance(settings, dict) else ""
    if not named or not isinstance(named, str):
        return {}
    folder = base / named
    if not folder.is_dir():
        raise ConfigError(
            f"the folder {str(folder)!r} does not exist", path="$.gateway.providers", hint=f"mkdir {folder}"
        )
    files = sorted(folder.glob("*.toml"))
    if len(files) > MAX_FILES:
        raise ConfigError(
            f"the folder has {len(files)} files; {MAX_FILES} are allowed",
            path="$.gateway.providers",
            hint="remove some",
        )
    found: dict[str, str] = {}
    errors: list[ConfigError] = []
    for file in files:
        try:
            text = read_provider_file(file)
            _, problems = check_provider_text(text, file.stem, str(file))
            errors += problems.errors()
            found[file.stem] = text
        except ConfigError as error:
            errors.append(error)
    if errors:
        raise ConfigRejected(errors)
    return found


def read_provider_file(file: FilePath, *, shipped_too: bool = False) -> str:
    """The text of one file. ConfigError for a wrong name, and for a file that cannot be read.

    `shipped_too`: also the file of a provider that ships, in its place in a checkout.
    """
    where = str(file)
    if not _NAME.fullmatch(file.stem) or file.suffix != ".toml":
        hint = "use lower-case letters, digits, '-' and '_': NAME.toml"
        raise ConfigError(f"{file.name!r} is not a name for a provider file", where=where, hint=hint)
    if file.stem in shipped_names() and not (shipped_too and file.resolve() == shipped_file(file.stem)):
        raise ConfigError(
            f"a provider {file.stem!r} ships with Tidegate", where=where, hint="give the file another name"
        )
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_FILE_BYTES + 1)
        return data.decode("utf-8-sig")
    except OSError as error:
        hint = f"ls -l {where}"
        raise ConfigError(f"the file {where!r} cannot be read: {error.strerror}", where=where, hint=hint) from None
    except UnicodeDecodeError:
        raise ConfigError(f"the file {where!r} is not UTF-8", where=where, hint="save it as UTF-8") from None
