"""`python -m tidegate_company` runs the sample company until Ctrl-C or SIGTERM; `tidegate demo` starts it.

The gateway listens on `--port`, the story page on the next one, the systems on those after it; a port that is in use is
replaced by a free one. Exit code 0 after a requested stop, 1 when a part could not start or stopped by itself (its name
and last log lines are printed).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tidegate_company.play import play


def main() -> int:
    parser = argparse.ArgumentParser(prog="tidegate demo", description="Run the sample company.")
    parser.add_argument("--port", type=int, default=8420, help="port of the gateway (default 8420)")
    parser.add_argument("--data", type=Path, help="keep the data here (default: a temporary directory)")
    parser.add_argument("--open", action="store_true", help="open the story page in a browser")
    parser.add_argument("--command", default="tidegate", help="how messages spell the command line")
    options = parser.parse_args()
    return play(options.data, options.port, options.open, options.command)


if __name__ == "__main__":
    sys.exit(main())
