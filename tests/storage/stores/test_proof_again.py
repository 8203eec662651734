"""Verifying and reconciling on the real services: damage is named, and the catalogue follows what is there."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.db import jobs, outputs
from gateway.db.database import Database
from gateway.jobs.reconciling import Reconciler
from gateway.jobs.signing_keys import SigningKeyRing
from gateway.jobs.verification import Verifier, Wanted
from gateway.model.states import State
from gateway.model.verification import Verification
from gateway.storage.manifest import ManifestFile
from gateway.storage.signing import MANIFEST_PATH, public_key_text, signed_manifest
from gateway.storage.stores.base import Place, Store
from tests.databases import lay_database

pytestmark = pytest.mark.real

FILES = {
    "VTK/ü #1%.vtk": b"a" * 100,
    "VTK/same.vtk": b"b" * 100,
    "VTK/short.vtk": b"c" * 100,
    "gone [1]": b"d",
    "empty": b"",
    " log ": b"one\n",
}
ENDED = (State.STAGING, State.QUEUED, State.FINALIZING, State.SUCCEEDED)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    lay_database(tmp_path / "db")
    found = Database(f"sqlite:///{tmp_path}/db/gateway.db")
    yield found
    found.close()


async def settled(database: Database, store: Store, place: Place) -> SigningKeyRing:
    """Do what the engine does: files, rows, and the signed manifest."""
    key = Ed25519PrivateKey.generate()
    files = [ManifestFile(p, len(d), None, f"sha256:{hashlib.sha256(d).hexdigest()}") for p, d in FILES.items()]
    rows = [outputs.OutputRow(file.path, file.size, "final", 1, digest=file.digest) for file in files]
    values: dict[str, Any] = {"id": place.job_id, "name": "x", "state": State.ACCEPTED, "owner": place.owner}
    values |= {"tags": {}, "target": "t", "stores": [store.name], "spec": {}}

    def write(connection: Any) -> None:
        jobs.insert_job(connection, values, [jobs.NewStore(store.name, place.path, "push")])
        outputs.upsert(connection, place.job_id, store.name, rows)
        for state in ENDED:
            jobs.change_state(connection, place.job_id, state)
        jobs.set_store(connection, place.job_id, store.name, state="complete")

    await database.write(write)
    for path, data in FILES.items():
        await store.write(place, path, data, "text/plain")
    told: dict[str, Any] = {"job": place.job_id, "attempt": 1, "store": store.name, "state": "complete"}
    text = signed_manifest(key, **told, at=jobs.now(), files=files)
    await store.write(place, MANIFEST_PATH, text, "application/json")
    return SigningKeyRing(database, [public_key_text(key.public_key())])


async def verified(verifier: Verifier, place: Place) -> Verification:
    found = await verifier.begin(place.job_id, place.owner, Wanted())
    while found.state == "running":
        await asyncio.sleep(0.01)
        found = await verifier.read(place.job_id, place.owner)
    return found


async def test_damage_in_a_store_is_named_and_the_catalogue_follows(
    database: Database, store: Store, place: Place
) -> None:
    keys = await settled(database, store, place)
    stores = {store.name: store}
    verifier = Verifier(database, stores, keys)
    reconciler = Reconciler(database, stores, keys, "root")
    found = await verified(verifier, place)
    assert (found.verdict, found.counts, found.problem) == ("verified", {"ok": len(FILES)}, None)
    lines = [line async for line in reconciler.run(store.name, admin="root", job_id=place.job_id)]
    assert [line.kind for line in lines if line.kind != "progress"] == ["done"], lines

    await store.write(place, "VTK/same.vtk", b"B" * 100, "text/plain")
    await store.write(place, "VTK/short.vtk", b"c" * 99, "text/plain")
    await store.write(place, "new/extra", b"?", "text/plain")
    await store.remove(place, ["gone [1]"])
    found = await verified(verifier, place)
    assert (found.verdict, found.signature) == ("failed", "good")
    assert {item.path: str(item.result) for item in found.findings} == {
        "VTK/same.vtk": "tampered", "VTK/short.vtk": "truncated", "new/extra": "extra", "gone [1]": "missing",
    }  # fmt: skip
    lines = [line async for line in reconciler.run(store.name, admin="root", job_id=place.job_id)]
    (line,) = [line for line in lines if line.kind == "job"]
    assert (line.added, line.removed, line.changed, line.done) == (1, 1, 1, True)
    rows = await database.read(lambda c: outputs.files(c, place.job_id, store.name))
    expected = {**{path: len(data) for path, data in FILES.items()}, "VTK/short.vtk": 99, "new/extra": 1}
    del expected["gone [1]"]
    assert {row["path"]: row["size"] for row in rows} == expected
    await verifier.close()
