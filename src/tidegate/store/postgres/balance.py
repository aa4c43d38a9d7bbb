"""How partitions are divided among nodes: each node decides for itself, from what the store shows of all nodes.

Pure. Invariant: once all nodes hold about the same number of partitions, none moves.
"""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.store import PARTITIONS


def spread(partition: int) -> int:
    """The order in which partitions are claimed. Destinations are numbered in the order of creation, so those of a
    small installation are in neighboring partitions: claimed by number, one node would hold them all."""
    return partition * 37 % PARTITIONS


def change_of_partitions(counts: Sequence[tuple[str, int]], me: str, free: int) -> int:
    """How many partitions to claim (positive) or leave (negative). `counts`: by node, the oldest node first.

    The first `PARTITIONS % nodes` nodes should hold one more. A difference of one is accepted while no node has too
    few because of it.
    """
    low, extra = divmod(PARTITIONS, len(counts))
    place, held = next((place, held) for place, (node, held) in enumerate(counts) if node == me)
    target, most = low + (place < extra), low + (extra > 0)
    if held < target and free:
        return min(free, target - held)
    if held > most:
        return most - held
    if held > target and not free and any(other < low for _, other in counts):
        return target - held
    return 0
