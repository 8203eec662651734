"""What rclone tells of archived objects of S3. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from gateway.errors import StoreError
from gateway.model.retention import is_closed

LIFETIME_DAYS = 14
"""How long the copy stands that S3 makes: until then the object must have been moved to its usual class."""
_OPEN_ALREADY = ("Not GLACIER", "RestoreAlreadyInProgress")


@dataclass(frozen=True)
class Returned:
    """Objects as they are now.

    Attributes
    ----------
    open
        Can be read and stay so, or are gone.
    copied
        Came back as a copy that goes again: to be moved to their usual class.
    forgotten
        Are archived, and nobody asked for them, or their copy went again.
    """

    open: frozenset[str]
    copied: frozenset[str]
    forgotten: frozenset[str]


def read_status(output: bytes, paths: Collection[str]) -> Returned:
    """Read what ``rclone backend restore-status -o all`` printed.

    Raises
    ------
    StoreError
        It is something else.
    """
    found = {str(row.get("Remote")): row for row in _rows(output)}
    opened, copied, forgotten = set(), set(), set()
    for path in paths:
        row = found.get(path)
        if row is None or not is_closed(row.get("StorageClass")):
            opened.add(path)
            continue
        status = row.get("RestoreStatus")
        if not isinstance(status, dict):
            forgotten.add(path)
        elif not status.get("IsRestoreInProgress"):
            copied.add(path)
    return Returned(frozenset(opened), frozenset(copied), frozenset(forgotten))


def refused(output: bytes) -> list[str]:
    """Return why objects cannot be brought back, by what ``rclone backend restore`` printed."""
    said = [str(row.get("Status", "")) for row in _rows(output)]
    return [text for text in said if text != "OK" and not any(word in text for word in _OPEN_ALREADY)]


def _rows(output: bytes) -> list[dict[str, Any]]:
    try:
        found = json.loads(output.strip() or b"null")
    except ValueError:
        raise StoreError("rclone's answer about archived objects cannot be read") from None
    return [row for row in found or () if isinstance(row, dict)] if isinstance(found, list | None) else []
