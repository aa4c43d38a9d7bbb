"""Translates errors of asyncpg and of sockets: the only place that does.

By exception type (asyncpg has one per SQLSTATE), never by message text. `translate` returns None for an internal error
(wrong SQL, wrong arguments), which must be seen and not be answered with "try again". Pure.
"""

from __future__ import annotations

import ssl

import asyncpg

from tidegate.core.errors import StoreBroken, StoreBusy, TidegateError

# The server or the connection is gone; the outcome of a COMMIT that was sent is unknown.
_LOST = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.InternalClientError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    # While connecting: another password, a database that was dropped.
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)

# The server is there and cannot do this now.
_PASSING = (
    asyncpg.TransactionRollbackError,  # serialization failure, deadlock
    asyncpg.LockNotAvailableError,
    asyncpg.OperatorInterventionError,  # a statement over its time
    asyncpg.InsufficientResourcesError,  # disk full, too many connections
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InvalidCachedStatementError,  # another node migrated: the next use prepares it again
    asyncpg.OutdatedSchemaCacheError,
)

_BROKEN = (asyncpg.DataCorruptedError, asyncpg.IndexCorruptedError, asyncpg.PostgresSystemError)


_NOT_A_SETTING = (
    asyncpg.UndefinedObjectError,
    asyncpg.InvalidParameterValueError,
    asyncpg.CantChangeRuntimeParamError,
)


_GONE = (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError)


def gone(error: BaseException) -> bool:
    """Whether our tables are missing: it is not the database that this node started with."""
    return isinstance(error, _GONE)


def lost(error: BaseException) -> bool:
    """Whether the connection is gone, so that a probe must find out when the server is back."""
    if isinstance(error, asyncpg.InterfaceError):  # such as "connection is closed"; wrong arguments are ValueErrors
        return not isinstance(error, ValueError)
    return isinstance(error, (*_LOST, asyncpg.ReadOnlySQLTransactionError))


def translate(error: BaseException) -> TidegateError | None:
    """The error to raise instead, or None when `error` must propagate as it is."""
    name = type(error).__name__
    if isinstance(error, _BROKEN):
        return StoreBroken(f"the database reports damaged storage: {name}", hint="read the log of the database server")
    if isinstance(error, _PASSING):
        return StoreBusy(f"the database could not do this now: {name}", retry_after_seconds=1)
    if lost(error):
        return StoreBusy(f"the database does not answer: {name}", retry_after_seconds=1)
    return None


def pooled(server: str) -> StoreBroken:
    """The error for a connection pooler that shares sessions."""
    return StoreBroken(
        f"{server} is behind a connection pooler that shares sessions",
        hint="use the direct address of the server: locks and notifications of a node need a session of their own",
    )


def at_start(error: BaseException, server: str) -> TidegateError | None:
    """The error with which a start ends; nothing was changed."""
    if isinstance(error, asyncpg.ProtocolViolationError):
        return StoreBroken(
            f"{server} rejects the session settings that Tidegate needs",
            hint="use the direct address of the server, not that of a pooler: a node needs sessions of its own",
        )
    if isinstance(error, asyncpg.InvalidSQLStatementNameError | asyncpg.DuplicatePreparedStatementError):
        return pooled(server)  # a prepared statement is missing: the server process changed
    if isinstance(error, asyncpg.TargetServerAttributeNotMatched | asyncpg.ReadOnlySQLTransactionError):
        return StoreBroken(
            f"{server} is a replica or read-only",
            hint="use the address of the primary; the URL may name several hosts",
        )
    if isinstance(error, asyncpg.InvalidAuthorizationSpecificationError):
        return StoreBroken(f"{server} rejects the user or the password", hint="correct the URL of the database")
    if isinstance(error, asyncpg.TooManyConnectionsError):
        return StoreBroken(f"{server} has no free connection", hint="raise max_connections, or close other connections")
    if isinstance(error, asyncpg.InvalidCatalogNameError):
        return StoreBroken(f"{server} does not exist", hint="create it with: createdb NAME, or correct the URL")
    if isinstance(error, asyncpg.InsufficientPrivilegeError):
        return StoreBroken(
            f"the user has no permission to create the schema tidegate in {server}",
            hint="run: GRANT CREATE ON DATABASE name TO user, or use a user that owns the database",
        )
    if isinstance(error, asyncpg.ClientConfigurationError):
        return StoreBroken(
            "the parameters in the URL of the database are invalid",
            hint="sslmode=disable, prefer, require, verify-ca or verify-full; the last two need sslrootcert=FILE",
        )
    if isinstance(error, _NOT_A_SETTING):
        return StoreBroken(
            f"{server} rejects a parameter of the URL or its value",
            hint="remove it: besides the ssl parameters, only settings of the server are allowed",
        )
    if isinstance(error, ssl.SSLError) or type(error) is ConnectionError:  # the driver raises it when TLS is refused
        return StoreBroken(
            f"the TLS connection that the URL asks for failed at {server}: {type(error).__name__}",
            hint="turn on ssl at the server, or correct sslmode and sslrootcert in the URL",
        )
    if translate(error) is not None:
        return StoreBroken(
            f"{server} cannot be reached: {type(error).__name__}", hint="start the server, or correct the URL"
        )
    return None
