"""Base model and small typed values shared by the models on the wire."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    StringConstraints,
)

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
"""Name of a target, store, queue …: letters, digits, ``_ . -``, at most 64 characters."""

Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
"""``sha256:`` and 64 lower-case hexadecimal digits."""


class Model(BaseModel):
    """Frozen model that refuses fields it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


def _rfc3339(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _aware(value: datetime) -> datetime:
    return value if value.tzinfo else value.replace(tzinfo=UTC)


Time = Annotated[datetime, AfterValidator(_aware), PlainSerializer(_rfc3339, return_type=str, when_used="json")]
"""A moment; RFC 3339 in UTC on the wire."""


def text_problem(value: str, *, newlines: bool = False) -> str | None:
    """Say what makes `value` unfit to be delivered byte for byte, or None."""
    if "\0" in value:
        return "must not contain a NUL character"
    if not newlines and re.search(r"[\x00-\x1f\x7f]", value):
        return "must not contain control characters"
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return "must be valid Unicode"
    return None


def _line(value: str) -> str:
    if problem := text_problem(value):
        raise ValueError(problem)
    return value


Line = Annotated[str, AfterValidator(_line)]
"""Text without control characters."""

_MEMORY = re.compile(r"^(\d{1,15})\s*([KMGT]?)i?B?\Z", re.IGNORECASE)
_WALLTIME = re.compile(r"^(?:(\d{1,4})-)?(\d{1,5}):([0-5]?\d):([0-5]?\d)\Z")


def parse_memory(value: Any) -> Any:
    """Bytes from an integer or ``512K|M|G|T`` (1024-based). Other values pass, for the model to refuse."""
    if isinstance(value, str) and (match := _MEMORY.match(value)):
        return int(match[1]) * 1024 ** " KMGT".index(match[2].upper() or " ")
    if isinstance(value, str):
        raise ValueError("must be bytes, or a number with K, M, G or T, such as 512M")
    return value


def parse_walltime(value: Any) -> Any:
    """Seconds from an integer or ``[D-]HH:MM:SS``."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 12:
        return int(value)
    if isinstance(value, str) and (match := _WALLTIME.match(value)):
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    if isinstance(value, str):
        raise ValueError("must be seconds or [D-]HH:MM:SS")
    return value


Memory = Annotated[int, BeforeValidator(parse_memory)]
Walltime = Annotated[int, BeforeValidator(parse_walltime)]
