"""The dashboard's own files: style, scripts, icon. Read once, served under an address that holds their hash.

Owns `/static/HASH/NAME` and its long cache. HASH is one for all files, so that a script finds another beside it. An
address with another hash is 404, never another content, so a cache can never mix releases. Comments and indentation
stay in the source: what is served has none. Nothing here comes from elsewhere; nothing is written.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

_FOLDER = Path(__file__).parent / "static"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_HASH_LETTERS = 12
_CSS_COMMENT = re.compile(rb"/\*.*?\*/", re.DOTALL)


def without_comments(name: str, body: bytes) -> bytes:
    """The text of a file without comments, indentation and empty lines; the lines stay, as a script may need them.

    Of a script, only comments that are a whole line: what follows code on a line may be part of a string.
    """
    if name.endswith(".css"):
        body = _CSS_COMMENT.sub(b"", body)
    lines = [line.strip() for line in body.splitlines()]
    return b"".join(line + b"\n" for line in lines if line and not (name.endswith(".js") and line.startswith(b"//")))


class Assets:
    """All files of `static/`, in memory (they are a few dozen KB together)."""

    def __init__(self, folder: Path = _FOLDER) -> None:
        self._files = {
            path.name: without_comments(path.name, path.read_bytes())
            for path in sorted(folder.iterdir())
            if path.suffix in _TYPES
        }
        together = hashlib.sha256()
        for name, body in self._files.items():
            together.update(f"{name} {len(body)} ".encode() + body)
        self._hash = together.hexdigest()[:_HASH_LETTERS]

    def url(self, name: str) -> str:
        """The address of a file. KeyError for a name that is not there: a template with a typing mistake."""
        if name not in self._files:
            raise KeyError(name)
        return f"/static/{self._hash}/{name}"

    def size(self, name: str) -> int:
        return len(self._files[name])

    def text(self, name: str) -> str:
        return self._files[name].decode()

    async def serve(self, request: Request) -> Response:
        """One file, to be kept for a year; 404 for what is not this release's."""
        name = request.path_params["name"]
        if name not in self._files or request.path_params["hash"] != self._hash:
            return Response("not found\n", 404, media_type="text/plain")
        headers = {
            "cache-control": "public, max-age=31536000, immutable",
            "x-content-type-options": "nosniff",
            "content-type": _TYPES[Path(name).suffix],
        }
        return Response(self._files[name], headers=headers)
