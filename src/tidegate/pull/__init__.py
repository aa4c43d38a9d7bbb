"""Pull in: pulls on demand with a cache, polls that find changes, and records updated by polls and webhooks alike.

The gateway and the API use `PullEngine`. Everything else is private to this folder.
"""

from tidegate.pull.engine import PullEngine
from tidegate.pull.on_demand import PullAnswer
from tidegate.pull.run import PollOptions, PollReport

__all__ = ["PollOptions", "PollReport", "PullAnswer", "PullEngine"]
