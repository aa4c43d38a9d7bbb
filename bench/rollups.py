"""What counting by minute costs: the gateway against itself without counts, by CPU time per event.

    python -m bench.run rollups [--rounds R] [--seconds S]
    python -m bench.rollups serve ...      the gateway without counts, as `tidegate serve`

Owns the switch: it is here and not in the gateway, which always counts. Both run at once in each round and the load
changes from one to the other, so other load on the machine meets both.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

from bench.figures import SOURCE, Options, Row, accepting, delivering, destinations, side_by_side
from bench.processes import ADMIN_KEY, Process, free_port, gateway

LEAST = 0.97  # of the work per CPU second: a cost of 3%


def _without(options: Options, config: str, port: int) -> Process:
    folder = options.scratch.fresh()
    (folder / "tidegate.toml").write_text(config)
    return Process("-m", "bench.rollups", "serve", "--config", str(folder / "tidegate.toml"),
                   "--data", str(folder / "data"), "--port", str(port),
                   environ={"TIDEGATE_ADMIN_KEY": ADMIN_KEY})  # fmt: skip


def rollups(options: Options) -> list[Row]:
    """Events accepted, and events accepted and delivered, of the CPU of the same gateway without counts."""

    def accepts(counts: bool) -> Any:
        port = free_port()
        folder = options.scratch
        return accepting(gateway(folder.fresh(), SOURCE, port) if counts else _without(options, SOURCE, port), port)

    def delivers(counts: bool) -> Any:
        def make(port: int, sink: int) -> Process:
            config = SOURCE + destinations(1, sink)
            return gateway(options.scratch.fresh(), config, port) if counts else _without(options, config, port)

        return delivering(make, 1)

    return [
        side_by_side(options, what, partial(way, True), partial(way, False), LEAST)
        for what, way in (("accept, with counts", accepts), ("accept and deliver, with counts", delivers))
    ]


def _nothing(*_: Any, **__: Any) -> None:
    return None


def _no_rows(*_: Any) -> list[Any]:
    return []


def main() -> None:
    """Serve without counts."""
    from tidegate.cli import main as tidegate
    from tidegate.deliver.counts import DeliveryCounts
    from tidegate.store.sqlite import log

    log._rollups = _no_rows
    for name in ("delivered", "failed"):
        setattr(DeliveryCounts, name, _nothing)
    sys.exit(tidegate(sys.argv[1:]))


FIGURES = {"rollups": rollups}

if __name__ == "__main__":
    main()
