"""Names of IMAP folders as the protocol spells them: modified UTF-7 in quotes (RFC 3501 section 5.1.3). Pure."""

from __future__ import annotations

import base64
import re

_OUTSIDE = re.compile(r"[^\x20-\x7e]+")


def encode_folder(name: str) -> str:
    """`Entwürfe` as `"Entw&APw-rfe"`. A name with a control character is refused by `check`."""
    encoded = _OUTSIDE.sub(lambda found: _shifted(found[0]), name.replace("&", "&-"))
    return quoted(encoded)


def quoted(text: str) -> str:
    """A quoted string of IMAP (RFC 3501 section 4.3). Control characters are refused by `check`."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _shifted(text: str) -> str:
    packed = base64.b64encode(text.encode("utf-16-be")).decode().rstrip("=").replace("/", ",")
    return f"&{packed}-"
