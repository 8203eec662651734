"""A tick over 10,000 live jobs.

Over SSH, with every job's folder and records on the target, as its script leaves them. A test cluster's scheduler
cannot hold so many jobs, so its commands are recorded ones: `squeue` prints a file with a line for each job. A quarter
of the jobs wait, the others run. Once nothing is new; once 1 % of the jobs have news: half of these have copied an
output, half were held or released. The baseline is the same remote commands over the same connection, their answers
thrown away.

Then the loop runs by itself, and jobs change at any moment: how long after a change at the target it stands in the
database. No more is allowed than the pause between ticks, a tick, and two seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import secrets
import statistics
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, select

from benchmarks.measure import Comparison, rounds, timed
from benchmarks.samples import BODY
from benchmarks.servers import new_database
from gateway import settings
from gateway.app import person
from gateway.compute.scheduler.slurm_commands import WIDTHS
from gateway.compute.target import Target
from gateway.compute.transport.base import CommandResult
from gateway.db import tables
from gateway.db.database import Database
from gateway.db.jobs import now
from gateway.engine.driver import TargetDriver
from gateway.engine.engine import Engine
from gateway.jobs.bell import Bell
from gateway.jobs.board import Board
from gateway.jobs.configured import build_stores, build_targets
from gateway.model.specification import JobSpecification
from gateway.model.states import State
from testbed.sshd import SshSite

TARGET, STORE = "cluster", "results"
REPEATS = 3
JOBS = 10_000
NEWS = JOBS // 100
WAITING = JOBS // 4
PAUSE = 2.0
"""Seconds between ticks while the lag is measured."""
CHANGES, AT_ONCE = 12, 10

PROGRAMS = {
    "squeue": 'exec cat "$HOME/queue"',
    "sbatch": "echo slurm 23.11",
    "scontrol": "exit 0",
    "scancel": "exit 0",
}
"""What the target has of Slurm. There is no sacct."""


@dataclass
class Job:
    """A job as the target has it."""

    number: int
    control: str
    waits: bool
    held: bool = False
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    name: str = field(default_factory=lambda: f"gw-{secrets.token_hex(6)}")
    token: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def scheduler_id(self) -> str:
        """Of its submission."""
        return str(1_000_000 + self.number)

    def line(self) -> str:
        """Return the job's line of ``squeue``."""
        state, why = ("PENDING", "JobHeldUser" if self.held else "Priority") if self.waits else ("RUNNING", "None")
        cells = (self.scheduler_id, state, "0", why, self.name)
        return "".join(cell.ljust(width) for cell, width in zip(cells, WIDTHS.values(), strict=True))


class Place:
    """The target, and the engine's driver of it."""

    def __init__(self, site: SshSite, database: Database, target: Target, driver: TargetDriver) -> None:
        self.site, self.database, self.target, self.driver = site, database, target, driver
        self.jobs: list[Job] = []
        self.sent: list[str] = []
        """The remote commands of the last tick."""
        self.cpu: list[float] = []
        self._run = target.transport.run
        target.transport.run = self._keep  # type: ignore[method-assign]

    async def _keep(self, script: str, **options: Any) -> CommandResult:
        self.sent.append(script)
        return await self._run(script, **options)

    async def tick(self) -> float:
        """Make a tick and return how long it took; note this process's processor time."""
        self.sent = []
        before = time.process_time()
        seconds = await timed(self.driver.tick())
        self.cpu.append(time.process_time() - before)
        return seconds

    async def bare(self) -> float:
        """Send the last tick's remote commands again."""
        begin = time.perf_counter()
        for script in list(self.sent):
            await self._run(script, timeout=60)
        return time.perf_counter() - begin

    async def fill(self) -> None:
        """Make the jobs, at the target and in the database."""
        root = (await self.target.paths()).control_root
        ids = [str(uuid.uuid4()) for _ in range(JOBS)]
        self.jobs = [
            Job(number, f"{root}/{job_id}/1", number < WAITING, id=job_id) for number, job_id in enumerate(ids)
        ]
        account = self.site.accounts[0]
        for job in self.jobs:
            folder = Path(job.control)
            folder.mkdir(parents=True)
            for name, text in () if job.waits else _records(job):
                (folder / name).write_text(text)
        for base, folders, files in os.walk(root):
            for name in (".", *folders, *files):
                os.chown(Path(base, name), account.uid, -1)
        self.show_queue()
        await self.database.write(lambda c: _note(c, self.jobs))

    def show_queue(self) -> None:
        """Have ``squeue`` show the jobs as they are now."""
        text = "".join(f"{job.line()}\n" for job in self.jobs)
        file = self.site.home / "queue"
        file.with_suffix(".new").write_text(text)
        file.with_suffix(".new").rename(file)

    def news(self, chosen: Sequence[Job], number: int) -> None:
        """Let something happen to jobs: those that wait are held or released, the others copy an output."""
        for job in chosen:
            if job.waits:
                job.held = not job.held
            else:
                with (Path(job.control) / "sync.jsonl").open("a") as file:
                    file.write(_copied(number))
        if any(job.waits for job in chosen):
            self.show_queue()

    def some(self, count: int) -> list[Job]:
        """Return so many jobs, half of which wait."""
        waiting, running = self.jobs[:WAITING], self.jobs[WAITING:]
        return [*random.sample(waiting, count // 2), *random.sample(running, count - count // 2)]


def _records(job: Job) -> list[tuple[str, str]]:
    phases = ("claimed", "pulled", "running")
    status = "".join(json.dumps({"token": job.token, "phase": phase}) + "\n" for phase in phases)
    return [
        ("claim", f"scheduler_id={job.scheduler_id}\ntoken={job.token}\n"),
        ("status.jsonl", status),
        ("sync.jsonl", ""),
        ("sync.state", "idle\n"),
        ("payload.out", "Time = 0.5\n"),
        ("payload.err", ""),
    ]


def _copied(number: int) -> str:
    line = {
        "msg": "Copied (new)",
        "object": f"VTK/cavity_{number}.vtk",
        "objectType": "*local.Object",
        "size": 81234,
        "time": "2025-01-01T00:00:00Z",
        "level": "info",
        "source": "operations/copy.go:360",
    }
    return json.dumps({"begin": 0, "pass": number}) + "\n" + json.dumps(line) + "\n"


def _note(connection: Connection, made: Sequence[Job]) -> None:
    """Have the database know what stands at the target."""
    at, specification = now(), JobSpecification.model_validate(BODY).model_dump(mode="json")
    common = {"version": 1, "owner": person(), "tags": {"study": "re-scan"}, "target": TARGET, "stores": [STORE]}
    common |= {"attempt": 1, "spec": specification, "lane": TARGET, "name": "cavity Re=100", "created_at": at}
    store = {"store": STORE, "position": 0, "transfer": "push", "state": "none", "count": 0, "bytes": 0, "tries": 0}
    for start in range(0, len(made), 1000):
        chunk = made[start : start + 1000]
        rows: list[dict[str, Any]] = [
            {
                **common,
                "id": job.id,
                "state": str(State.QUEUED if job.waits else State.RUNNING),
                "scheduler_id": job.scheduler_id,
                "queued_at": at,
                "started_at": None if job.waits else at,
            }
            for job in chunk
        ]
        connection.execute(insert(tables.jobs), rows)
        connection.execute(insert(tables.job_stores), [{**store, "job_id": job.id} for job in chunk])
        sent = {"number": 1, "created_at": at, "staged_at": at, "submit_started_at": at, "submitted_at": at}
        tries: list[dict[str, Any]] = [
            {
                **sent,
                "job_id": job.id,
                "submission": job.name,
                "scheduler_id": job.scheduler_id,
                "control_folder": job.control,
                "job_folder": f"{job.control}/job",
                "offsets": {},
                "claimed_at": None if job.waits else at,
                "token": None if job.waits else job.token,
                "payload_started_at": None if job.waits else at,
                "script": "#!/bin/bash\n" + "# a line of a script\n" * 150,
            }
            for job in chunk
        ]
        connection.execute(insert(tables.attempts), tries)


async def _lags(place: Place, driver: TargetDriver) -> tuple[list[float], float]:
    """Change jobs while the loop runs; return how late each change was known, and the longest tick."""
    ticks: list[float] = []
    tick = driver.tick

    async def timed_tick() -> bool:
        begin = time.perf_counter()
        try:
            return await tick()
        finally:
            ticks.append(time.perf_counter() - begin)

    driver.tick = timed_tick  # type: ignore[method-assign]
    loop = asyncio.create_task(driver.run())
    found: list[float] = []
    try:
        for number in range(CHANGES):
            await asyncio.sleep(random.uniform(0.5, PAUSE))
            chosen = random.sample(place.jobs[:WAITING], AT_ONCE)
            place.news(chosen, number)
            begin, open_ = (
                time.perf_counter(),
                {job.id: str(State.HELD if job.held else State.QUEUED) for job in chosen},
            )
            while open_ and time.perf_counter() < begin + 60:
                await asyncio.sleep(0.05)
                query = select(tables.jobs.c.id, tables.jobs.c.state).where(tables.jobs.c.id.in_(open_))
                states = await place.database.read(lambda c, query=query: dict(c.execute(query).all()))  # type: ignore[misc]
                for job_id in [job_id for job_id, state in open_.items() if states[job_id] == state]:
                    del open_[job_id]
                    found.append(time.perf_counter() - begin)
            assert not open_, "changes were not seen"
    finally:
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)
        driver.tick = tick  # type: ignore[method-assign]
    return found, max(ticks)


@contextlib.asynccontextmanager
async def _open() -> AsyncIterator[Place]:
    with SshSite() as site, tempfile.TemporaryDirectory() as folder:
        programs = site.dir / "programs"
        programs.mkdir()
        for name, line in PROGRAMS.items():
            (programs / name).write_text(f"#!/bin/sh\n{line}\n")
            (programs / name).chmod(0o755)
        data = Path(folder)
        configured = settings.parse(_sections(site, programs, data))
        database = new_database(data)
        targets = build_targets(configured)
        stores = build_stores(configured, targets)
        engine = Engine(
            database=database,
            settings=configured,
            targets=targets,
            stores=stores,
            bell=Bell(),
            board=Board(),
            data=data,
        )
        try:
            place = Place(site, database, targets[TARGET], engine.drivers[0])
            await place.target.make_folders()
            await place.fill()
            yield place
        finally:
            await engine.stop()
            for target in targets.values():
                await target.close()
            for store in stores.values():
                await store.close()
            database.close()


def _sections(site: SshSite, programs: Path, data: Path) -> dict[str, object]:
    transport = {
        "kind": "ssh",
        "host": "127.0.0.1",
        "port": site.ssh_port,
        "username": site.user,
        "key_file": str(site.client_key),
        "host_key": [site.host_key],
    }
    target = {
        "transport": transport,
        "scheduler": {"kind": "slurm"},
        "workdir": f"{site.home}/work",
        "image_cache": f"{site.home}/images",
        "path": str(programs),
        "poll_interval": PAUSE,
        "runtime": {"kind": "auto", "allow_host": True},
    }
    store = {"kind": "directory", "path": f"{site.home}/results", "target": TARGET}
    return {"gateway": {"data": str(data)}, "targets": {TARGET: target}, "stores": {STORE: store}}


async def run() -> list[Comparison]:
    """Measure."""
    async with _open() as place:
        await place.tick()
        quiet, busy = list[float](), list[float]()
        commands = set[int]()
        number = 0

        async def quiet_tick() -> float:
            seconds = await place.tick()
            quiet.append(place.cpu[-1])
            commands.add(len(place.sent))
            return seconds

        async def busy_tick() -> float:
            nonlocal number
            number += 1
            place.news(place.some(NEWS), number)
            seconds = await place.tick()
            busy.append(place.cpu[-1])
            commands.add(len(place.sent))
            return seconds

        *ticks, baseline = await rounds(quiet_tick, busy_tick, place.bare, repeats=REPEATS)
        lags, longest = await _lags(place, place.driver)
    found = []
    for what, cpu, seconds in (("without news", quiet, ticks[0]), (f"with news of {NEWS}", busy, ticks[1])):
        notes = [
            f"remote commands of a tick: {max(commands)}",
            f"processor time of the gateway: {statistics.median(cpu[1:]):.2f} s a tick (wanted: below 1 s)",
        ]
        found.append(
            Comparison(f"{JOBS:,} jobs, a tick {what}", "its commands alone", 1, "tick", seconds, baseline, notes)
        )
    late = sorted(lags)[int(len(lags) * 0.99)]
    allowed = PAUSE + longest + 2
    notes = [f"median {statistics.median(lags):.2f} s; a tick took {longest:.2f} s at most, the pause is {PAUSE:.0f} s"]
    found.append(Comparison("99th percentile of the lag", "what is allowed", 1, "change", [late], [allowed], notes))
    return found
