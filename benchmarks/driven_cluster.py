"""A test cluster with the gateway's engine for it, in this process. The nodes are drained: what is submitted waits."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import select

from benchmarks.samples import insert
from benchmarks.servers import new_database
from gateway import settings
from gateway.compute.target import Target
from gateway.db import jobs
from gateway.db.database import Database
from gateway.db.tables import attempts
from gateway.db.tables import jobs as job_table
from gateway.engine.driver import TargetDriver
from gateway.engine.engine import Engine
from gateway.jobs.bell import Bell
from gateway.jobs.board import Board
from gateway.jobs.configured import build_stores, build_targets
from testbed.cluster import Cluster

TARGET, STORE, RELAYED = "cluster", "results", "relayed"


@dataclass(frozen=True)
class Site:
    """A cluster, and an engine for it that has not been started.

    Attributes
    ----------
    control_folder, script
        Of a job that was submitted when the site was opened, so that rclone, folders and connection are there.
    """

    cluster: Cluster
    database: Database
    target: Target
    engine: Engine
    bell: Bell
    control_folder: str = ""
    script: str = ""

    @property
    def driver(self) -> TargetDriver:
        """What drives the cluster."""
        return self.engine.drivers[0]

    async def submitted(self) -> list[datetime]:
        """Return when each job was submitted, of those that were."""
        query = select(attempts.c.submitted_at).where(attempts.c.submitted_at.is_not(None))
        return await self.database.read(lambda c: [row for row in c.scalars(query) if row is not None])

    async def submit_one(self) -> Site:
        """Submit a job, so that everything is there that only a first one needs."""
        job_id = await self.database.write(lambda c: insert(c, target=TARGET, store=STORE))
        for _ in range(600):
            await self.driver.tick()
            if await self.submitted():
                break
            await asyncio.sleep(0.1)
        attempt = await self.database.read(lambda c: jobs.get_attempt(c, job_id, 1))
        assert attempt is not None
        assert attempt["submitted_at"], await self.database.read(lambda c: jobs.get(c, job_id))
        await self.forget_jobs()
        return replace(self, control_folder=attempt["control_folder"], script=attempt["script"])

    async def bare(self, script: str, *, timeout: float = 300) -> str:
        """Run bash over the engine's own SSH connection and return what it printed."""
        result = await self.target.transport.run(script, timeout=timeout)
        stdout, stderr, status = result.text()
        if status != 0:
            raise RuntimeError(stderr[-2000:])
        return stdout

    async def forget_jobs(self) -> None:
        """Cancel everything at the scheduler and empty the gateway's table of jobs."""
        self.cluster.scancel_all()
        await self.database.write(lambda c: c.execute(job_table.delete()))


@contextlib.asynccontextmanager
async def open_site() -> AsyncIterator[Site]:
    """Start a cluster; outputs would be pushed by its nodes to a folder there."""
    with Cluster() as cluster, tempfile.TemporaryDirectory() as folder:
        nodes = ",".join(cluster.nodes)
        cluster.command("scontrol", "update", f"NodeName={nodes}", "State=DRAIN", "Reason=benchmark")
        data = Path(folder)
        configured = settings.parse(_sections(cluster, data))
        database = new_database(data)
        targets = build_targets(configured)
        stores = build_stores(configured, targets)
        bell = Bell()
        engine = Engine(
            database=database,
            settings=configured,
            targets=targets,
            stores=stores,
            bell=bell,
            board=Board(),
            data=data,
        )
        try:
            yield await Site(cluster, database, targets[TARGET], engine, bell).submit_one()
        finally:
            await engine.stop()
            for target in targets.values():
                await target.close()
            for store in stores.values():
                await store.close()
            database.close()


def _sections(cluster: Cluster, data: Path) -> dict[str, object]:
    transport = {
        "kind": "ssh",
        "host": "127.0.0.1",
        "port": cluster.ssh_port,
        "username": cluster.user,
        "key_file": str(cluster.client_key),
        "host_key": [cluster.host_key],
    }
    target = {
        "transport": transport,
        "scheduler": {"kind": "slurm"},
        "workdir": f"{cluster.home}/work",
        "image_cache": f"{cluster.home}/images",
        "runtime": {"kind": "auto", "allow_host": True},
    }
    store = {"kind": "directory", "path": f"{cluster.home}/results", "target": TARGET}
    relayed = {"kind": "directory", "path": f"{data}/outputs", "transfer": "relay"}
    stores = {STORE: store, RELAYED: relayed}
    return {"gateway": {"data": str(data)}, "targets": {TARGET: target}, "stores": stores}
