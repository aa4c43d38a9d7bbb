"""Applies advice to a resource of a source that the API owns, and takes the last one back.

Owns what is remembered of it: the keys before and after, in the sealed body of the source, so it survives a restart and
every node knows it. The change itself is that of the editor. Invariant: an undo gives back what the advice changed and
nothing else; when somebody changed one of these keys since, it is rejected. Crash: both are stored, or neither.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tidegate.config.edits import current, edited
from tidegate.config.spec import Source
from tidegate.core.errors import Conflict, NotFound
from tidegate.runtime.editor import ConfigurationEditor
from tidegate.runtime.shapes import Followed, Stored


async def follow(editor: ConfigurationEditor, source: str, resource: str, edits: dict[str, Any]) -> None:
    """Set the keys. NotFound; Conflict when the file owns the source; ConfigError when the result is not valid."""
    before: dict[str, Any] = {}

    def make(old: Source | None) -> Source:
        spec = _found(old, source)
        before.update(current(spec, resource, edits))
        return edited(source, spec, resource, edits)

    def note(stored: Stored) -> Stored:
        followed = {**stored.followed, resource: Followed(dict(before), edits)}
        return msgspec.structs.replace(stored, followed=followed)

    await editor.put("source", source, make, note)


async def undo(editor: ConfigurationEditor, source: str, resource: str) -> Followed:
    """Set the keys back and return them. Conflict when there is nothing to undo, or a key was changed since."""
    last: list[Followed] = []

    def make(old: Source | None) -> Source:
        spec = _found(old, source)
        followed = editor.active.sources[source].followed.get(resource)
        if followed is None:
            raise Conflict(f"no advice was applied to {source}/{resource}", hint="tidegate advise", code="no_undo")
        now = current(spec, resource, followed.after)
        if now != followed.after:
            keys = ", ".join(key for key, value in followed.after.items() if now[key] != value)
            raise Conflict(
                f"{keys} of {source}/{resource} was changed since the advice was applied",
                hint=f"change it yourself: PUT /api/v1/sources/{source}",
                code="changed_since",
            )
        last[:] = [followed]
        return edited(source, spec, resource, followed.before)

    def note(stored: Stored) -> Stored:
        followed = {name: one for name, one in stored.followed.items() if name != resource}
        return msgspec.structs.replace(stored, followed=followed)

    await editor.put("source", source, make, note)
    return last[0]


def _found(old: Source | None, source: str) -> Source:
    if old is None:
        raise NotFound(f"there is no source {source[:80]!r}", hint="list them: tidegate config show")
    return old
