"""What a signed manifest says is in a store, read back for verification and adoption. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.storage.signing import verify_by_any

MAX_SIGNED = 512 * 1024 * 1024
"""Bytes of a signed manifest that are read."""


@dataclass(frozen=True)
class Expected:
    """One file as it was proved; `digest` is ``sha256:…``, None where it was never known."""

    size: int
    digest: str | None
    modified_at: str | None = None
    content_type: str | None = None


@dataclass(frozen=True)
class SignedClaim:
    """A manifest that a known key signed.

    Attributes
    ----------
    files
        What was proved to be in the store, by path; what it names as missing is left out.
    missing
        What was not there, or not as the job left it.
    about
        What else it says of the job: ``owner``, ``name`` …
    """

    key: str
    job: str
    attempt: int
    store: str
    state: str
    at: str
    files: dict[str, Expected]
    missing: frozenset[str]
    about: Mapping[str, Any]


def read_claim(data: bytes, keys: Iterable[str]) -> SignedClaim:
    """Check the signature and read the manifest.

    Raises
    ------
    ValueError
        It is not a manifest, or none of `keys` signed it.
    """
    manifest, key = verify_by_any(data, keys)
    try:
        missing = frozenset(str(path) for path in manifest["missing"])
        files = {
            str(row["path"]): Expected(int(row["size"]), row["digest"], row["modified_at"], row["content_type"])
            for row in manifest["files"]
            if row["path"] not in missing
        }
        about = manifest.get("about")
        return SignedClaim(
            key,
            str(manifest["job"]),
            int(manifest["attempt"]),
            str(manifest["store"]),
            str(manifest["state"]),
            str(manifest["at"]),
            files,
            missing,
            about if isinstance(about, dict) else {},
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ValueError("the signed manifest is not of a form that is known here") from None
