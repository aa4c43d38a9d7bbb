"""The active configuration: what the file and the API define, compiled for the engines.

`active` is what engines read (sources, destinations, routes, the routing decision), `editor` is how the file, the API
and the pages change it, `shapes` is what both are made of. Engines get the read side only, and subscribe to changes
with `on_change`. Everything here is in the store first, so a restart finds it; the items of the file are applied again
at each start, and an invalid file changes nothing.
"""

from tidegate.runtime.active import ActiveConfiguration
from tidegate.runtime.editor import ConfigurationEditor
from tidegate.runtime.shapes import ActiveDestination, ActiveRoute, ActiveSource, ItemChange

__all__ = [
    "ActiveConfiguration",
    "ActiveDestination",
    "ActiveRoute",
    "ActiveSource",
    "ConfigurationEditor",
    "ItemChange",
]
