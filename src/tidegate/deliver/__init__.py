"""The deliver engine: one sender for each destination, which reads the log through its lane.

`ports.py` is what its parts work with, `senders.py` the table of senders. A sender (`sender.py`) sends from its backlog
(`backlog.py`: lane, deferred deliveries, key queues) and gives results to the settler. Beside it are `takeover.py`,
`commands.py`, `replay.py`, `bulk.py` and `status.py`; `engine.py` composes them. May not know another engine: they meet
in the store. Invariant: imports go from the engine down to the ports, never back.
"""

from tidegate.deliver.edit import Edit
from tidegate.deliver.engine import DeliverEngine
from tidegate.deliver.health import SenderHealth
from tidegate.deliver.local_request import local_request
from tidegate.deliver.replay_query import ReplayQuery

__all__ = ["DeliverEngine", "Edit", "ReplayQuery", "SenderHealth", "local_request"]
