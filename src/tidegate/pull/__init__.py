"""Pull in: pulls on demand with a cache, polls that find changes, and records updated by polls and webhooks alike.

The gateway and the API use `PullEngine`. Everything else is private to this folder.
"""

from tidegate.pull.engine import PollReport, PullAnswer, PullEngine

__all__ = ["PollReport", "PullAnswer", "PullEngine"]
