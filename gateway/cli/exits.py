"""Exit statuses, and how an error is told: one or two lines on standard error, the cause and what to do."""

from __future__ import annotations

from enum import IntEnum

from gateway.cli.text import line
from gateway.errors import ConfigurationError, GatewayError, InvalidRequest, TargetUnreachable
from gateway.model.job import Job
from gateway.model.states import State

SHOWN_MISTAKES = 20


class Exit(IntEnum):
    """What ``gateway`` ends with."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    NOT_FOUND = 3
    UNREACHABLE = 4
    REFUSED = 5
    JOB_FAILED = 10
    DIFFERENT = 11
    INTERRUPTED = 130


class UsageMistake(GatewayError):
    """The command line, or a file it names, cannot be used."""

    status = 400


def status_of(error: GatewayError) -> Exit:
    """Return the exit status of an error."""
    if isinstance(error, UsageMistake | ConfigurationError):
        return Exit.USAGE
    if error.status == 404:
        return Exit.NOT_FOUND
    if error.status in (502, 503, 504) or isinstance(error, TargetUnreachable):
        return Exit.UNREACHABLE
    return Exit.REFUSED if 400 <= error.status < 500 else Exit.UNEXPECTED


def tell(error: GatewayError) -> list[str]:
    """Return the lines that tell an error."""
    if isinstance(error, InvalidRequest | ConfigurationError) and error.errors:
        named = [f"  {line(item.pointer)}: {line(item.detail)}" for item in error.errors[:SHOWN_MISTAKES]]
        if len(error.errors) > SHOWN_MISTAKES:
            named.append(f"  … and {len(error.errors) - SHOWN_MISTAKES} more")
        title = error.title if isinstance(error, InvalidRequest) else error.message
        return [f"gateway: {line(title)}", *named]
    told = [f"gateway: {line(error.message)}"]
    return [*told, f"  {line(error.hint)}"] if error.hint else told


def job_exit(job: Job) -> Exit:
    """Return the exit status of a command that waited for a job."""
    return Exit.DONE if job.state is State.SUCCEEDED else Exit.JOB_FAILED
