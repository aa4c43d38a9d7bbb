"""Brings the sealed items and route revisions of 0.1 to the present seal, which binds each to its name.

Owns that one step, which runs at the start before the configuration is read. Invariant: when the store's proof has the
present version, all of them have, so an older seal is refused from then on: it was put there by somebody.
Crash: items, revisions and proof are written one after the other, and the next start continues.
"""

from __future__ import annotations

import contextlib

import msgspec

from tidegate.core.errors import ChangedElsewhere
from tidegate.store import Settings
from tidegate.vault import PROOF, REVISION, Vault, is_version_1, item_purpose


async def reseal(vault: Vault, settings: Settings) -> int:
    """Seal the items and revisions of 0.1 again; returns how many items. StoreBroken when one cannot be opened."""
    proof = await settings.value(PROOF)
    if proof is None or not is_version_1(proof):
        return 0
    count = 0
    while old := [item for item in await settings.items() if is_version_1(item.body)]:
        new = [
            msgspec.structs.replace(
                item,
                body=vault.seal(vault.open_version_1(item.body, item.kind), item_purpose(item.kind, item.name)),
            )
            for item in old
        ]
        with contextlib.suppress(ChangedElsewhere):  # another node does the same: look again
            await settings.put_items(new, read={item.number: item.body for item in old})
            count += len(new)
    for revision, (name, body) in (await settings.route_revisions()).items():
        if is_version_1(body):
            sealed = vault.seal(vault.open_version_1(body, REVISION), item_purpose(REVISION, name))
            await settings.reseal_revision(revision, body, sealed)  # another node may have been first
    await settings.swap(PROOF, proof, vault.seal(b"tidegate", PROOF))
    return count
