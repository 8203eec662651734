"""The token that a person pasted: one file a gateway, for this account alone."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
from pathlib import Path

from gateway.errors import ConfigurationError, FieldError, InvalidRequest

_TOKEN = re.compile(r"[!-~]{8,4096}\Z")


def checked_token(value: object) -> str:
    """Return a token without spaces around it; raises `InvalidRequest`, which never holds it."""
    text = value.strip() if isinstance(value, str) else ""
    if not _TOKEN.match(text):
        detail = "must be a token: 8 or more letters, digits and signs, without spaces"
        raise InvalidRequest([FieldError("#/token", detail)])
    return text


class KeptTokens:
    """The token of one gateway, in a folder.

    Parameters
    ----------
    url
        The gateway's: another one's token is never taken.
    """

    def __init__(self, folder: Path, url: str) -> None:
        self.file = folder / f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.token"

    def read(self) -> str | None:
        """Return the token, None where none is kept.

        Raises
        ------
        ConfigurationError
            Others can read it, or it cannot be read.
        """
        try:
            with self.file.open() as stream:
                mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
                text = stream.read(8192)
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError):
            raise ConfigurationError(f"the kept token {self.file} cannot be read") from None
        if mode & 0o077:
            raise ConfigurationError(f"the kept token {self.file} can be read by others", hint="paste it again")
        return text.strip() or None

    def write(self, token: str) -> None:
        """Keep a token; raises `ConfigurationError`."""
        part = self.file.with_name(f".{secrets.token_hex(8)}")
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                with os.fdopen(descriptor, "w") as stream:
                    stream.write(token + "\n")
                part.replace(self.file)
            finally:
                part.unlink(missing_ok=True)
        except OSError as error:
            raise ConfigurationError(f"the token cannot be kept in {self.file.parent}: {error.strerror}") from None

    def remove(self) -> None:
        """Forget it; raises `ConfigurationError`."""
        try:
            self.file.unlink(missing_ok=True)
        except OSError as error:
            raise ConfigurationError(f"{self.file} cannot be removed: {error.strerror}") from None
