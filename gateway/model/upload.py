"""Files that people sent to the gateway, as they stand on the wire."""

from __future__ import annotations

from gateway.model.base import Time
from gateway.model.job import Answer


class Upload(Answer):
    """A file on its way to the gateway, or there.

    Attributes
    ----------
    digest
        What it is, once `complete`; before that what its sender says it will be.
    size
        Bytes of the whole; None while only its sender knows.
    received
        Bytes that are kept: where to go on (`Upload-Offset`).
    expires_at
        When it is removed, unless a job uses it before.
    """

    id: str
    digest: str | None = None
    size: int | None = None
    received: int
    complete: bool
    created_at: Time
    expires_at: Time


class UploadPage(Answer):
    """A page of uploads, newest first."""

    items: list[Upload]
    next_cursor: str | None = None
