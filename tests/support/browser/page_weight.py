"""What a page of the dashboard weighs: its HTML and every own file that it names, as they are on the disk."""

from __future__ import annotations

import re

from tidegate.dashboard.assets import Assets

MOST_BYTES = 60_000  # look.md: a page with its style and scripts stays under 60 KB
_ASSETS = Assets()
_IMPORTED = re.compile(r'from "\./([a-z.]+)"')


def named(body: bytes) -> set[str]:
    """The files of `static/` that a page names, and those that these import."""
    found = set(re.findall(r"/static/[0-9a-f]+/([a-z.]+)", body.decode()))
    return found | {other for name in found for other in _IMPORTED.findall(_ASSETS.text(name))}


def weight(body: bytes) -> int:
    return len(body) + sum(_ASSETS.size(name) for name in named(body))
