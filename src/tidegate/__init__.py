"""Tidegate: one self-hosted gateway for systems that ask (pull) and systems that tell (push).

Whatever comes in is appended to one durable log; everything else reads that log with a position of its
own. Read `docs/architecture.md` for the map, `docs/concepts.md` for the words.
"""

__version__ = "0.2.0"
