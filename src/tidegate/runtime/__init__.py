"""The active configuration: what the file and the API define, compiled for the engines.

Engines read `active` (sources, destinations, routes, the routing decision); the file, the API and the pages change it
through `editor`; `shapes` has the structs of both. Engines get only the read side and subscribe to changes with
`on_change`. Invariant: every change is stored before it becomes active. Crash: a restart reads the store; the items of
the file are applied again at each start, and an invalid file changes nothing.
"""

from tidegate.runtime.active import ActiveConfiguration
from tidegate.runtime.editor import ConfigurationEditor
from tidegate.runtime.shapes import ActiveCredential, ActiveDestination, ActiveRoute, ActiveSource, ItemChange

__all__ = [
    "ActiveConfiguration",
    "ActiveCredential",
    "ActiveDestination",
    "ActiveRoute",
    "ActiveSource",
    "ConfigurationEditor",
    "ItemChange",
]
