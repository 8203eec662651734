"""From a file that is closed to its row in the API.

A job of a real Slurm cluster writes files, each closed at a moment that its content tells; the syncer on its node
pushes them to a blob service (Azurite) every five seconds, and a client asks the API for the list of outputs all the
time. How long after its end the row of each file is answered, beside what is allowed: the interval and three seconds
for 95 of 100 files. A ratio above 1 is too late.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
import uuid
from pathlib import Path

import httpx

from benchmarks.measure import Comparison
from gateway.api.server import listening
from gateway.app import Gateway
from gateway.model.states import ENDED
from gateway.settings import Settings
from testbed.azurite import Azurite
from testbed.cluster import Cluster

INTERVAL, SETTLE = 5.0, 1.0
ALLOWED = INTERVAL + 3.0
FILES = 40
KEY = "BENCHMARK_VISIBLE_KEY"
PATIENCE = 300.0
# Names are moments: the file is as old as its name says. Pauses that are no multiple of the interval meet every phase.
SCRIPT = f"""\
for ((i = 0; i < {FILES}; i++)); do
  echo result >part
  mv part "$(date +%s.%N)"
  sleep 1.37
done
sleep {ALLOWED * 2:g}
"""


def _settings(cluster: Cluster, azurite: Azurite, data: Path) -> Settings:
    os.environ[KEY] = azurite.key
    transport = {
        "kind": "ssh",
        "host": "127.0.0.1",
        "port": cluster.ssh_port,
        "username": cluster.user,
        "key_file": str(cluster.client_key),
        "host_key": [cluster.host_key],
    }
    target = {
        "poll_interval": 0.5,
        "transport": transport,
        "scheduler": {"kind": "slurm"},
        "workdir": f"{cluster.home}/visible-{uuid.uuid4().hex[:6]}",
        "runtime": {"allow_host": True},
    }
    store = {
        "kind": "azure",
        "account_url": azurite.account_url,
        "container": "jobs",
        "credential": {"account_key": {"env": KEY}},
    }
    raw = {
        "gateway": {"data": str(data), "listen": "127.0.0.1:0"},
        "targets": {"cluster": target},
        "stores": {"blobs": store},
    }
    return Settings.model_validate(raw)


async def _watch(http: httpx.AsyncClient) -> list[float]:
    """Run the job; return how long after its end each file was in the list."""
    body = {
        "image": None,
        "script": SCRIPT,
        "outputs": [{"source": "[0-9]*"}],
        "sync": {"interval": INTERVAL, "settle": SETTLE, "reserve": 20},
        "resources": {"walltime": 600},
    }
    answer = await http.post("/api/v1/jobs", json=body)
    answer.raise_for_status()
    path = f"/api/v1/jobs/{answer.json()['id']}"
    seen: dict[str, float] = {}
    end = time.monotonic() + PATIENCE
    while len(seen) < FILES:
        assert time.monotonic() < end, f"only {len(seen)} files came"
        page = (await http.get(f"{path}/outputs", params={"limit": 1000})).json()
        at = time.time()
        for file in page["files"]:
            seen.setdefault(file["path"], at)
        state = (await http.get(path)).json()["state"]
        assert len(seen) == FILES or state not in ENDED, f"the job is {state}"
        await asyncio.sleep(0.05)
    await http.post(f"{path}/cancel")
    return [at - float(name) for name, at in seen.items()]


async def run() -> list[Comparison]:
    """Measure."""
    with Cluster() as cluster, Azurite() as azurite, tempfile.TemporaryDirectory() as folder:
        async with Gateway(_settings(cluster, azurite, Path(folder))) as gateway, listening(gateway) as running:
            headers = {"Authorization": f"Bearer {running.token_file.read_text().strip()}"}
            async with httpx.AsyncClient(base_url=running.url, headers=headers, trust_env=False, timeout=60) as http:
                waits = await _watch(http)
    late = statistics.quantiles(waits, n=20)[-1]
    middle = statistics.median(waits)
    notes = [f"of {FILES} files: median {middle:.1f} s, 95 % within {late:.1f} s, all within {max(waits):.1f} s"]
    what = f"closed to visible, 95 % of {FILES} files"
    return [Comparison(what, "the interval and 3 s", 1, "file", [late], [ALLOWED], notes)]
