"""Where a mistake stands in a request, as JSON pointers. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

from pydantic import ValidationError

from gateway.errors import FieldError, InvalidRequest
from gateway.model.pointers import pointer as pointer  # noqa: PLC0414  (it is also found here)

MAX_ERRORS = 50
_LEADING_FIELD = re.compile(r"^([a-z_]+): ")


def strip_tags(location: Sequence[str | int], body: Any) -> list[str | int]:
    """Keep of pydantic's location what is a place in `body`: names of unions' branches and ``[key]`` go."""
    kept: list[str | int] = []
    here = body
    for number, part in enumerate(location):
        last = number == len(location) - 1
        if isinstance(here, dict) and part in here:
            kept.append(part)
            here = here[part]
        elif isinstance(here, dict | None) and last and part != "[key]":
            kept.append(part)
        elif isinstance(here, list) and isinstance(part, int) and 0 <= part < len(here):
            kept.append(part)
            here = here[part]
    return kept


def invalid_request(error: ValidationError, body: Any, *, fields: Iterable[str] = ()) -> InvalidRequest:
    """Turn pydantic's mistakes into a problem that names each field, never a value.

    Parameters
    ----------
    fields
        Names at the top: a sentence about the whole that begins with ``<name>:`` is put there.
    """
    known = frozenset(fields)
    found = []
    for item in error.errors(include_url=False, include_input=False, include_context=False)[:MAX_ERRORS]:
        place = strip_tags(item["loc"], body)
        detail = item["msg"].removeprefix("Value error, ")
        leading = _LEADING_FIELD.match(detail)
        if not place and leading and leading[1] in known:
            place, detail = [leading[1]], detail[leading.end() :]
        found.append(FieldError(pointer(place), detail))
    return InvalidRequest(found)


def invalid_query(error: ValidationError) -> InvalidRequest:
    """Turn pydantic's mistakes about query parameters into a problem; pointers are ``?<name>``."""
    found = []
    for item in error.errors(include_url=False, include_input=False, include_context=False)[:MAX_ERRORS]:
        name = quote(str(item["loc"][0])[:200], safe="", errors="replace") if item["loc"] else ""
        detail = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            detail = "is not a parameter of this route"
        found.append(FieldError(f"?{name}", detail))
    return InvalidRequest(found)


def refuse_query(name: str, detail: str) -> InvalidRequest:
    """Return the problem of one query parameter."""
    return InvalidRequest([FieldError(f"?{quote(name[:200], safe='', errors='replace')}", detail)])


def find_bad_text(value: Any, place: tuple[str | int, ...] = ()) -> tuple[str | int, ...] | None:
    """Return the place of the first text that is not Unicode (half of a surrogate pair), or None."""
    if isinstance(value, str):
        return None if _is_unicode(value) else place
    items: Iterable[tuple[str | int, Any]] = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, inner in items:
        if isinstance(key, str) and not _is_unicode(key):
            return place
        if (found := find_bad_text(inner, (*place, key))) is not None:
            return found
    return None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
