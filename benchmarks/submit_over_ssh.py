"""A thousand jobs submitted over SSH.

The engine takes 1,000 accepted jobs to `queued` on a Slurm cluster: for each it renders the script, stages script,
inputs, credentials and filters as a folder that appears whole, writes down what it is about to submit, runs `sbatch`,
publishes the id beside the script, and stores three changes of state with their events. Measured from the bell to the
transaction that knows the last id. The baseline is a plain loop of 1,000 `sbatch` of one script that is there already,
in one command over the same SSH connection. The nodes are drained, so nothing runs meanwhile.
"""

from __future__ import annotations

import asyncio
import shlex
import time

from sqlalchemy import Connection

from benchmarks.driven_cluster import STORE, TARGET, Site, open_site
from benchmarks.measure import Comparison, rounds, timed
from benchmarks.samples import insert

COUNT = 1000
REPEATS = 2
PATIENCE = 300.0
"""Seconds until the jobs are said not to come."""


def _accept(connection: Connection) -> None:
    for _ in range(COUNT):
        insert(connection, target=TARGET, store=STORE)


async def _submit(site: Site) -> float:
    """Have the engine submit jobs."""
    await site.database.write(_accept)
    begin = time.time()
    site.bell.ring(TARGET)
    while len(done := await site.submitted()) < COUNT:
        assert time.time() < begin + PATIENCE, f"only {len(done)} jobs were submitted"
        await asyncio.sleep(0.1)
    await site.forget_jobs()
    return max(done).timestamp() - begin


async def _loop(site: Site) -> float:
    """Have bash submit jobs."""
    job = shlex.quote(f"{site.control_folder}/job.sh")
    line = f"sbatch --parsable --job-name=bare --output=/dev/null {job} || exit"
    seconds = await timed(site.bare(f"for ((i = 0; i < {COUNT}; i++)); do {line}; done"))
    site.cluster.scancel_all()
    return seconds


async def run() -> list[Comparison]:
    """Measure."""
    async with open_site() as site:
        await site.engine.start()
        gateway, baseline = await rounds(lambda: _submit(site), lambda: _loop(site), repeats=REPEATS)
    notes = [f"each job's script has {len(site.script):,} bytes; the loop submits it too"]
    return [Comparison(f"{COUNT:,} jobs to queued", "a loop of sbatch", COUNT, "job", gateway, baseline, notes)]
