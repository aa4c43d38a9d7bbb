"""The deliver door: one sender per destination, fed by its lane over the log.

`lane.py` is the cursor as a plain data structure, `sender.py` decides what goes out next, `request_builder.py` makes
the request, `settler.py` makes results durable, `replays.py` walks the log again, `states.py` tells the state of a
delivery, and `engine.py` holds them together. Engines meet only in the store: nothing here imports another door.
"""

from tidegate.deliver.engine import DeliverEngine
from tidegate.deliver.health import SenderHealth
from tidegate.deliver.replay import ReplayQuery

__all__ = ["DeliverEngine", "ReplayQuery", "SenderHealth"]
