"""The settings of an ``rclone`` store, and which remotes are refused. Pure."""

from __future__ import annotations

import re

from pydantic import Field, field_validator, model_validator

from gateway.settings import Secret
from gateway.storage.names import clean_path
from gateway.storage.stores.base import StoreSettings

# Remotes that lead to other remotes by a text of their own, keep nothing, or have a kind of their own.
_REFUSED_TYPES = {
    **dict.fromkeys(
        ("alias", "archive", "cache", "chunker", "combine", "compress", "crypt", "hasher", "union"),
        "leads to another remote; name that one",
    ),
    "local": 'use kind = "directory"',
    "memory": "keeps nothing",
    "http": "cannot be written",
    "doi": "cannot be written",
}
# Keys whose value rclone runs as a program, or takes as the name of another remote.
_REFUSED_KEY = re.compile(r"(?:.*_)?command|ssh|remote|upstreams|shell_type|config_.*|.*_cmd")
_SECRET_KEY = re.compile(
    r"pass|password2?|.*_pass(?:word)?|.*secret.*|key|.*_key|key_pem|.*private_key|token|.*_token|sas_url"
    r"|connection_string|.*credentials|mnemonic|access_grant|cookies|authorization|sse_customer_key.*"
)
_NOT_SECRET_KEY = re.compile(r"public_key|host_key|pubkey|.*_key_id")


class RcloneSettings(StoreSettings):
    """Section of a store of kind ``rclone``.

    Attributes
    ----------
    remote
        rclone's own options of the remote: ``type`` and those that are no secrets.
    secrets
        The others, by where they are to be found. Passwords are given as they are, not obscured.
    root
        Folder below the remote: for object stores ``bucket/folder``, for file servers an absolute path.
    archive_tier
        Where retention archives to, by the service's own name, such as ``GLACIER``, where ``rclone settier`` can.
    """

    remote: dict[str, str | int | bool] = Field(min_length=1)
    secrets: dict[str, Secret] = Field(default_factory=dict)
    root: str
    archive_tier: str | None = Field(default=None, pattern=r"^[A-Za-z][A-Za-z0-9_]{1,31}$")

    @field_validator("layout")
    @classmethod
    def _prefix_only(cls, value: str) -> str:
        if value != "prefix":
            raise ValueError("an rclone store has the layout prefix only")
        return value

    @field_validator("root")
    @classmethod
    def _clean_root(cls, value: str) -> str:
        text = value.rstrip("/") or value
        try:
            clean_path(text.removeprefix("/"))
        except Exception:
            raise ValueError("is not a plain path without '..', '//' and control characters") from None
        if ":" in text.split("/", 1)[0]:
            raise ValueError("is a path only; the remote's options stand under remote")
        return text

    @model_validator(mode="after")
    def _safe(self) -> RcloneSettings:
        kind = self.remote.get("type")
        if not isinstance(kind, str) or not re.fullmatch(r"[a-z][a-z0-9]{1,30}", kind):
            raise ValueError("remote.type is the name of one of rclone's backends, such as s3")
        if kind in _REFUSED_TYPES:
            raise ValueError(f"remote.type {kind!r} {_REFUSED_TYPES[kind]}")
        for key in (*self.remote, *self.secrets):
            if not re.fullmatch(r"[a-z][a-z0-9_]{0,60}", key):
                raise ValueError(f"{key!r} is not the name of an option of rclone")
            if key != "type" and _REFUSED_KEY.fullmatch(key):
                raise ValueError(f"{key} could run a program or lead elsewhere, and is refused")
        for key, value in self.remote.items():
            if _SECRET_KEY.fullmatch(key) and not _NOT_SECRET_KEY.fullmatch(key):
                raise ValueError(f'{key} is a secret: secrets = {{ {key} = {{ env = "NAME" }} }}')
            if isinstance(value, str) and re.search(r"[\x00-\x1f\x7f]", value):
                raise ValueError(f"{key} has control characters")
        if both := sorted(set(self.remote) & set(self.secrets)):
            raise ValueError(f"{both[0]} stands in remote and in secrets")
        return self

    @property
    def backend(self) -> str:
        """Name of the backend in rclone."""
        return str(self.remote["type"])

    def plain_options(self) -> dict[str, str]:
        """Return the options that are no secrets, as rclone writes them."""
        return {
            key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in self.remote.items()
        }
