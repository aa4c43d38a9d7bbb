"""The error for a connection that was not made, and how errors of sockets and TLS become one.

Owns the translation, by type and never by text. Knows no addresses and no requests. Crash: nothing is kept.
"""

from __future__ import annotations

import errno
import ssl

from tidegate.core.errors import UpstreamError, UpstreamTimeout
from tidegate.core.model import Outcome

# What the kernel answers when this machine, and not the destination, lacks something.
_LOCAL = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))


class DialFailed(UpstreamError):
    """No usable socket. `outcome` is DNS, REFUSED, TLS or TIMEOUT. No byte of the request was sent.

    `local`: this machine lacked a file, a socket or memory, so nothing is known of the destination.
    """

    def __init__(self, message: str, outcome: Outcome, *, local: bool = False) -> None:
        late = outcome is Outcome.TIMEOUT
        super().__init__(message, code=UpstreamTimeout.code if late else None, status=504 if late else None)
        self.outcome = outcome
        self.local = local


def is_local(error: OSError | None) -> bool:
    """Whether this machine lacked what a connection needs."""
    return error is not None and not isinstance(error, ssl.SSLError) and error.errno in _LOCAL


def translate(error: OSError, where: str, tls: bool) -> DialFailed:
    """The error for a failed connect, by its type. With TLS, a reset or abort happened in the handshake."""
    if is_local(error):
        return DialFailed(f"{where}: {error.strerror or 'no local resources'}", Outcome.REFUSED, local=True)
    if isinstance(error, ssl.SSLCertVerificationError):
        return DialFailed(f"{where}: certificate not accepted: {error.verify_message}", Outcome.TLS)
    if isinstance(error, ssl.SSLError):
        return DialFailed(f"{where}: TLS failed: {error.reason or 'closed in the handshake'}", Outcome.TLS)
    if tls and isinstance(error, ConnectionResetError | ConnectionAbortedError):
        return DialFailed(f"{where}: closed in the TLS handshake", Outcome.TLS)
    if isinstance(error, TimeoutError):
        return DialFailed(f"{where}: the connect timed out", Outcome.TIMEOUT)
    reason = "refused" if isinstance(error, ConnectionRefusedError) else (error.strerror or type(error).__name__)
    return DialFailed(f"{where}: {reason}", Outcome.REFUSED)
