"""Whether a store has the bytes that are claimed, where size and time of a file cannot tell.

A file that is written again within one second, or with its old time, looks the same to a pass that compares sizes and
times: SFTP knows whole seconds only. Stores that list MD5 say at once which files are others; of the rest, the bytes
are read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping

from gateway.storage.manifest import ManifestFile
from gateway.storage.stores.base import Place, Store, StoredObject


async def other_contents(
    store: Store,
    place: Place,
    claimed: Iterable[ManifestFile],
    stored: Mapping[str, StoredObject],
    *,
    certain: Collection[str] | None = None,
) -> list[ManifestFile]:
    """Return those claimed files in whose places the store has other bytes of the same number.

    Parameters
    ----------
    stored
        What the store lists, by path.
    certain
        Files that were copied just now, and compared in doing so: they are not read where the store has no MD5.
        None: no file is read for want of an MD5.

    Raises
    ------
    StoreError, NotFound
        The store's bytes cannot be read.
    """
    found = []
    for file in claimed:
        have = stored.get(file.path)
        if have is None or have.size != file.size or file.digest is None:
            continue
        if have.md5 is None or file.md5 is None:
            doubtful = certain is not None and file.path not in certain
        else:
            doubtful = have.md5.lower() != file.md5
        if doubtful and await stored_digest(store, place, file.path) != file.digest:
            found.append(file)
    return found


async def stored_digest(store: Store, place: Place, path: str) -> str:
    """Compute ``sha256:…`` from the store's own bytes."""
    digest = hashlib.sha256()
    async for piece in store.read(place, path):
        digest.update(piece)
    return f"sha256:{digest.hexdigest()}"
