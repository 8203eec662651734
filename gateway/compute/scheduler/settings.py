"""What every scheduler's section of gateway.toml has, and the alphabets of what reaches a scheduler."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from gateway.errors import FieldError, InvalidRequest
from gateway.model.base import text_problem
from gateway.model.specification import DirectiveValue, OptionName, Resources
from gateway.settings import PluginSettings

WORD = re.compile(r"[A-Za-z0-9_.:=,@+/-]+\Z")
"""What may stand in a directive or reach the shell inside Torque's wrappers for Slurm."""
_FOLDER = re.compile(r"/[A-Za-z0-9_.@=+/-]*\Z")
_NAME = re.compile(r"gw-[0-9a-f]{12}\Z")
_DIRECTIVE = re.compile(r"-[A-Za-z0-9 _.:=,@+/%&|()\[\]*-]{0,500}\Z")


def _directive(value: str) -> str:
    if not _DIRECTIVE.match(value):
        raise ValueError(
            "must be an option such as '-W umask=0027': letters, digits and _ . : = , @ + / % & | ( ) [ ] * -"
        )
    return value


def _shell_text(value: str) -> str:
    if problem := text_problem(value.replace("\n", "").replace("\t", "")):
        raise ValueError(problem)
    return value


AdminDirective = Annotated[str, AfterValidator(_directive)]
"""A directive line of the administrator, without ``#PBS`` or ``#SBATCH``."""


class SchedulerSettings(PluginSettings):
    """Settings that the scripts of every scheduler need.

    Attributes
    ----------
    preamble
        Bash text of the administrator, run before everything else of a job.
    kill_delay
        Seconds between the scheduler's TERM and its KILL.
    """

    preamble: Annotated[str, AfterValidator(_shell_text)] = ""
    kill_delay: int = Field(default=10, ge=2, le=3600)


class BatchSettings(SchedulerSettings):
    """Settings of a scheduler with queues.

    Attributes
    ----------
    queue, account
        Used where a job names none.
    directives
        The administrator's further lines.
    options
        Names of the options that users may set by ``resources.options``.
    array_limit
        Tasks of one array at most, where the site does not tell a smaller number; 1: no arrays.
    array_throttle
        Tasks of one array that run at the same time at most (``%N`` of Slurm and Torque; OpenPBS is not told).
    """

    queue: DirectiveValue | None = None
    account: DirectiveValue | None = None
    directives: tuple[AdminDirective, ...] = ()
    options: tuple[OptionName, ...] = ()
    array_limit: int = Field(default=1000, ge=1, le=100_000)
    array_throttle: int | None = Field(default=None, ge=1, le=100_000)


def refuse(field: str, detail: str) -> InvalidRequest:
    """Return the error for a field of ``resources``."""
    return InvalidRequest([FieldError(f"#/resources/{field}", detail)])


def check_words(resources: Resources, settings: BatchSettings) -> None:
    """Check what comes from people and ends in directives; the model has checked it once already.

    Raises
    ------
    InvalidRequest
        A value has characters that no queue, account or option has, or an option is not for users to set.
    """
    errors = []
    words = {"queue": resources.queue, "account": resources.account}
    words |= {f"options/{name}": value for name, value in resources.options.items()}
    for field, value in words.items():
        if value is not None and not (WORD.match(value) and value[0].isalnum()):
            errors.append(FieldError(f"#/resources/{field}", "may have letters, digits and _ . : = , @ + / - only"))
    for name in resources.options:
        if problem := option_problem(name, settings.options):
            errors.append(FieldError(f"#/resources/options/{name}", problem))
    if errors:
        raise InvalidRequest(errors)


def option_problem(option: str, allowed: tuple[str, ...]) -> str | None:
    """Say why a user may not set `option`, or None."""
    if option in allowed:
        return None
    known = ", ".join(allowed) if allowed else "none"
    return f"{option!r} is not an option that may be set on this target (allowed: {known})"


def check_name(name: str) -> str:
    """Return a submission's name.

    Raises
    ------
    ValueError
        A programming error: the gateway makes these names itself.
    """
    if not _NAME.match(name):
        raise ValueError(f"{name!r} is not the name of a submission")
    return name


def check_folder(folder: str) -> str:
    """Return a control folder that the PBS commands take as part of ``-o`` and ``-e``.

    Raises
    ------
    InvalidRequest
        It has characters that they (or the shell inside their wrappers) read as something else.
    """
    if not _FOLDER.match(folder):
        detail = "its workdir has characters that qsub does not take: letters, digits and _ . @ = + / - only"
        raise InvalidRequest([FieldError("#/target", detail)])
    return folder
