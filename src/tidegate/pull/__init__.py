"""The ask door: pulls on demand with a cache, polls that find changes, records fed by polls and webhooks alike.

`PullEngine` is the face for gateway and API; everything else here is its own business.
"""

from tidegate.pull.engine import PollReport, PullAnswer, PullEngine

__all__ = ["PollReport", "PullAnswer", "PullEngine"]
