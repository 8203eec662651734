"""Idempotency keys: the same request under the same key gives the same job."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from gateway.db import jobs as table
from gateway.errors import FieldError, InvalidRequest
from gateway.jobs.pointers import find_bad_text, pointer

_KEY = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,253}[\x21-\x7e])?\Z")


@dataclass(frozen=True)
class Key:
    """A key with the digest of the request that it came with."""

    owner: str
    text: str
    digest: str

    def job_id(self, connection: Connection) -> str | None:
        """Return the job that this request made before; None where it is new.

        Raises
        ------
        InvalidRequest
            The key was used for another request.
        """
        found = table.find_key(connection, self.owner, self.text)
        if found is None:
            return None
        if found["body"] != self.digest:
            detail = "this Idempotency-Key was used for another request"
            raise InvalidRequest([FieldError("#", detail)], detail)
        return str(found["job_id"])


def read_key(owner: str, text: str | None, digest: str) -> Key | None:
    """Return the key of a request; None without one.

    Raises
    ------
    InvalidRequest
        The text cannot be a key.
    """
    if text is None:
        return None
    if not _KEY.match(text):
        detail = "Idempotency-Key must be 1 to 255 printable ASCII characters"
        raise InvalidRequest([FieldError("#", detail)], detail)
    return Key(owner, text, digest)


def request_digest(body: Any, draft: bool, *asked: str) -> str:
    """Return the SHA-256 of a request: the same for bodies that differ in spacing and order of keys only.

    Parameters
    ----------
    asked
        What is asked for and about which job; nothing for a new job.

    Raises
    ------
    InvalidRequest
        A text in the body is not Unicode.
    """
    if (place := find_bad_text(body)) is not None:
        raise InvalidRequest([FieldError(pointer(place), "must be valid Unicode")])
    text = json.dumps([body, draft, *asked], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
