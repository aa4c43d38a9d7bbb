"""Writes `type` into references to shared credentials, which may leave it out: `auth = { credential = "google" }`.

Owns the walk over plain trees, of a whole file or of one item. Pure: a tree that needs no change is returned unchanged,
and what is not a table stays for the checks of its shape. Crash: nothing is kept.
"""

from __future__ import annotations

from typing import Any

from tidegate.auth import with_type


def with_auth_types(tree: Any) -> Any:
    """A file's tree in which each reference has its `type`. Tables without one are shared with `tree`."""
    if not isinstance(tree, dict):
        return tree
    out = dict(tree)
    for table in ("sources", "destinations"):
        if isinstance(tree.get(table), dict):
            out[table] = {name: item_with_auth_type(item) for name, item in tree[table].items()}
    return out


def item_with_auth_type(item: Any) -> Any:
    """As `with_auth_types`, for one source or destination."""
    if not isinstance(item, dict):
        return item
    out = {**item, "auth": with_type(item["auth"])} if "auth" in item else item
    api = out.get("api")
    return {**out, "api": {**api, "auth": with_type(api["auth"])}} if isinstance(api, dict) and "auth" in api else out
