"""The active configuration: what the file and the API define, compiled for the engines.

`active` is what engines ask (sources, destinations, routes, the routing decision), `changes` is who may change what,
`shapes` is what both are made of. Knows no engine: engines ask it, and are told of a change by `on_change`. Everything
that stands here is in the store first, so a restart finds it; the file's items are applied again at each start, and an
invalid file changes nothing.
"""

from tidegate.runtime.editor import Live
from tidegate.runtime.shapes import ActiveDestination, ActiveRoute, ActiveSource, ItemChange

__all__ = ["ActiveDestination", "ActiveRoute", "ActiveSource", "ItemChange", "Live"]
