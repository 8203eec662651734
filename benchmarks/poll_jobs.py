"""Poll cost for 1,000 live jobs.

One tick of the engine for 1,000 jobs of a real Slurm queue, each with its attempt's folder on the cluster: read the
jobs from the database, ask scheduler and records in one remote command over SSH, decide about each job, write what is
new. Once with no news at all, once with 100 jobs whose node has copied an output since the tick before. The baseline is
one bare `squeue` of the same account over the same SSH connection, whose answer is thrown away.
"""

from __future__ import annotations

import json
import secrets
import statistics
import time
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

from sqlalchemy import Connection

from benchmarks.driven_cluster import STORE, TARGET, Site, open_site
from benchmarks.measure import REPEATS, Comparison, rounds, timed
from benchmarks.samples import insert
from gateway.compute.transport.base import CommandResult
from gateway.db import jobs, outputs
from gateway.db.tables import jobs as job_table
from gateway.model.states import State

JOBS = 1000
NEWS = 100
"""How many jobs have news in a busy tick."""


@dataclass
class Job:
    """A job as the cluster has it; `id` is the gateway's."""

    id: str
    control: str
    name: str = field(default_factory=lambda: f"gw-{secrets.token_hex(6)}")
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    scheduler_id: str = ""


class Counted:
    """Makes ticks; counts their remote commands, and the processor time of this process."""

    def __init__(self, site: Site) -> None:
        self.commands: list[int] = []
        self.seconds: list[float] = []
        self._now = 0
        self._site = site
        self._run = site.target.transport.run
        site.target.transport.run = self.run  # type: ignore[method-assign]

    async def run(self, script: str, *, data: bytes | IO[bytes] = b"", **limits: Any) -> CommandResult:
        """Pass a command on."""
        self._now += 1
        return await self._run(script, data=data, **limits)

    async def tick(self) -> float:
        """Make a tick and return how long it took."""
        self._now, before = 0, time.process_time()
        seconds = await timed(self._site.driver.tick())
        self.seconds.append(time.process_time() - before)
        self.commands.append(self._now)
        return seconds


async def _make_jobs(site: Site) -> list[Job]:
    """Put jobs into the scheduler's queue, with the folders that staging and the script would have made."""
    root = (await site.target.paths()).control_root
    ids = await site.database.write(lambda c: [insert(c, target=TARGET, store=STORE) for _ in range(JOBS)])
    made = [Job(job_id, f"{root}/{job_id}/1") for job_id in ids]
    lines = [f"sbatch --parsable --job-name={job.name} --output=/dev/null --wrap=true || exit" for job in made]
    for job, scheduler_id in zip(made, (await site.bare("\n".join(lines))).split(), strict=True):
        job.scheduler_id = scheduler_id
    await site.bare("umask 077\n" + "\n".join(map(_records, made)))
    return made


def _records(job: Job) -> str:
    phases = ("claimed", "pulled", "running")
    status = "".join(json.dumps({"token": job.token, "phase": phase}) + "\n" for phase in phases)
    files = {
        "claim": f"scheduler_id={job.scheduler_id}\ntoken={job.token}\n",
        "status.jsonl": status,
        "sync.jsonl": "",
        "sync.state": "idle\n",
        "payload.out": "Time = 0.5\n",
        "payload.err": "",
    }
    lines = [f"mkdir -p {job.control} && cd {job.control} || exit"]
    lines += [f"printf %s '{text}' >{name}" for name, text in files.items()]
    return "\n".join(lines)


def _note(connection: Connection, made: list[Job], script: str) -> None:
    """Have the database know what stands on the cluster."""
    for job in made:
        at = jobs.now()
        connection.execute(
            job_table.update()
            .where(job_table.c.id == job.id)
            .values(state=str(State.RUNNING), queued_at=at, started_at=at, scheduler_id=job.scheduler_id)
        )
        jobs.insert_attempt(connection, job.id, 1, job.name)
        jobs.set_attempt(
            connection,
            job.id,
            1,
            scheduler_id=job.scheduler_id,
            control_folder=job.control,
            job_folder=f"{job.control}/job",
            staged_at=at,
            submit_started_at=at,
            submitted_at=at,
            claimed_at=at,
            payload_started_at=at,
            token=job.token,
            script=script,
        )


async def _copy_one(site: Site, made: list[Job], number: int) -> None:
    """Have some nodes say that they copied an output."""
    line: Mapping[str, Any] = {
        "msg": "Copied (new)",
        "object": f"VTK/cavity_{number}.vtk",
        "objectType": "*local.Object",
        "size": 81234,
        "time": "2025-01-01T00:00:00Z",
        "level": "info",
        "source": "operations/copy.go:360",
    }
    text = json.dumps({"begin": 0, "pass": number}) + "\n" + json.dumps(line) + "\n"
    await site.bare("\n".join(f"printf %s '{text}' >>{job.control}/sync.jsonl" for job in made[:NEWS]))


async def run() -> list[Comparison]:
    """Measure."""
    async with open_site() as site:
        made = await _make_jobs(site)
        await site.database.write(lambda c: _note(c, made, site.script))
        quiet, busy = Counted(site), Counted(site)
        await site.driver.tick()
        number = 0

        async def busy_tick() -> float:
            nonlocal number
            number += 1
            await _copy_one(site, made, number)
            return await busy.tick()

        def bare() -> Awaitable[float]:
            return timed(site.bare('squeue -h -t all -u "$(id -un)"'))

        *ticks, baseline = await rounds(quiet.tick, busy_tick, bare)
        rows = await site.database.read(lambda c: outputs.files(c, made[0].id, STORE))
        assert len(rows) == REPEATS + 1, "the news did not arrive"
    found = []
    for what, counted, seconds in zip(("without news", f"with {NEWS} outputs"), (quiet, busy), ticks, strict=True):
        notes = [
            f"remote commands of a tick: {max(counted.commands)}",
            f"processor time of the gateway: {statistics.median(counted.seconds[1:]):.2f} s a tick",
        ]
        found.append(Comparison(f"{JOBS:,} jobs, a tick {what}", "one squeue", 1, "tick", seconds, baseline, notes))
    return found
