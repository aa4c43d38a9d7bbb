"""A release that knows only the first TIDEGATE_STEPS schema steps, as a stand-in. Run it like `python -m tidegate`."""

from __future__ import annotations

import importlib
import os
import sys

from tidegate.cli import main
from tidegate.store.sql import migrations

if __name__ == "__main__":
    for store in ("sqlite", "postgres"):
        module = importlib.import_module(f"tidegate.store.{store}.migrate")
        module.migrations = lambda engine: migrations(engine)[: int(os.environ["TIDEGATE_STEPS"])]  # type: ignore[attr-defined]
    sys.exit(main())
