"""Signatures of images: a small signed statement beside each file, ``<name>.sig``."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gateway.errors import ConfigurationError, FieldError, GatewayError
from gateway.settings import Settings
from gateway.storage.signing import canonical, public_key_text, read_public_key
from gateway.urls import UrlOpener

SUFFIX = ".sig"
MOST = 16 * 1024
"""Bytes of a signature's file."""
_PATIENCE = 60.0


def sign_image(key: Ed25519PrivateKey, digest: str, size: int, at: datetime) -> bytes:
    """Return the content of ``<name>.sig``: that the holder of `key` vouches for the image with this digest."""
    statement = {"version": 1, "digest": digest, "size": size, "at": at.astimezone(UTC).isoformat(timespec="seconds")}
    signature = base64.b64encode(key.sign(canonical(statement))).decode()
    signed = {"image": statement, "signature": signature, "key": public_key_text(key.public_key())}
    return json.dumps(signed, indent=1).encode() + b"\n"


def signer_of(data: bytes, digest: str, keys: Iterable[str]) -> str:
    """Return which of `keys` (as `public_key_text` writes them) signed the image with this digest.

    Raises
    ------
    ValueError
        It is no signature, one of another image, or none of them made it.
    """
    if len(data) > MOST:
        raise ValueError("this is not a signature")
    try:
        signed: dict[str, Any] = json.loads(data)
        statement, signature = signed["image"], base64.b64decode(signed["signature"], validate=True)
        content, named = canonical(statement), statement["digest"]
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError):
        raise ValueError("this is not a signature") from None
    if named != digest:
        raise ValueError("the signature is one of another image")
    for key in keys:
        with contextlib.suppress(InvalidSignature, ValueError):
            read_public_key(key).verify(signature, content)
            return key
    raise ValueError("the signature was made by nobody who is trusted here")


async def signature_problem(urls: UrlOpener, url: str, digest: str, keys: Sequence[str]) -> str | None:
    """Say what is wrong with the signature beside a mirror's file; None where it is right, or there is none."""
    address = f"{url}{SUFFIX}"
    if not keys or "?" in url or urls.problem(address) is not None:
        return None
    data = b""
    try:
        async with asyncio.timeout(_PATIENCE), urls.follow(address, {}) as response:
            if response.status_code != HTTPStatus.OK:
                return None
            async for chunk in response.aiter_raw(MOST):
                data += chunk
                if len(data) > MOST:
                    break
    except (GatewayError, TimeoutError):
        return None
    try:
        signer_of(data, digest, keys)
    except ValueError as error:
        return f"the signature beside it is of no use: {error}"
    return None


def image_key(settings: Settings) -> Ed25519PrivateKey | None:
    """Return the key that images are signed with; None where none is configured.

    Raises
    ------
    ConfigurationError
        It cannot be read, or is something else.
    """
    secret = settings.image_publishing.signing_key
    if secret is None:
        return None
    place = "image_publishing.signing_key"
    try:
        key = load_pem_private_key(secret.reveal().encode(), None)
    except (ValueError, TypeError):
        raise ConfigurationError(
            f"{place}: it is no private key (PEM)", [FieldError(place, "no private key")]
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(f"{place}: it is no Ed25519 key", [FieldError(place, "no Ed25519 key")])
    return key


def trusted_by(settings: Settings, key: Ed25519PrivateKey | None) -> list[str]:
    """Return the public keys whose signatures of images are believed."""
    own = [public_key_text(key.public_key())] if key is not None else []
    return [*own, *settings.gateway.trusted_keys]
