"""JSON merge patch (RFC 7396), and what differs between two documents. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gateway.model.job import Change
from gateway.model.pointers import pointer

MAX_CHANGES = 200
MAX_TEXT = 200
"""Characters of a text that are shown; a longer one is cut and ends with ``…``."""

Place = tuple[str | int, ...]


def merge(document: Any, patch: Any) -> Any:
    """Return `document` with `patch` laid over it; neither is changed.

    Objects are merged key by key, and None takes a key away; anything else replaces what was there.
    """
    if not isinstance(patch, dict):
        return patch
    merged = dict(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def difference(before: Any, after: Any) -> list[Change]:
    """Return the places in which two documents differ, at most `MAX_CHANGES`.

    A key that is missing counts as None. Lists are compared item by item where they have the same length, and are one
    change otherwise.
    """
    found: list[Change] = []
    for place, old, new in _differences(before, after, ()):
        if len(found) == MAX_CHANGES:
            break
        found.append(Change(pointer=pointer(place), before=shorten(old), after=shorten(new)))
    return found


def _differences(before: Any, after: Any, place: Place) -> Iterator[tuple[Place, Any, Any]]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys([*before, *after]):
            yield from _differences(before.get(key), after.get(key), (*place, key))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from _differences(old, new, (*place, number))
    elif not _same(before, after):
        yield place, before, after


def _same(before: Any, after: Any) -> bool:
    """Compare as JSON does: ``true`` is not 1, and 1 is 1.0."""
    if isinstance(before, bool) or isinstance(after, bool):
        return before is after
    if isinstance(before, dict | list) or isinstance(after, dict | list):
        return type(before) is type(after) and len(before) == len(after) and not any(_differences(before, after, ()))
    return bool(before == after)


def shorten(value: Any) -> Any:
    """Return a value with its long texts cut."""
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT else f"{value[:MAX_TEXT]}…"
    if isinstance(value, dict):
        return {key: shorten(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shorten(inner) for inner in value[:MAX_CHANGES]]
    return value
