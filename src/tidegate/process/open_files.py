"""How many files and sockets this process may open: the limit of the system, raised as far as it allows.

Owns the soft limit RLIMIT_NOFILE of this process. May not know what opens files. A crash leaves nothing.
"""

from __future__ import annotations

import resource

WANTED = 65_536
UNKNOWN = 1024  # what most systems allow at least


def raise_limit() -> int:
    """Raise the soft limit to the hard one, at most `WANTED`; returns the soft limit that holds now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED if hard == resource.RLIM_INFINITY else min(hard, WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        for limit in (wanted, 10_240):  # macOS says that there is no limit, and allows 10,240
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            except (ValueError, OSError):
                continue
            soft = limit
            break
    return WANTED if soft == resource.RLIM_INFINITY else soft or UNKNOWN
