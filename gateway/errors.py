"""The exceptions of the gateway, in one tree, and their one map to HTTP.

GatewayError
├── InvalidRequest            422  bad input; names each field
├── Unauthenticated           401
├── Forbidden                 403
├── NotFound                  404
├── Conflict                  409  not possible in this state, or the first request still runs
├── PreconditionFailed        412  the ETag is not the current one
├── RangeNotSatisfiable       416
├── PayloadTooLarge           413
├── NoRoom                    507  the gateway's disk is full
├── TooManyRequests           429  Retry-After says when to come again
├── ConfigurationError        500  gateway.toml is wrong; names each key
├── DataFolderInUse           500  another gateway drives this folder
├── TargetError               502
│   ├── TargetUnreachable     503  transient: refused, reset, timed out
│   ├── RemoteTimeout         503  the command's answer did not arrive: it may or may not have run
│   ├── LoginRefused          503  authentication failed; a person must act
│   ├── HostKeyChanged        503  the host's key is not one that the admin named
│   ├── LeaseLost             503  another gateway process drives these jobs now; nothing was changed
│   ├── RemoteCommandFailed   502  the command ran and failed
│   └── StagingFailed         502
├── SchedulerError            502
│   └── SubmissionRejected    502  the scheduler said no (never retried as it is)
├── StoreError                502
│   ├── ObjectArchived        409  it is in the archive tier: somebody must ask for it first
│   └── StoreUnreachable      503
├── UrlError                  502  a URL that a person gave cannot be fetched
│   └── UrlUnreachable        503
├── CrateError                422  an RO-Crate cannot be read or run
└── ImageError                502
    └── MissingProgram        500  a program of this machine is missing; the hint is the line that installs it
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class GatewayError(Exception):
    """Base of every error that the gateway raises on purpose.

    Parameters
    ----------
    message
        One sentence that names the cause. Never holds a secret.
    hint
        What the person can do about it.
    """

    status = 500
    problem = "internal"
    title = "Unexpected error"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


@dataclass(frozen=True)
class FieldError:
    """One mistake in a request: `pointer` is a JSON pointer fragment such as ``#/resources/walltime``."""

    pointer: str
    detail: str


class InvalidRequest(GatewayError):
    """The request is not one that can be carried out; nothing was created or changed."""

    status = 422
    problem = "validation"
    title = "The request is not valid"

    def __init__(self, errors: Sequence[FieldError], message: str | None = None) -> None:
        self.errors = tuple(errors)
        super().__init__(message or "; ".join(f"{e.pointer}: {e.detail}" for e in self.errors))


class Unauthenticated(GatewayError):
    """No valid token came with the request."""

    status, problem, title = 401, "unauthenticated", "A valid token is needed"


class Forbidden(GatewayError):
    """The person is known, and may not do this."""

    status, problem, title = 403, "forbidden", "Not allowed"


class NotFound(GatewayError):
    """There is no such thing, or it belongs to somebody else."""

    status, problem, title = 404, "not-found", "Not found"


class Conflict(GatewayError):
    """Not possible in the present state."""

    status, problem, title = 409, "conflict", "Not possible in this state"


class PreconditionFailed(GatewayError):
    """``If-Match`` did not match: somebody changed it in between."""

    status, problem, title = 412, "precondition-failed", "It was changed in between"


class PayloadTooLarge(GatewayError):
    """The body is larger than the gateway takes."""

    status, problem, title = 413, "too-large", "The request is too large"


class TooManyRequests(GatewayError):
    """More requests came with one token than the gateway takes.

    Attributes
    ----------
    retry_after
        Whole seconds until the next one is taken.
    """

    status, problem, title = 429, "too-many-requests", "Too many requests"

    def __init__(self, message: str, *, retry_after: int = 1, hint: str | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message, hint=hint)


class NoRoom(GatewayError):
    """The gateway's disk has no room for it."""

    status, problem, title = 507, "no-room", "The gateway's disk is full"


class RangeNotSatisfiable(GatewayError):
    """The byte range lies outside the file."""

    status, problem, title = 416, "range", "The range lies outside the file"


class ConfigurationError(GatewayError):
    """gateway.toml (or an override) is wrong. `errors` name each key's place."""

    problem, title = "configuration", "The configuration is wrong"

    def __init__(self, message: str, errors: Sequence[FieldError] = (), *, hint: str | None = None) -> None:
        self.errors = tuple(errors)
        super().__init__(message, hint=hint)


class DataFolderInUse(GatewayError):
    """Another gateway process drives the jobs of this data folder."""

    problem, title = "data-folder-in-use", "Another gateway drives this data folder"


class TargetError(GatewayError):
    """Something about a target, a cluster or a machine, went wrong."""

    status, problem, title = 502, "target", "The target failed"


class TargetUnreachable(TargetError):
    """The target could not be reached; trying again later may work."""

    status, problem, title = 503, "target-unreachable", "The target cannot be reached"


class RemoteTimeout(TargetUnreachable):
    """No whole answer came: the command may or may not have run."""

    problem, title = "target-timeout", "The target did not answer in time"


class LoginRefused(TargetUnreachable):
    """Authentication failed. Never retried by itself."""

    problem, title = "needs-login", "The target refused the login"


class HostKeyChanged(TargetUnreachable):
    """The host showed a key that the configuration does not name. Never retried by itself."""

    problem, title = "host-key", "The target's host key is not the configured one"


class LeaseLost(TargetUnreachable):
    """Another gateway process drives the target's jobs now: to this one it is out of reach. Nothing was changed."""

    problem, title = "lease-lost", "Another gateway process drives these jobs"


class RemoteCommandFailed(TargetError):
    """A remote command ran and ended with a status that is not 0."""

    problem, title = "remote-command", "A command on the target failed"


class StagingFailed(TargetError):
    """The job's files could not be put on the target."""

    problem, title = "staging", "The job's files could not be put on the target"


class SchedulerError(GatewayError):
    """The scheduler's answer could not be used."""

    status, problem, title = 502, "scheduler", "The scheduler failed"


class SubmissionRejected(SchedulerError):
    """The scheduler refused the job; the message holds its own words."""

    problem, title = "scheduler-rejected", "The scheduler refused the job"


class StoreError(GatewayError):
    """A store refused or failed."""

    status, problem, title = 502, "store", "The store failed"


class StoreUnreachable(StoreError):
    """A store could not be reached; trying again later may work."""

    status, problem, title = 503, "store-unreachable", "The store cannot be reached"


class ObjectArchived(StoreError):
    """The object is in the store's archive tier: nobody can read it until it was brought back, which takes hours."""

    status, problem, title = 409, "archived", "The file is archived"


class UrlError(GatewayError):
    """A URL that a person gave cannot be fetched. The message names its host, never its path or query."""

    status, problem, title = 502, "url", "The URL cannot be fetched"


class UrlUnreachable(UrlError):
    """It cannot be fetched now; trying again later may work."""

    status, problem, title = 503, "url-unreachable", "The URL cannot be reached"


class CrateError(GatewayError):
    """An RO-Crate cannot be read, or does not hold what would be needed to run it again."""

    status, problem, title = 422, "crate", "The crate cannot be used"


class ImageError(GatewayError):
    """A container image could not be built, found or described."""

    status, problem, title = 502, "image", "The image is not usable"


class MissingProgram(ImageError):
    """A program that this machine needs is not installed."""

    status, problem, title = 500, "missing-program", "A program is missing"
