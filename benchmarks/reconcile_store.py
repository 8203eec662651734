"""Reconciling a store with the catalogue.

An S3 service (SeaweedFS) with 10,000 objects of 20 jobs that the catalogue has, too: the whole reconciliation, from the
listing to the comparison of every row. The baseline is a bare listing of the same bucket by its own API
(ListObjectsV2, signed, page after page), which looks at nothing. `RECONCILE_OBJECTS` in the environment is another
number of objects.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import os
import subprocess
import tempfile
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

import httpx

from benchmarks.measure import Comparison, rounds
from benchmarks.samples import insert
from benchmarks.servers import new_database
from gateway.app import person
from gateway.compute.rclone_program import own_rclone
from gateway.db import jobs, outputs
from gateway.db.database import Database
from gateway.jobs.reconciling import Reconciler
from gateway.jobs.signing_keys import SigningKeyRing
from gateway.model.states import State
from gateway.settings import GatewaySettings
from gateway.storage.factory import build_store
from testbed.seaweed import Seaweed

JOBS = 20
OBJECTS = int(os.environ.get("RECONCILE_OBJECTS", "10000"))
ENDED = (State.STAGING, State.QUEUED, State.FINALIZING, State.SUCCEEDED)
SECRET = "BENCHMARK_S3_SECRET"
_NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


async def _fill(database: Database, service: Seaweed, folder: Path) -> None:
    """Make jobs with files, in the catalogue and in the bucket."""
    for _ in range(JOBS):
        job_id = await database.write(lambda c: insert(c, target="local", store="s3"))
        below = folder / job_id
        rows = []
        for number in range(OBJECTS // JOBS):
            path = f"VTK/{number // 100}/field_{number}.vtk"
            (below / path).parent.mkdir(parents=True, exist_ok=True)
            (below / path).write_bytes(b"x" * 64)
            rows.append(outputs.OutputRow(path, 64, "final", 1))

        def end(connection: object, job_id: str = job_id, rows: list[outputs.OutputRow] = rows) -> None:
            outputs.upsert(connection, job_id, "s3", rows)  # type: ignore[arg-type]
            for state in ENDED:
                jobs.change_state(connection, job_id, state)  # type: ignore[arg-type]

        await database.write(end)
    argv = [str(own_rclone()), "copy", "--transfers", "16", "--no-traverse", "--no-check-dest", str(folder)]
    argv += [f"S3:{service.bucket}/jobs", "--s3-no-check-bucket"]
    subprocess.run(argv, env={**os.environ, **service.rclone_env()}, check=True, capture_output=True)


def _signed(service: Seaweed, query: dict[str, str]) -> httpx.Request:
    """Return a request for a page of the bucket's listing, signed (AWS signature, version 4)."""
    at = datetime.datetime.now(datetime.UTC)
    day, moment, host = f"{at:%Y%m%d}", f"{at:%Y%m%dT%H%M%SZ}", urlsplit(service.endpoint).netloc
    empty = hashlib.sha256(b"").hexdigest()
    asked = urlencode(sorted(query.items()), quote_via=quote, safe="-_.~")
    names = "host;x-amz-content-sha256;x-amz-date"
    lines = [
        "GET",
        f"/{service.bucket}",
        asked,
        f"host:{host}",
        f"x-amz-content-sha256:{empty}",
        f"x-amz-date:{moment}",
    ]
    canonical = "\n".join([*lines, "", names, empty])
    scope = f"{day}/us-east-1/s3/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{service.secret_key}".encode()
    for part in (day, "us-east-1", "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    credential = (
        f"AWS4-HMAC-SHA256 Credential={service.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    headers = {"x-amz-date": moment, "x-amz-content-sha256": empty, "Authorization": credential}
    return httpx.Request("GET", f"{service.endpoint}/{service.bucket}?{asked}", headers=headers)


def _list(service: Seaweed) -> int:
    """List the bucket, a thousand objects at a time; return how many there are."""
    count, query = 0, {"list-type": "2", "prefix": "jobs/", "max-keys": "1000"}
    with httpx.Client(trust_env=False, timeout=60) as client:
        while True:
            answer = client.send(_signed(service, query)).raise_for_status()
            page = ET.fromstring(answer.content)
            for item in page.iter(f"{_NAMESPACE}Contents"):
                count += bool(item.findtext(f"{_NAMESPACE}Key")) and int(item.findtext(f"{_NAMESPACE}Size") or 0) >= 0
            token = page.findtext(f"{_NAMESPACE}NextContinuationToken")
            if not token:
                return count
            query["continuation-token"] = token


async def run() -> list[Comparison]:
    """Measure."""
    with tempfile.TemporaryDirectory() as folder, Seaweed() as service:
        os.environ[SECRET] = service.secret_key
        data = Path(folder, "data")
        database = new_database(data)
        tree = Path(folder, "tree")
        await _fill(database, service, tree)
        remote = {"type": "s3", "provider": "SeaweedFS", "endpoint": service.endpoint}
        section = {
            "kind": "rclone",
            "remote": {**remote, "access_key_id": service.access_key},
            "secrets": {"secret_access_key": {"env": SECRET}},
            "root": f"{service.bucket}/jobs",
        }
        store = build_store("s3", section, GatewaySettings(data=data), {})
        reconciler = Reconciler(database, {"s3": store}, SigningKeyRing(database), person())

        async def mine() -> float:
            begin = time.perf_counter()
            lines = [line async for line in reconciler.run("s3", admin=person())]
            assert [line.kind for line in lines if line.kind != "progress"] == ["done"], lines
            assert lines[-1].objects == OBJECTS
            return time.perf_counter() - begin

        async def bare() -> float:
            begin = time.perf_counter()
            assert _list(service) == OBJECTS
            return time.perf_counter() - begin

        try:
            gateway, baseline = await rounds(mine, bare, repeats=3)
        finally:
            await store.close()
            database.close()
    what = f"{OBJECTS:,} objects of {JOBS} jobs"
    return [Comparison(what, "a bare listing", OBJECTS, "object", gateway, baseline)]
