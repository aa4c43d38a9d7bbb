"""The sample company: six small systems, one gateway between them, and a page that tells the story.

Each system is a program of its own (`python -m tidegate.demo.shop --port N`) that imports nothing of Tidegate; this
package starts them and the gateway as separate processes, as a user would. What they know is in memory or in the
data directory; without one, a temporary directory is used and removed.
"""

from __future__ import annotations

from pathlib import Path


def main(data: Path | None = None, port: int = 8420, open_browser: bool = False) -> int:
    """Run the sample company until Ctrl-C or SIGTERM.

    The gateway listens on `port`, the story page on the next one, the systems on those after it; a port that is
    taken is replaced by a free one. Returns 0 after a wanted stop, 1 when a part could not start or stopped by
    itself (its name and last words are printed).
    """
    from tidegate.demo.play import play

    return play(data, port, open_browser)
