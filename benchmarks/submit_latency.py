"""From POST to the scheduler's id, warm.

One job after the other is asked for as the API asks (checked, stored, the bell rung), and the time is taken until the
transaction that knows the scheduler's id: rendering, staging by a folder that appears whole, the intent written down,
`sbatch` over the engine's SSH connection. The nodes are drained, so nothing runs meanwhile. The baseline is what a
person does: `ssh host sbatch job.sh`, with a connection of its own, of a script that is there already.
"""

from __future__ import annotations

import asyncio
import statistics
import time

from sqlalchemy import select

from benchmarks.driven_cluster import STORE, TARGET, Site, open_site
from benchmarks.measure import Comparison, rounds, timed
from gateway.app import person
from gateway.db.tables import attempts
from gateway.jobs.service import JobService

REPEATS = 5
JOBS = 5
"""Of each round, whose median counts."""
BODY = {"target": TARGET, "stores": [STORE], "image": {"ref": "https://mirror.example.org/x.sif"}, "command": ["true"]}


async def _ask(site: Site, service: JobService) -> float:
    """Submit jobs one after the other; return the median of their seconds."""
    found = []
    for _ in range(JOBS):
        begin = time.time()
        job = await service.submit(BODY, person())
        found.append(await _submitted(site, job.id, begin + 60) - begin)
        await asyncio.sleep(0.2)
    await site.forget_jobs()
    return statistics.median(found)


async def _submitted(site: Site, job_id: str, end: float) -> float:
    """Return when a job was submitted."""
    query = select(attempts.c.submitted_at).where(attempts.c.job_id == job_id)
    while time.time() < end:
        at = await site.database.read(lambda c: c.scalars(query).one_or_none())
        if at is not None:
            return float(at.timestamp())
        await asyncio.sleep(0.002)
    raise AssertionError("the job was not submitted")


async def _ssh(site: Site) -> float:
    """Have a person's ssh submit jobs one after the other; return the median of their seconds."""
    found = []
    for _ in range(JOBS):
        words = site.cluster.ssh_command(f"sbatch --parsable --output=/dev/null {site.control_folder}/job.sh")
        process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.DEVNULL)
        found.append(await timed(process.wait()))
        assert process.returncode == 0
    site.cluster.scancel_all()
    return statistics.median(found)


async def run() -> list[Comparison]:
    """Measure."""
    async with open_site() as site:
        around = site.driver.around
        service = JobService(site.database, site.engine.settings, {TARGET: site.target}, around.stores, site.bell)
        await site.engine.start()
        gateway, baseline = await rounds(lambda: _ask(site, service), lambda: _ssh(site), repeats=REPEATS)
    return [Comparison("POST to the scheduler's id", "ssh host sbatch", 1, "job", gateway, baseline)]
