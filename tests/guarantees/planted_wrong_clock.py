"""The program on a machine whose clock is wrong by TIDEGATE_TEST_SKEW_SECONDS. Run like `python -m tidegate`."""

from __future__ import annotations

import os
import sys

from support.postgres.node import skew
from tidegate.cli import main

if __name__ == "__main__":
    skew(int(os.environ["TIDEGATE_TEST_SKEW_SECONDS"]))
    sys.exit(main())
