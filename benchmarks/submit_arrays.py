"""A sweep of ten thousand jobs, accepted and submitted over SSH as arrays.

From the request that names 10,000 points, through acceptance, staging (each job has its own folder, script and records)
and submission in arrays of 1,000, to the transaction that knows the last task's id. The cluster is real and so is its
`sbatch`; its nodes are drained, so nothing runs meanwhile. The baseline is what is asked for: 30 seconds.
"""

from __future__ import annotations

import asyncio
import time

from benchmarks.driven_cluster import RELAYED, TARGET, Site, open_site
from benchmarks.measure import Comparison
from gateway.jobs.acceptance import Acceptance
from gateway.jobs.sweeps import SweepService

COUNT = 10_000
LIMIT = 30.0
PATIENCE = 600.0
"""Seconds until the tasks are said not to come."""


def _request(count: int) -> dict[str, object]:
    job = {"target": TARGET, "stores": [RELAYED], "image": None, "command": ["sleep", "600"]}
    return {"job": job, "table": [{"/env/POINT": str(number)} for number in range(count)]}


async def submit(site: Site, count: int) -> tuple[float, float]:
    """Have a sweep accepted and submitted; return the seconds of the acceptance, and of everything."""
    settings, targets = site.engine.settings, {TARGET: site.target}
    service = SweepService(site.database, Acceptance(settings, targets, site.driver.around.stores), site.bell)
    begin = time.time()
    await service.create(_request(count), "somebody")
    accepted = time.time() - begin
    while len(done := await site.submitted()) < count:
        assert time.time() < begin + PATIENCE, f"only {len(done)} tasks were submitted"
        await asyncio.sleep(0.2)
    return accepted, max(done).timestamp() - begin


async def run() -> list[Comparison]:
    """Measure."""
    async with open_site() as site:
        await site.engine.start()
        accepted, whole = await submit(site, COUNT)
        await site.forget_jobs()
    notes = [f"{accepted:.1f} s until they were accepted, {whole:.1f} s in all"]
    return [Comparison(f"{COUNT:,} tasks to queued", f"{LIMIT:.0f} s", COUNT, "task", [whole], [LIMIT], notes)]
