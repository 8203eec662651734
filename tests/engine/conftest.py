"""A whole engine in this process: the real local transport, direct scheduler and directory stores, with short waits."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from gateway.app import Gateway
from gateway.compute.target import Target
from gateway.compute.tools import own_program
from gateway.db import events, jobs
from gateway.engine.engine import Engine
from gateway.engine.timing import Timing
from gateway.jobs.views import Row
from gateway.model.states import ENDED, State
from gateway.settings import Settings
from tests.databases import lay_database

FAST = Timing(
    record_grace=1.0,
    unseen_grace=0.3,
    lost_grace=0.5,
    unreachable_grace=0.0,
    submit_grace=0.5,
    cancel_grace=2.0,
    rescue_delays=(0.1, 0.2),
    staging_delays=(0.1, 0.1),
    retry_delays=(0.3,),
    settle_tries=2,
    failure_pause=0.1,
    idle_interval=0.2,
    lost_interval=0.1,
)


async def bring_rclone(target: Target) -> None:
    """Put rclone where the gateway would: unpacking it for every test takes seconds."""
    program = own_program()
    place = Path(program.place((await target.paths()).tools))
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.exists():
        shutil.copy(program.path, place)
        place.chmod(0o755)


class EngineSite:
    """A gateway and its engine, which can be started and stopped apart."""

    fast = FAST

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.engine: Engine | None = None

    def make(self, timing: Timing = FAST) -> Engine:
        """Put an engine together without starting its loops."""
        found = self.gateway
        self.engine = Engine(
            database=found.database,
            settings=found.settings,
            targets=found.lanes,
            stores=found.stores,
            bell=found.bell,
            board=found.board,
            data=found.data,
            timing=timing,
        )
        return self.engine

    async def start(self, timing: Timing = FAST) -> Engine:
        """Start an engine."""
        engine = self.make(timing)
        await engine.start()
        return engine

    async def stop(self) -> None:
        """Stop it."""
        engine, self.engine = self.engine, None
        if engine is not None:
            await engine.stop()

    async def submit(self, script: str, **body: Any) -> str:
        """Submit a job that runs on the host."""
        resources = {"walltime": 120}
        request = {"image": None, "script": script, "sync": {"interval": None, "reserve": 20}, "resources": resources}
        return (await self.gateway.jobs.submit({**request, **body}, self.gateway.owner)).id

    async def cancel(self, job_id: str) -> None:
        """Ask for a job's end."""
        await self.gateway.jobs.cancel(job_id, self.gateway.owner)

    async def row(self, job_id: str) -> Row:
        """Return a job with its attempt."""
        (row,) = await self.gateway.database.read(lambda c: jobs.whole(c, [job_id]))
        return row

    async def stores(self, job_id: str) -> dict[str, Row]:
        """Return the job's stores by name."""
        rows = await self.gateway.database.read(lambda c: jobs.stores_of(c, [job_id]))
        return {row["store"]: row for row in rows[job_id]}

    async def states(self, job_id: str) -> list[str]:
        """Return the states that a job was in, by its events."""
        rows = await self.gateway.database.read(lambda c: events.after(c, 0, job_id=job_id))
        return [row["data"]["to"] for row in rows if row["kind"] == "state"]

    async def wait(self, job_id: str, condition: Callable[[Row], Any], seconds: float = 40) -> Row:
        """Return the job when `condition` holds."""
        try:
            async with asyncio.timeout(seconds):
                while not condition(row := await self.row(job_id)):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError({k: v for k, v in (await self.row(job_id)).items() if k != "spec"}) from None
        return row

    async def ended(self, job_id: str) -> Row:
        """Return the job when it has ended."""
        return await self.wait(job_id, lambda row: State(row["state"]) in ENDED)


@pytest.fixture
async def open_site(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Open a gateway with targets and stores of the test's own."""
    stack = AsyncExitStack()

    async def site(**sections: Any) -> EngineSite:
        target = {"poll_interval": 0.1, "runtime": {"allow_host": True}}
        store = {"kind": "directory", "path": "{data}/outputs"}
        raw = {
            "gateway": {"data": str(tmp_path / "data"), "default_target": "here", "default_store": "folder"},
            "targets": {"here": target},
            "stores": {"folder": store},
        }
        lay_database(tmp_path / "data")
        gateway = await stack.enter_async_context(Gateway(Settings.model_validate({**raw, **sections}), drive=False))
        for target in gateway.targets.values():
            if target.transport.kind == "local":
                await bring_rclone(target)
        made = EngineSite(gateway)
        stack.push_async_callback(made.stop)
        return made

    yield site
    await stack.aclose()


@pytest.fixture
async def site(open_site: Callable[..., Any]) -> EngineSite:
    """A gateway with one target, this machine, and one store, a folder. Its engine is not started."""
    made: EngineSite = await open_site()
    return made
