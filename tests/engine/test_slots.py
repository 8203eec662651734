"""Jobs of a machine without a scheduler wait in the gateway for a slot, oldest first."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from gateway.compute.scheduler.base import SchedulerFacts, Slots
from gateway.compute.scheduler.direct import Direct, DirectSettings
from gateway.db import jobs
from gateway.db import slots as table
from gateway.db.database import Database
from gateway.engine import slots
from gateway.engine.slots import BEHIND, admit
from gateway.errors import InvalidRequest
from gateway.model.specification import Resources
from gateway.model.states import State

FOUR = Slots(cpus=4, memory=2**33, gpus=1)


def asks(cpus: int = 1, memory: int | None = None, gpus: int = 0) -> Resources:
    return Resources(cpus=cpus, memory=memory, gpus=gpus)


def test_what_fits_beside_the_running_jobs_is_admitted() -> None:
    found = admit(FOUR, [asks(2)], [("a", asks(1)), ("b", asks(1)), ("c", asks(1))])
    assert found.admitted == {"a", "b"}
    assert found.waiting == {"c": "waits for a slot: needs 1 processors, 0 of 4 are free"}


def test_a_large_job_is_not_overtaken_by_small_ones() -> None:
    found = admit(FOUR, [asks(1)], [("large", asks(4)), ("small", asks(1))])
    assert found.admitted == frozenset()
    assert found.waiting["small"] == BEHIND


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        (asks(64), "needs 64 processors, and this machine gives jobs 4"),
        (asks(gpus=2), "needs 2 GPUs, and this machine gives jobs 1"),
        (asks(memory=2**40), f"needs {2**40} bytes of memory, and this machine gives jobs {2**33}"),
    ],
)
def test_what_can_never_fit_fails_and_keeps_nobody_back(resources: Resources, words: str) -> None:
    found = admit(FOUR, [], [("a", resources), ("b", asks(4))])
    assert found.impossible == {"a": words}
    assert found.admitted == {"b"}


def test_what_is_not_known_of_a_machine_is_not_counted() -> None:
    assert admit(Slots(), [asks(90)], [("a", asks(90, 2**50, 8))]).admitted == {"a"}


_some = st.builds(asks, st.integers(1, 6), st.none() | st.integers(2**20, 2**34), st.integers(0, 2))


@given(st.lists(_some, max_size=3), st.lists(_some, max_size=8))
def test_never_more_is_admitted_than_there_is_and_the_first_that_can_fit_gets_its_turn(
    taken: list[Resources], waiting: list[Resources]
) -> None:
    found = admit(FOUR, taken, [(str(n), resources) for n, resources in enumerate(waiting)])
    admitted = [waiting[int(n)] for n in found.admitted]
    before = sum(r.cpus for r in taken)
    assert not admitted or before + sum(r.cpus for r in admitted) <= 4
    kinds = [set(found.admitted), set(found.waiting), set(found.impossible)]
    assert set.union(*kinds) == {str(n) for n in range(len(waiting))}
    assert sum(map(len, kinds)) == len(waiting)
    if found.waiting:
        assert max(map(int, found.admitted), default=-1) < min(map(int, found.waiting))
    if not taken and (fitting := [n for n in found.admitted | found.waiting.keys()]):
        assert str(min(map(int, fitting))) in found.admitted


def test_the_machines_own_size_is_the_default() -> None:
    facts = SchedulerFacts("direct", "Linux", {"cpus": "8", "memory": "1000000", "gpus": "0"})
    assert Direct(DirectSettings(kind="direct")).slots(facts) == Slots(8, 1000000, 0)
    assert Direct(DirectSettings(kind="direct", cpus=2, memory="1G")).slots(facts) == Slots(2, 2**30, 0)


def test_more_than_the_settings_give_is_refused_at_once() -> None:
    direct = Direct(DirectSettings(kind="direct", cpus=2, gpus=0))
    with pytest.raises(InvalidRequest) as caught:
        direct.check(asks(3, gpus=1))
    assert [error.pointer for error in caught.value.errors] == ["#/resources/cpus", "#/resources/gpus"]


# --- With a real engine

TWO = {"here": {"poll_interval": 0.1, "runtime": {"allow_host": True}, "scheduler": {"kind": "direct", "cpus": 2}}}


async def test_jobs_run_as_many_at_once_as_there_are_slots_in_the_order_of_their_submission(
    open_site, tmp_path: Path
) -> None:
    site = await open_site(targets=TWO)
    log = tmp_path / "log"
    script = f"echo + $NAME >>{log}; sleep 0.3; echo - $NAME >>{log}"
    wide = {"resources": {"walltime": 60, "cpus": 2}}
    ids = [
        await site.submit(script, env={"NAME": "a"}),
        await site.submit(script, env={"NAME": "b"}),
        await site.submit(script, env={"NAME": "wide"}, **wide),
        await site.submit(script, env={"NAME": "c"}),
    ]
    await site.start()
    row = await site.wait(ids[2], lambda row: row["message"])
    assert row["state"] == State.ACCEPTED
    assert row["message"].startswith("waits for a slot: needs 2 processors")
    for job_id in ids:
        ended = await site.ended(job_id)
        assert (ended["state"], ended["message"]) == ("succeeded", None)
    lines = [line.split() for line in log.read_text().splitlines()]
    assert [name for sign, name in lines if sign == "+"][2:] == ["wide", "c"]
    running: set[str] = set()
    for sign, name in lines:
        running = running | {name} if sign == "+" else running - {name}
        assert len(running) <= (1 if "wide" in running else 2)


async def test_two_processes_on_one_postgresql_never_give_a_slot_twice(postgres_url: str) -> None:
    """Two lanes of one machine, driven by two processes: what one has given is seen by the other before it gives."""
    databases = [Database(postgres_url), Database(postgres_url)]
    databases[0].migrate()
    for number in range(20):
        lane = f"here@{'alice' if number % 2 else 'bob'}"
        values = {"id": f"job-{number:02d}", "name": "x", "state": State.ACCEPTED, "owner": "alice", "tags": {}}
        spec = {"command": ["true"], "resources": {"cpus": 1}}
        values |= {"target": "here", "lane": lane, "stores": [], "spec": spec}
        databases[0].write_here(lambda c, values=values: jobs.insert_job(c, values, []))

    def begin(connection: Connection, lane: str) -> int:
        """What `Launcher` does, one job at a time."""
        rows = [row for row in jobs.live(connection, lane) if row["state"] == State.ACCEPTED][:1]
        late = slots.keep_back(connection, "here", Slots(cpus=3), rows)
        begun = [row["id"] for row in rows if row["id"] not in late]
        for job_id in begun:
            jobs.insert_attempt(connection, job_id, 1, f"gw-{job_id}")
            jobs.change_state(connection, job_id, State.STAGING)
        return len(begun)

    rounds = [
        database.write(partial(begin, lane=lane))
        for _ in range(5)
        for database, lane in zip(databases, ("here@alice", "here@bob"), strict=True)
    ]
    assert sum(await asyncio.gather(*rounds)) == 3
    assert len(databases[0].read_here(lambda c: table.taken(c, "here", begun=True))) == 3
    for database in databases:
        database.close()


async def test_a_job_that_waits_for_a_slot_can_be_cancelled_and_outlives_a_restart(open_site) -> None:
    site = await open_site(targets=TWO)
    await site.start()
    first = await site.submit("sleep 60", resources={"walltime": 120, "cpus": 2})
    await site.wait(first, lambda row: row["state"] == State.RUNNING)
    waiting, doomed = await site.submit("true"), await site.submit("true")
    await site.wait(doomed, lambda row: row["message"])
    await site.stop()
    await site.start()
    await site.cancel(doomed)
    assert (await site.ended(doomed))["state"] == State.CANCELLED
    assert (await site.row(waiting))["state"] == State.ACCEPTED
    await site.cancel(first)
    assert (await site.ended(waiting))["state"] == State.SUCCEEDED


async def test_what_the_machine_never_has_fails_with_that_reason(open_site) -> None:
    site = await open_site()
    await site.start()
    job_id = await site.submit("true", resources={"walltime": 60, "cpus": 90_000})
    row = await site.ended(job_id)
    assert (row["state"], row["reason"]) == ("failed", "scheduler_rejected")
    assert "needs 90000 processors" in row["message"]


async def test_waiting_for_a_slot_does_not_make_the_loop_spin(open_site) -> None:
    site = await open_site(targets=TWO)
    (driver,) = site.make().drivers
    facts = SchedulerFacts("direct")
    first = await site.submit("sleep 60", resources={"walltime": 120, "cpus": 2})
    await site.submit("true")

    async def launch() -> bool:
        return await driver.launcher.launch(await site.gateway.database.read(lambda c: jobs.live(c, "here")), facts)

    assert await launch()
    assert not await launch()
    await site.start()
    await site.cancel(first)
    await site.ended(first)
