"""The gateway's own manifest of a job, signed with its Ed25519 key."""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import os
import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from gateway.errors import ConfigurationError
from gateway.storage.manifest import ManifestFile

MANIFEST_PATH = ".gateway/manifest.json"
KEY_FILE = "signing-key.pem"
SignedState = Literal["complete", "rescued", "partial"]


def load_or_create_key(data: Path) -> Ed25519PrivateKey:
    """Return the gateway's key from its data folder; the first caller of all processes makes it (0600).

    Raises
    ------
    ConfigurationError
        The file cannot be read or made, is open to others, or holds something else.
    """
    file = data / KEY_FILE
    try:
        if not file.exists():
            _create(file)
        if file.stat().st_mode & 0o077:
            raise ConfigurationError(f"{file} can be read by others", hint=f"chmod 600 {file}")
        key = load_pem_private_key(file.read_bytes(), None)
    except OSError as error:
        raise ConfigurationError(f"the signing key {file} cannot be used: {error.strerror}") from None
    except (ValueError, TypeError):
        raise ConfigurationError(f"{file} does not hold a private key") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(f"{file} does not hold an Ed25519 key")
    return key


def _create(file: Path) -> None:
    text = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        with contextlib.suppress(FileExistsError):  # another process was first: its key counts
            os.link(part, file)
    finally:
        part.unlink()


def public_key_text(key: Ed25519PublicKey) -> str:
    """Return the 32 bytes of a public key as base64."""
    return base64.b64encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def read_public_key(text: str) -> Ed25519PublicKey:
    """Read what `public_key_text` wrote; ValueError for anything else."""
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))
    except binascii.Error:
        raise ValueError("the public key is not base64") from None


def canonical(manifest: Mapping[str, Any]) -> bytes:
    """Return the bytes that are signed: JSON with sorted keys, no blanks, UTF-8."""
    return json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def signed_manifest(
    key: Ed25519PrivateKey,
    *,
    job: str,
    attempt: int,
    store: str,
    state: SignedState,
    at: datetime,
    files: Iterable[ManifestFile],
    missing: Iterable[str] = (),
    about: Mapping[str, str] | None = None,
) -> bytes:
    """Build the content of ``<job-id>/.gateway/manifest.json``.

    Parameters
    ----------
    state
        ``complete``: the node's passes brought everything; ``rescued``: the gateway's own did; ``partial``.
    files
        What is in the store, checked against its listing.
    missing
        Paths that should be there, and are not.
    about
        What else is signed of the job, for a gateway that knows it from nowhere else: ``owner``, ``name``, ``case``,
        ``target``, ``outcome`` (the state that it ended in).
    """
    manifest: dict[str, Any] = {
        "version": 1,
        "job": job,
        "attempt": attempt,
        "store": store,
        "state": state,
        "at": _text(at),
        "files": [_row(file) for file in sorted(files, key=lambda file: file.path)],
        "missing": sorted(missing),
    }
    if about:
        manifest["about"] = dict(about)
    signature = base64.b64encode(key.sign(canonical(manifest))).decode()
    signed = {"manifest": manifest, "signature": signature, "key": public_key_text(key.public_key())}
    return json.dumps(signed, ensure_ascii=False, indent=1).encode() + b"\n"


def verify(data: bytes, public_key: Ed25519PublicKey) -> dict[str, Any]:
    """Return the manifest in `data` if `public_key` signed it.

    The key inside `data` is for people's eyes only and decides nothing.

    Raises
    ------
    ValueError
        It is not a signed manifest, or not one that this key signed.
    """
    return verify_by_any(data, [public_key_text(public_key)])[0]


def verify_by_any(data: bytes, keys: Iterable[str]) -> tuple[dict[str, Any], str]:
    """Return the manifest in `data`, and which of `keys` (as `public_key_text` writes them) signed it.

    Raises
    ------
    ValueError
        It is not a signed manifest, or none of them signed it.
    """
    try:
        signed = json.loads(data)
        manifest, signature = signed["manifest"], base64.b64decode(signed["signature"], validate=True)
        if not isinstance(manifest, dict):
            raise TypeError
        content = canonical(manifest)
        hint = signed.get("key")
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError):
        raise ValueError("this is not a signed manifest") from None
    for key in sorted(keys, key=lambda key: key != hint):  # the one that it names is tried first
        with contextlib.suppress(InvalidSignature, ValueError):
            read_public_key(key).verify(signature, content)
            return manifest, key
    raise ValueError("the manifest was changed, or signed by somebody else")


def _row(file: ManifestFile) -> dict[str, Any]:
    return {
        "path": file.path,
        "size": file.size,
        "digest": file.digest,
        "modified_at": None if file.modified_at is None else _text(file.modified_at),
        "content_type": file.content_type,
    }


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
