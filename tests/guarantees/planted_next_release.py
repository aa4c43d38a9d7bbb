"""The releases after this one, as stand-ins: this program with more migrations. Run like `python -m tidegate`.

TIDEGATE_NEXT=expand only adds to the schema, and says that this release may read it. TIDEGATE_NEXT=contract is the one
after it: its step takes away again, and so only a release that knows it may read what is left.
"""

from __future__ import annotations

import importlib
import os
import sys

from tidegate.cli import main
from tidegate.store.sql import migrations

EXPAND = "-- oldest_reader: {now}\nALTER TABLE lanes ADD COLUMN note text; CREATE TABLE notes (note text);"
CONTRACT = "ALTER TABLE lanes DROP COLUMN note;"
STEPS = {"expand": [EXPAND], "contract": [EXPAND, CONTRACT]}

_module = importlib.import_module("tidegate.store.postgres.migrate")  # its name in the package is the function


def plant(kind: str) -> None:
    steps = migrations("postgres")
    now = steps[-1][0]
    more = [(now + n, f"{now + n:04}_next.sql", text.format(now=now)) for n, text in enumerate(STEPS[kind], 1)]
    _module.migrations = lambda engine: [*steps, *more]


if __name__ == "__main__":
    plant(os.environ["TIDEGATE_NEXT"])
    sys.exit(main())
