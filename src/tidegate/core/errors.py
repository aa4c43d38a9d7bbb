"""The error tree: every error says what happened, why, and the next command.

Owns every error that crosses the border of a module. The exceptions of a library are translated once, where the library
is called; no error is classified by its message. Invariants: `code` is stable and documented in
`docs/reference/errors.md`; `message` and `hint` have no tracebacks, SQL or paths of the program.
"""

from __future__ import annotations


class TidegateError(Exception):
    """An error that a user can act on.

    `code` is a stable word. `message` says what happened, with the value. `hint` is the next command or the change to
    make. `status` is the HTTP status of the API's answer. `retryable` says whether the same call can succeed later
    without a change, and `retry_after_seconds` after how long (None: unknown).
    """

    code = "internal"
    status = 500
    retryable = False
    hint = ""

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        code: str | None = None,
        status: int | None = None,
        retryable: bool | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = self.hint if hint is None else hint
        self.code = code or self.code
        self.status = self.status if status is None else status
        self.retryable = self.retryable if retryable is None else retryable
        self.retry_after_seconds = retry_after_seconds


class ConfigError(TidegateError):
    """The configuration is not valid. `path` is like `$.sources.shop`; `where` is `FILE:LINE`, "" when unknown."""

    code = "config_invalid"
    status = 422

    def __init__(
        self,
        message: str,
        *,
        path: str = "$",
        where: str = "",
        hint: str = "",
        code: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint or "correct this value, then try again", code=code)
        self.path = path
        self.where = where


class NotBuilt(ConfigError):
    """A planned feature that this release does not have. It is rejected by name and never ignored."""

    code = "not_built"
    status = 501


class BadRequest(TidegateError):
    """The request is not valid; nothing was changed."""

    code = "bad_request"
    status = 400
    hint = "check the parameters of this call in /openapi.json"


class Unauthorized(TidegateError):
    code = "unauthorized"
    status = 401
    hint = "send 'Authorization: Bearer KEY'; create a key with: tidegate keys create NAME --scope read"


class Forbidden(TidegateError):
    code = "forbidden"
    status = 403
    hint = "use a key with the scope that this call needs: tidegate keys create NAME --scope SCOPE"


class NotFound(TidegateError):
    code = "not_found"
    status = 404
    hint = "list the existing items: tidegate config show"


class Conflict(TidegateError):
    """The call conflicts with the current state; nothing was changed."""

    code = "conflict"
    status = 409


class ChangedElsewhere(Conflict):
    """Another change came first, so the state that this call was based on is outdated; nothing was changed."""

    code = "changed_elsewhere"
    retryable = True
    hint = "read the configuration again, then apply yours"


class Gone(TidegateError):
    """The requested data is older than the oldest that is kept."""

    code = "gone"
    status = 410


class StoreBusy(TidegateError):
    """The store is overloaded right now. Nothing was acknowledged; the event may or may not be stored."""

    code = "over_capacity"
    status = 503
    retryable = True
    hint = "send it again after Retry-After; the same delivery id is stored only once"


class OverShare(TidegateError):
    """The disk is full of events that somebody is owed, and this source sent more than its share of them."""

    code = "source_over_share"
    status = 429
    retryable = True
    hint = "resume or delete the destinations that hold its deliveries, or raise `size` of [retention]"


class StoreBroken(TidegateError):
    """The store is unusable or its state is unknown (failed sync, full disk, lost file)."""

    code = "store_unavailable"
    status = 503
    retryable = True
    hint = "tidegate doctor"


class Fenced(TidegateError):
    """This node lost its lease, so another node may own its partitions. The write was rejected."""

    code = "fenced"
    status = 503
    retryable = True
    hint = "send it again: another node holds the lease now, and this node joins again by itself"


class StoreLocked(TidegateError):
    """Another process uses this data directory."""

    code = "data_locked"
    status = 503
    hint = "stop the other gateway, or start this one with another --data DIR"


class SchemaTooNew(TidegateError):
    """A newer release wrote the data; it was not changed."""

    code = "schema_newer"
    status = 503
    hint = "install the newer release of tidegate, or restore a backup made with this release"


class Blocked(TidegateError):
    """The guard blocked the address of a connection before any byte was sent."""

    code = "address_blocked"
    status = 502
    hint = "to allow this private address, add it to `allow` in [egress] of tidegate.toml"


class UpstreamError(TidegateError):
    """A source failed to answer. `upstream_status` is its HTTP status, None when there was no answer."""

    code = "upstream_failed"
    status = 502
    retryable = True
    hint = "check the status page of the source, then: tidegate pull SOURCE/RESOURCE --json"

    def __init__(self, message: str, *, upstream_status: int | None = None, **kw: object) -> None:
        super().__init__(message, **kw)  # type: ignore[arg-type]
        self.upstream_status = upstream_status


class UpstreamTimeout(UpstreamError):
    code = "upstream_timeout"
    status = 504


class CredentialFailed(UpstreamError):
    """There is no token right now: the token service did not give one. Nothing was sent to the source."""

    code = "credential_failed"
    hint = "tidegate auth status"


class CredentialDead(UpstreamError):
    """A person has to act: sign in again, or correct the credential. `cause` is a word. Nothing was sent."""

    code = "credential_dead"
    retryable = False

    def __init__(self, message: str, *, cause: str, **kw: object) -> None:
        super().__init__(message, **kw)  # type: ignore[arg-type]
        self.cause = cause


class OperationFailed(UpstreamError):
    """The API answered that a call failed."""

    code = "operation_failed"
    hint = "read the message of the API; see the operation: tidegate config show"
