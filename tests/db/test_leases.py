"""Leases on PostgreSQL: one holder at a time, and no write after another one came."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from gateway.db import database as database_module
from gateway.db import leases
from gateway.db.database import Database, DatabaseUnavailable
from gateway.db.leases import Lease
from gateway.db.tenure import FencedDatabase, Tenure, clock
from gateway.db.told import Told
from gateway.errors import LeaseLost

LANE = "cluster"


@pytest.fixture
async def two(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Database, Database]]:
    """Two processes' views of one database."""
    monkeypatch.setattr(database_module, "IDLE_IN_TRANSACTION", 1)
    made = Database(postgres_url), Database(postgres_url)
    await asyncio.to_thread(made[0].migrate)
    yield made
    for database in made:
        database.close()


async def keep(database: Database, seconds: float = 60.0) -> Lease | None:
    held = await database.write_beside(lambda c: leases.keep(c, database.name, {LANE: {"state": "ok"}}, seconds))
    return held.get(LANE)


async def test_a_lease_has_one_holder_and_a_later_one_a_larger_token(two) -> None:
    first, second = two
    mine = await keep(first)
    assert mine == Lease(LANE, first.name, 1)
    assert await keep(second) is None
    assert await keep(first, 0) == mine
    assert await keep(second) == Lease(LANE, second.name, 2)
    assert await keep(first) is None
    shown = await second.read(leases.current)
    assert (shown[LANE]["holder"], shown[LANE]["token"]) == (second.name, 2)


async def test_a_released_lease_can_be_taken_at_once(two) -> None:
    first, second = two
    await keep(first)
    await first.write_beside(lambda c: leases.release(c, first.name, [LANE]))
    assert await first.read(leases.current) == {}
    assert (await keep(second)) == Lease(LANE, second.name, 2)


async def test_all_who_start_at_once_agree_on_one_holder_and_one_name(two) -> None:
    found = await asyncio.gather(*(keep(database) for database in two))
    assert sorted(lease is None for lease in found) == [False, True]
    names = await asyncio.gather(*(database.write(leases.identity) for database in two))
    assert len(set(names)) == 1


async def test_a_write_after_the_lease_is_undone_and_says_so(two) -> None:
    first, second = two
    lease = await keep(first, 0)
    assert lease is not None
    tenure = Tenure(lease, clock() + 60)  # a process that slept: it still believes in its lease
    fenced = FencedDatabase(first, tenure)
    assert await fenced.write(lambda c: leases.present(c, "written", {}, 60)) == [{}]
    assert await keep(second) is not None
    with pytest.raises(LeaseLost):
        await fenced.write(lambda c: leases.absent(c, "written"))
    assert await second.write(lambda c: leases.present(c, "other", {}, 60)) == [{}, {}]
    assert tenure.lost.is_set()
    with pytest.raises(LeaseLost):
        tenure.check()


async def test_nobody_takes_a_lane_while_its_holder_commits_a_write(two) -> None:
    first, second = two
    lease = await keep(first, 0)
    assert lease is not None
    with first.engine.execution_options(gateway_beside=True).begin() as connection:
        leases.check(connection, lease)
        assert await keep(second) is None
        assert await keep(first, 0) == lease, "the holder itself renews all the same"
    assert await keep(second) is not None


async def test_a_process_that_froze_in_a_transaction_holds_nobody_up(two) -> None:
    first, second = two
    connection = first.engine.connect()
    connection.exec_driver_sql("SELECT 1")  # it has the turn of all writers
    began = time.monotonic()
    assert await keep(second) is not None
    await second.write(lambda c: leases.present(c, "x", {}, 60))
    assert time.monotonic() - began < 30
    with pytest.raises(Exception, match=r"terminat|closed|consuming|lost"):
        connection.exec_driver_sql("SELECT 1")
    connection.invalidate()
    connection.close()
    await first.write(lambda c: leases.absent(c, "x"))


async def test_a_token_that_the_target_knows_better_is_outbid_by_the_holder_only(two) -> None:
    first, second = two
    lease = await keep(first)
    assert lease is not None
    assert not await second.write(lambda c: leases.outbid(c, Lease(LANE, second.name, 1), 41))
    assert await first.write(lambda c: leases.outbid(c, lease, 41))
    assert await keep(first) == Lease(LANE, first.name, 42)


async def test_other_processes_hear_of_each_write_and_not_of_their_own(two) -> None:
    first, second = two
    heard: asyncio.Queue[str] = asyncio.Queue()
    listening = asyncio.Event()
    told = Told(second, heard.put_nowait, listening.set)
    told.start()
    try:
        await listening.wait()
        await second.write(lambda _: None)
        await first.write(lambda _: None)
        await first.tell("ring cluster")
        assert [await heard.get(), await heard.get()] == ["written", "ring cluster"]
    finally:
        await told.stop()


async def test_a_database_that_does_not_answer_is_said_to_be_unavailable(two) -> None:
    first, _ = two
    with pytest.raises(DatabaseUnavailable):
        await first.write_beside(lambda c: c.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())"))
