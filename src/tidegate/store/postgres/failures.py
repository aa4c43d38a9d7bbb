"""What a failed call to PostgreSQL means: the one place where asyncpg's and the socket's errors are translated.

By exception type (asyncpg has one per SQLSTATE), never by message text. `translate` gives None for what is a fault of
our own (wrong SQL, wrong arguments): that must be seen, not answered with "try again". Pure.
"""

from __future__ import annotations

import ssl

import asyncpg

from tidegate.core.errors import StoreBroken, StoreBusy, TidegateError

# The server or the way to it is gone; whether a COMMIT that was sent took effect is unknown.
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

# The server is there and could not do it now.
_PASSING = (
    asyncpg.TransactionRollbackError,  # serialization failure, deadlock
    asyncpg.LockNotAvailableError,
    asyncpg.OperatorInterventionError,  # a statement over its time
    asyncpg.InsufficientResourcesError,  # disk full, too many connections
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InvalidCachedStatementError,  # another node migrated: the next use prepares anew
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
    """Whether our tables are not in the database any more: it is not the one that this node began with."""
    return isinstance(error, _GONE)


def lost(error: BaseException) -> bool:
    """Whether the connection is gone, so that a probe must find out when the server is back."""
    if isinstance(
        error, asyncpg.InterfaceError
    ):  # "connection is closed" and its like; wrong arguments are ValueErrors
        return not isinstance(error, ValueError)
    return isinstance(error, (*_LOST, asyncpg.ReadOnlySQLTransactionError))


def translate(error: BaseException) -> TidegateError | None:
    """The error to raise instead, or None when `error` must propagate as it is."""
    name = type(error).__name__
    if isinstance(error, _BROKEN):
        return StoreBroken(f"the database reports a fault of its own storage: {name}", hint="look at the server's log")
    if isinstance(error, _PASSING):
        return StoreBusy(f"the database could not do this now: {name}", retry_after_seconds=1)
    if lost(error):
        return StoreBusy(f"the database does not answer: {name}", retry_after_seconds=1)
    return None


def pooled(server: str) -> StoreBroken:
    """The refusal of a pooler in transaction mode."""
    return StoreBroken(
        f"{server} is reached through a pooler that shares sessions",
        hint="give the direct address of the server: locks and wake-ups of a node need one session of its own",
    )


def at_start(error: BaseException, server: str) -> TidegateError | None:
    """The error to end a start with: nothing was changed."""
    if isinstance(error, asyncpg.ProtocolViolationError):
        return StoreBroken(
            f"{server} does not take the settings of our sessions",
            hint="give the direct address of the server, not of a pooler: a node needs sessions of its own",
        )
    if isinstance(error, asyncpg.InvalidSQLStatementNameError | asyncpg.DuplicatePreparedStatementError):
        return pooled(server)  # a statement that was prepared is not there: the session behind us is another
    if isinstance(error, asyncpg.TargetServerAttributeNotMatched | asyncpg.ReadOnlySQLTransactionError):
        return StoreBroken(
            f"{server} is a replica or read-only",
            hint="give the address of the primary; several hosts may stand in the URL",
        )
    if isinstance(error, asyncpg.InvalidAuthorizationSpecificationError):
        return StoreBroken(f"{server} refuses the user or the password", hint="look at the URL of the database")
    if isinstance(error, asyncpg.TooManyConnectionsError):
        return StoreBroken(f"{server} has no connection left", hint="raise max_connections, or end who holds them")
    if isinstance(error, asyncpg.InvalidCatalogNameError):
        return StoreBroken(f"{server} does not exist", hint="make it: createdb NAME, or mend the URL")
    if isinstance(error, asyncpg.InsufficientPrivilegeError):
        return StoreBroken(
            f"the user has no right to make the schema of Tidegate on {server}",
            hint="GRANT CREATE ON DATABASE name TO user, or give a user that owns the database",
        )
    if isinstance(error, asyncpg.ClientConfigurationError):
        return StoreBroken(
            "the parameters of the URL of the database cannot be used",
            hint="sslmode=disable, prefer, require, verify-ca or verify-full; the last two need sslrootcert=FILE",
        )
    if isinstance(error, _NOT_A_SETTING):
        return StoreBroken(
            f"{server} does not know a parameter of the URL, or not its value",
            hint="leave it out: besides sslmode and its like only settings of the server may stand there",
        )
    if isinstance(error, ssl.SSLError) or type(error) is ConnectionError:  # the driver raises it when TLS is refused
        return StoreBroken(
            f"{server} does not speak TLS as the URL asks for: {type(error).__name__}",
            hint="turn on ssl at the server, or look at sslmode and sslrootcert in the URL",
        )
    if translate(error) is not None:
        return StoreBroken(
            f"{server} cannot be reached: {type(error).__name__}", hint="start the server, or mend the URL"
        )
    return None
