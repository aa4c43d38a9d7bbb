"""The one error tree: what happened, why, and the next command.

Owns every error that crosses a module border. Each library's exceptions are translated once, at the edge
where the library is called; nothing is classified by message text. `code` is stable and documented in
`docs/reference/errors.md`; internals (tracebacks, SQL, paths of ours) never stand in `message` or `hint`.
"""

from __future__ import annotations


class TidegateError(Exception):
    """An error a user can act on.

    `code` is a stable word, `message` says what happened with the value seen, `hint` is the next command
    or change to make, `status` is the HTTP status an API answer carries, `retryable` says whether the
    same call may succeed later without a change, `retry_after_seconds` when (None: not said).
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
    """The configuration is wrong. `path` is `$.sources.shop`, `where` is `FILE:LINE` when known."""

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
        super().__init__(message, hint=hint or "correct this value, then do the same again", code=code)
        self.path = path
        self.where = where


class NotBuilt(ConfigError):
    """A part the contract names and this release does not have: refused by name, never ignored."""

    code = "not_built"
    status = 501


class BadRequest(TidegateError):
    """The caller sent something that cannot be understood; nothing was changed."""

    code = "bad_request"
    status = 400
    hint = "see /openapi.json for the parameters of this call"


class Unauthorized(TidegateError):
    code = "unauthorized"
    status = 401
    hint = "send 'Authorization: Bearer KEY'; make a key with: tidegate keys create NAME --scope read"


class Forbidden(TidegateError):
    code = "forbidden"
    status = 403
    hint = "use a key with the scope this call needs: tidegate keys create NAME --scope SCOPE"


class NotFound(TidegateError):
    code = "not_found"
    status = 404
    hint = "list what there is: tidegate config show"


class Conflict(TidegateError):
    """The call contradicts what stands; nothing was changed."""

    code = "conflict"
    status = 409


class ChangedElsewhere(Conflict):
    """What this was decided by is otherwise by now; nothing was changed. Read again, then decide again."""

    code = "changed_elsewhere"
    retryable = True
    hint = "read the configuration again, then apply yours"


class Gone(TidegateError):
    """What is asked for lies before the oldest that is kept."""

    code = "gone"
    status = 410


class StoreBusy(TidegateError):
    """The store cannot take more at this moment. Nothing was acknowledged; the event may or may not be stored."""

    code = "over_capacity"
    status = 503
    retryable = True
    hint = "send again after Retry-After; the same delivery id is stored once"


class StoreBroken(TidegateError):
    """The store's state is unknown or unusable (failed sync, disk full, lost file)."""

    code = "store_unavailable"
    status = 503
    retryable = True
    hint = "tidegate doctor"


class Fenced(TidegateError):
    """This node lost its lease: another may hold what it held. What was to be written was not written."""

    code = "fenced"
    status = 503
    retryable = True
    hint = "send again: the node that holds the lease now answers, and this one joins anew by itself"


class StoreLocked(TidegateError):
    """Another process holds this data directory."""

    code = "data_locked"
    status = 503
    hint = "stop the other gateway, or give this one its own --data DIR"


class SchemaTooNew(TidegateError):
    """The data was written by a newer release; it is left untouched."""

    code = "schema_newer"
    status = 503
    hint = "install the newer tidegate again, or restore a backup made with this one"


class Blocked(TidegateError):
    """The address guard refused a connection before a byte left."""

    code = "address_blocked"
    status = 502
    hint = "if this private address is meant, add it to [egress] allow in tidegate.toml"


class UpstreamError(TidegateError):
    """A source did not answer usefully. `upstream_status` is its HTTP status, None when there was no answer."""

    code = "upstream_failed"
    status = 502
    retryable = True
    hint = "look at the source's own status, then: tidegate pull SOURCE/RESOURCE --json"

    def __init__(self, message: str, *, upstream_status: int | None = None, **kw: object) -> None:
        super().__init__(message, **kw)  # type: ignore[arg-type]
        self.upstream_status = upstream_status


class UpstreamTimeout(UpstreamError):
    code = "upstream_timeout"
    status = 504
