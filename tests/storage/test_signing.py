from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ConfigurationError
from gateway.storage.manifest import ManifestFile
from gateway.storage.signing import (
    KEY_FILE,
    load_or_create_key,
    public_key_text,
    read_public_key,
    signed_manifest,
    verify,
)

KEY = Ed25519PrivateKey.generate()
AT = datetime(2026, 1, 2, 3, 4, 5, 678900, UTC)


def sign(*files: ManifestFile, **change: Any) -> bytes:
    values: dict[str, Any] = {"job": "j", "attempt": 2, "store": "blobs", "state": "complete", "at": AT, **change}
    return signed_manifest(KEY, files=files, **values)


@given(
    st.lists(
        st.tuples(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.integers(0, 2**62)), max_size=5
    )
)
def test_what_was_signed_is_what_is_verified(files: list[tuple[str, int]]) -> None:
    data = sign(*(ManifestFile(path, size, AT, "sha256:" + "0" * 64, "text/plain") for path, size in files))
    manifest = verify(data, KEY.public_key())
    assert sorted((row["path"], row["size"]) for row in manifest["files"]) == sorted(files)
    assert (manifest["version"], manifest["attempt"], manifest["at"]) == (1, 2, "2026-01-02T03:04:05.678Z")


@pytest.mark.parametrize(
    ("key", "value"),
    [("state", "rescued"), ("job", "k"), ("files", []), ("missing", ["x"]), ("attempt", 3), ("extra", 1)],
)
def test_any_change_is_seen(key: str, value: Any) -> None:
    signed = json.loads(sign(ManifestFile("a", 1)))
    verify(json.dumps(signed).encode(), KEY.public_key())
    signed["manifest"][key] = value
    with pytest.raises(ValueError, match="changed"):
        verify(json.dumps(signed).encode(), KEY.public_key())


def test_a_manifest_that_brings_its_own_key_is_not_believed() -> None:
    other = Ed25519PrivateKey.generate()
    forged = signed_manifest(other, job="j", attempt=1, store="s", state="complete", at=AT, files=[])
    verify(forged, other.public_key())
    with pytest.raises(ValueError, match="somebody else"):
        verify(forged, KEY.public_key())


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"manifest":1,"signature":"AA=="}', b'{"manifest":{},"signature":"%"}']
)
def test_what_is_no_signed_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        verify(data, KEY.public_key())


def test_the_key_is_made_once_private_and_kept(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: load_or_create_key(tmp_path / "data"), range(16)))
    assert len({public_key_text(key.public_key()) for key in keys}) == 1
    file = tmp_path / "data" / KEY_FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == [KEY_FILE]
    assert public_key_text(read_public_key(public_key_text(keys[0].public_key()))) == public_key_text(
        keys[0].public_key()
    )


def test_a_key_that_others_can_read_or_that_is_none_is_refused(tmp_path: Path) -> None:
    load_or_create_key(tmp_path)
    (tmp_path / KEY_FILE).chmod(0o644)
    with pytest.raises(ConfigurationError, match="read by others"):
        load_or_create_key(tmp_path)
    (tmp_path / KEY_FILE).write_text("nonsense")
    (tmp_path / KEY_FILE).chmod(0o600)
    with pytest.raises(ConfigurationError, match="private key"):
        load_or_create_key(tmp_path)
