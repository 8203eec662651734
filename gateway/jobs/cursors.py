"""Opaque cursors of pages: where the page before ended. Pure."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import UTC, datetime
from typing import Any

from gateway.errors import InvalidRequest
from gateway.jobs.pointers import refuse_query

_MAX = 8192
_MAX_MOMENT = 253_402_300_799_000_000
"""Microseconds of the last moment that a datetime can hold."""


def encode(kind: str, *values: str | int) -> str:
    """Return a cursor for lists of one `kind` (list and order)."""
    text = json.dumps([kind, *values], separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def decode(cursor: str, kind: str, *types: type) -> tuple[str | int, ...]:
    """Return the values of a cursor that `encode` made.

    Raises
    ------
    InvalidRequest
        It was not made for this list and order.
    """
    found = _parse(cursor)
    if not isinstance(found, list) or found[:1] != [kind] or [type(v) for v in found[1:]] != list(types):
        raise _refuse()
    if not all(_is_storable(value) for value in found):
        raise _refuse()
    return tuple(found[1:])


def kind_of(cursor: str) -> str | None:
    """Return the kind that a cursor says it is of; raises `InvalidRequest` where it is none."""
    found = _parse(cursor)
    return found[0] if isinstance(found, list) and found and isinstance(found[0], str) else None


def _parse(cursor: str) -> Any:
    try:
        if len(cursor) > _MAX:
            raise ValueError
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return json.loads(text.decode())
    except (ValueError, binascii.Error, RecursionError):
        raise _refuse() from None


def _is_storable(value: str | int) -> bool:
    """Say whether a database takes a value: text in Unicode, a number of 64 bits."""
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)


def encode_moment(at: datetime) -> int:
    """Return whole microseconds since 1970, as the database keeps moments."""
    return round(at.timestamp() * 1_000_000)


def decode_moment(value: str | int) -> datetime:
    """Return the moment of `encode_moment`; raises `InvalidRequest` for one that cannot be."""
    if not isinstance(value, int) or not 0 <= value <= _MAX_MOMENT:
        raise _refuse()
    return datetime.fromtimestamp(value / 1_000_000, UTC)


def _refuse() -> InvalidRequest:
    return refuse_query("cursor", "is not a cursor of this list")
