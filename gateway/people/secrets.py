"""The secrets of tokens: made once, shown once, kept as a digest. Pure but for the random source."""

from __future__ import annotations

import hashlib
import re
import secrets

PREFIX = "sgw_"
"""What every person's token begins with, so that scanners of leaked secrets know it."""
_SECRET = re.compile(r"sgw_[A-Za-z0-9_-]{43}\Z")


def make_secret() -> str:
    """Return a new secret: `PREFIX` and 32 random bytes."""
    return PREFIX + secrets.token_urlsafe(32)


def looks_like_secret(text: str) -> bool:
    """Say whether `text` could be one; what could not is refused without a look into the database."""
    return _SECRET.match(text) is not None


def digest_of(secret: str) -> str:
    """Return what is kept of a secret. A plain SHA-256 is enough for 32 random bytes."""
    return hashlib.sha256(secret.encode()).hexdigest()
