"""Jobs that have ended, with outputs in a store as the engine leaves them."""

from __future__ import annotations

import hashlib
from typing import Any

from gateway.db import jobs
from gateway.model.states import State
from gateway.storage.manifest import ManifestFile
from gateway.storage.signing import MANIFEST_PATH, load_or_create_key, signed_manifest
from gateway.storage.stores.base import Place
from tests.api.conftest import Site

FILES = {"VTK/a.vtk": b"a" * 100, "VTK/b.vtk": b"b" * 70_000, "log.txt": b"one\ntwo\n", "empty": b""}


async def ended_job(site: Site, files: dict[str, bytes] = FILES, **changes: Any) -> str:
    """A job that succeeded, with signed outputs."""
    job_id: str = (await site.submit())["id"]
    for path, data in files.items():
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        await site.store_file(job_id, path, data, row={"digest": digest})
    await sign(site, job_id, files, **changes)
    await site.move(job_id, State.STAGING, State.QUEUED, State.FINALIZING, State.SUCCEEDED)
    await site.gateway.database.write(lambda c: jobs.set_store(c, job_id, "disk", state="complete"))
    return job_id


async def sign(site: Site, job_id: str, contents: dict[str, bytes], **changes: Any) -> None:
    """Do what the engine does at the end."""
    rows = [
        ManifestFile(p, len(data), None, f"sha256:{hashlib.sha256(data).hexdigest()}") for p, data in contents.items()
    ]
    key = changes.pop("key", load_or_create_key(site.gateway.data))
    told = {
        "job": job_id,
        "attempt": 1,
        "store": "disk",
        "state": "complete",
        "at": jobs.now(),
        "files": rows,
        **changes,
    }
    await write(site, job_id, MANIFEST_PATH, signed_manifest(key, **told))


async def write(site: Site, job_id: str, path: str, data: bytes) -> None:
    await site.gateway.stores["disk"].write(Place(job_id, ""), path, data, "text/plain")
