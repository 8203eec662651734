"""Retention on a gateway with a real store: what is old enough goes, what somebody holds or needs stays."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from gateway.db import events, jobs, outputs, people
from gateway.db import retention as table
from gateway.db.database import Database
from gateway.db.outputs import OutputRow
from gateway.db.tables import folders, job_stores
from gateway.db.tables import jobs as job_table
from gateway.engine.retention import RetentionLoop
from gateway.errors import ConfigurationError, Conflict, NotFound, ObjectArchived, StoreError
from gateway.jobs.configured import check_configuration
from gateway.model.retention import OwnRule, RunRequest
from gateway.model.states import State
from gateway.settings import parse
from gateway.storage.stores.base import Place
from tests.engine.conftest import EngineSite

FILES = {"log.solver": 3, "VTK/a.vtk": 5, "VTK/deep/b.vtk": 7, "restart/1.bin": 11}
ALL = RunRequest()


def rules(*found: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"retention": {"rules": [{"name": f"r{n}", **rule} for n, rule in enumerate(found)], **more}}


@pytest.fixture
def open_with(open_site: Callable[..., Any]) -> Callable[..., Any]:
    """Open a gateway with rules, whose engine is not started."""

    async def made(*found: dict[str, Any], **more: Any) -> EngineSite:
        site: EngineSite = await open_site(**rules(*found, **more))
        return site

    return made


async def ended(site: EngineSite, days: float = 10, files: dict[str, int] = FILES, **columns: Any) -> str:
    """A job that ended some days ago, with outputs in its store and in the catalogue."""
    job_id = await site.submit("true")
    gateway, place = site.gateway, Place(job_id, site.gateway.owner)
    store = gateway.stores["folder"]
    await store.prepare(place)
    await store.write(place, ".gateway/manifest.json", b"{}", "application/json")
    for path, size in files.items():
        await store.write(place, path, b"x" * size, "text/plain")
    at = jobs.now() - timedelta(days=days)
    values = {"state": str(State.SUCCEEDED), "ended_at": at, **columns}

    def write(connection: Any) -> None:
        rows = [OutputRow(path, size, "final", 1) for path, size in files.items()]
        outputs.upsert(connection, job_id, "folder", rows)
        jobs.set_store(connection, job_id, "folder", state="complete")
        connection.execute(update(job_table).where(job_table.c.id == job_id).values(**values))

    await gateway.database.write(write)
    return job_id


def loop_of(site: EngineSite) -> RetentionLoop:
    gateway = site.gateway
    return RetentionLoop(gateway.database, gateway.settings, gateway.stores, gateway.bell)


async def carry_out(site: EngineSite) -> None:
    loop = loop_of(site)
    while await loop.do_one():
        pass


async def there(site: EngineSite, job_id: str) -> set[str]:
    store = site.gateway.stores["folder"]
    return {o.path async for o in store.list(Place(job_id, site.gateway.owner)) if not o.path.startswith(".gateway/")}


async def listed(site: EngineSite, job_id: str) -> set[str]:
    rows = await site.gateway.database.read(lambda c: outputs.files(c, job_id, "folder"))
    return {row["path"] for row in rows}


async def totals(site: EngineSite, job_id: str) -> tuple[tuple[int, int], set[str]]:
    def read(connection: Any) -> tuple[tuple[int, int], set[str]]:
        whole = select(job_stores.c["count"], job_stores.c["bytes"]).where(job_stores.c.job_id == job_id)
        names = select(folders.c.prefix).where(folders.c.job_id == job_id)
        return tuple(connection.execute(whole).one()), set(connection.scalars(names))

    return await site.gateway.database.read(read)


async def test_a_plan_says_what_would_go_and_changes_nothing(open_with) -> None:
    site = await open_with({"after_days": 7, "keep": ["**/*.vtk"]})
    job_id, young = await ended(site), await ended(site, days=1)
    plan = await site.gateway.retention.plan(ALL)
    assert [(i.job_id, i.rule, i.count, i.bytes, i.blocked) for i in plan.items] == [(job_id, "r0", 2, 14, None)]
    assert (plan.count, plan.bytes, plan.next_cursor) == (2, 14, None)
    await carry_out(site)
    for one in (job_id, young):
        assert await there(site, one) == await listed(site, one) == set(FILES)


async def test_what_is_due_goes_from_store_catalogue_and_totals_with_a_row_in_the_audit_log(open_with) -> None:
    site = await open_with({"after_days": 7, "keep": ["**/*.vtk"]})
    job_id = await ended(site)
    assert (await site.gateway.retention.begin(ALL, "ada")).works == 1
    await carry_out(site)
    kept = {"VTK/a.vtk", "VTK/deep/b.vtk"}
    assert await there(site, job_id) == await listed(site, job_id) == kept
    assert await totals(site, job_id) == ((2, 12), {"VTK/", "VTK/deep/"})
    found = await site.gateway.database.read(lambda c: events.after(c, 0, job_id=job_id))
    [told] = [row["data"] for row in found if row["kind"] == "retention"]
    assert (told["rule"], told["action"], told["count"], told["bytes"], told["by"]) == ("r0", "delete", 2, 14, "ada")
    [row] = await site.gateway.database.read(lambda c: people.audit_page(c, people.AuditFilter(person="ada"), limit=9))
    assert (row["action"], row["status"]) == ("retention_delete", 200)
    assert "2 outputs, 14 bytes" in row["path"]
    store = site.gateway.stores["folder"]
    assert await store.stat(Place(job_id, site.gateway.owner), ".gateway/manifest.json") is not None
    with pytest.raises(NotFound, match=r"log\.solver.*retention removed it"):
        await site.gateway.outputs.open(job_id, site.gateway.owner, "log.solver")
    assert (await site.gateway.retention.begin(ALL, "ada")).works == 0


@pytest.mark.parametrize(
    "rule",
    [
        {"stores": ["folder"], "after_days": 11},
        {"cases": ["cavity"], "after_days": 1},
        {"owners": ["nobody"], "after_days": 1},
        {"states": ["failed"], "after_days": 1},
    ],
)
async def test_a_rule_is_about_nothing_but_what_it_names(open_with, rule: dict[str, Any]) -> None:
    site = await open_with(rule)
    await ended(site)
    assert (await site.gateway.retention.plan(ALL)).items == []


async def test_live_jobs_and_those_lost_a_moment_ago_are_left_alone(open_with) -> None:
    site = await open_with({"after_days": 0})
    for state in (State.RUNNING, State.FINALIZING, State.UNKNOWN):
        await ended(site, state=str(state))
    await ended(site, days=1, state=str(State.LOST))
    old = await ended(site, days=3, state=str(State.LOST))
    assert [item.job_id for item in (await site.gateway.retention.plan(ALL)).items] == [old]


async def test_while_somebody_holds_them_outputs_stay_also_those_that_were_marked(open_with) -> None:
    site = await open_with({"after_days": 1})
    job_id, owner = await ended(site), site.gateway.owner
    retention, loop = site.gateway.retention, loop_of(site)
    await retention.begin(ALL, "ada")
    store, real = site.gateway.stores["folder"], site.gateway.stores["folder"].remove

    async def die_half_way(place: Place, paths: Any) -> None:
        await real(place, list(paths)[:1])
        raise KeyboardInterrupt

    store.remove = die_half_way  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        await loop.do_one()
    store.remove = real  # type: ignore[method-assign]
    shown = await retention.hold(job_id, owner, by=owner, why="for the paper")
    assert shown.going == 4
    site.gateway.database.name = "another:process:1"
    await carry_out(site)
    assert await there(site, job_id) == await listed(site, job_id) == set(FILES) - {"VTK/a.vtk"}
    shown = await retention.show(job_id, owner)
    assert (shown.going, shown.works[0].problem) == (0, f"held by {owner}: for the paper")
    assert (await totals(site, job_id))[0] == (3, 21)
    assert (await retention.plan(ALL)).items[0].blocked is not None


async def test_an_owner_does_not_take_an_administrators_hold_away(open_with) -> None:
    site = await open_with({"after_days": 1})
    job_id, owner = await ended(site), site.gateway.owner
    retention = site.gateway.retention
    await retention.hold(job_id, owner, by="ada", why=None)
    await retention.hold(job_id, owner, by=owner, why=None)
    assert [hold.kind for hold in (await retention.release(job_id, owner, by=owner)).holds] == ["admin"]
    with pytest.raises(Conflict):
        await retention.release(job_id, owner, by=owner)
    assert (await retention.begin(ALL, "ada")).works == 0
    assert (await retention.release(job_id, owner, by="ada")).holds == []
    assert (await retention.begin(ALL, "ada")).works == 1


async def test_what_another_job_has_yet_to_read_stays(open_with) -> None:
    site = await open_with({"after_days": 1})
    job_id = await ended(site)
    reader = await site.submit("true", inputs=[{"path": "x", "job": job_id, "output": "VTK/a.vtk"}])
    [item] = (await site.gateway.retention.plan(ALL)).items
    assert item.blocked is not None
    assert reader in item.blocked
    assert (await site.gateway.retention.begin(ALL, "ada")).works == 0
    await site.cancel(reader)
    assert (await site.gateway.retention.begin(ALL, "ada")).works == 1


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_kill_in_the_middle_loses_nothing_and_the_next_process_goes_on(open_with, moment: str) -> None:
    site = await open_with({"after_days": 1, "keep": ["log.*"]})
    job_id = await ended(site)
    await site.gateway.retention.begin(ALL, "ada")
    store, real = site.gateway.stores["folder"], site.gateway.stores["folder"].remove

    async def die(place: Place, paths: Any) -> None:
        if moment == "after":
            await real(place, paths)
        raise KeyboardInterrupt

    store.remove = die  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        await loop_of(site).do_one()
    store.remove = real  # type: ignore[method-assign]
    assert await listed(site, job_id) == set(FILES)
    site.gateway.database.name = "another:process:1"
    await carry_out(site)
    assert await there(site, job_id) == await listed(site, job_id) == {"log.solver"}
    assert await totals(site, job_id) == ((1, 3), set())
    [work] = (await site.gateway.retention.show(job_id, site.gateway.owner)).works
    assert (work.count, work.bytes, work.done_at is not None) == (3, 23, True)


async def test_a_store_that_fails_is_tried_again_later_and_says_why(open_with) -> None:
    site = await open_with({"after_days": 1})
    job_id = await ended(site)
    await site.gateway.retention.begin(ALL, "ada")

    async def fail(place: Place, paths: Any) -> None:
        raise StoreError("the store is away")

    store, real = site.gateway.stores["folder"], site.gateway.stores["folder"].remove
    store.remove = fail  # type: ignore[method-assign]
    await carry_out(site)
    [work] = (await site.gateway.retention.show(job_id, site.gateway.owner)).works
    assert (work.problem, work.done_at) == ("the store is away", None)
    store.remove = real  # type: ignore[method-assign]
    await site.gateway.database.write(lambda c: table.set_work(c, work.id, held_until=None))
    await carry_out(site)
    assert await there(site, job_id) == set()


async def test_owners_set_rules_of_their_own_where_they_may(open_with) -> None:
    site = await open_with(owners=True)
    job_id, owner = await ended(site), site.gateway.owner
    retention = site.gateway.retention
    await retention.set_own(job_id, owner, OwnRule(after_days=5, keep=("VTK/**",)), by=owner)
    [item] = (await retention.plan(ALL)).items
    assert (item.rule, item.count) == ("own", 2)
    await retention.set_own(job_id, owner, None, by=owner)
    assert (await retention.plan(ALL)).items == []


async def test_archiving_needs_a_store_that_can(open_with) -> None:
    site = await open_with({"after_days": 1, "action": "archive"})
    job_id = await ended(site)
    [item] = (await site.gateway.retention.plan(ALL)).items
    assert (item.job_id, item.blocked) == (job_id, "store folder has no archive tier")
    assert (await site.gateway.retention.begin(ALL, "ada")).blocked == 1


async def test_the_daily_run_is_made_once_whoever_starts(open_with) -> None:
    site = await open_with({"after_days": 1}, automatic=True)
    job_id = await ended(site)
    await loop_of(site)._begin_daily()
    second = await ended(site)
    await loop_of(site)._begin_daily()
    await carry_out(site)
    assert (await there(site, job_id), await there(site, second)) == (set(), set(FILES))


def test_an_archived_file_is_a_conflict_that_says_what_to_do() -> None:
    assert (ObjectArchived("x").status, ObjectArchived("x").problem) == (409, "archived")


@pytest.mark.real
async def test_on_postgresql_two_processes_share_the_work_and_each_output_goes_once(
    open_site, postgres_url: str, tmp_path: Path
) -> None:
    gateway = {"data": str(tmp_path / "data"), "default_target": "here", "default_store": "folder"}
    site = await open_site(gateway={**gateway, "database": postgres_url}, **rules({"after_days": 1, "keep": ["log.*"]}))
    found = [await ended(site) for _ in range(4)]
    assert (await site.gateway.retention.begin(ALL, "ada")).works == 4
    assert (await site.gateway.retention.begin(ALL, "ada")).works == 0
    others = Database(postgres_url)
    try:
        mine, theirs = loop_of(site), loop_of(site)
        theirs.database = others

        async def work(loop: RetentionLoop) -> int:
            done = 0
            while await loop.do_one():
                done += 1
            return done

        assert sum(await asyncio.gather(work(mine), work(theirs))) == 4
    finally:
        others.close()
    for job_id in found:
        assert await there(site, job_id) == await listed(site, job_id) == {"log.solver"}
        assert await totals(site, job_id) == ((1, 3), set())
        [one] = (await site.gateway.retention.show(job_id, site.gateway.owner)).works
        assert (one.count, one.bytes) == (3, 23)


async def test_what_the_gateway_still_brings_is_not_taken_away(open_with) -> None:
    site = await open_with({"after_days": 1})
    job_id = await ended(site)
    await site.gateway.database.write(lambda c: jobs.set_store(c, job_id, "folder", rescue_at=jobs.now()))
    [item] = (await site.gateway.retention.plan(ALL)).items
    assert item.blocked == "the gateway still brings what is missing"


def test_mistakes_of_rules_are_named_with_their_place() -> None:
    raw = {"rules": [{"name": "a", "after_days": 1, "keep": ["ok", "../x"], "stores": ["nowhere"]}]}
    mistakes = check_configuration(parse({"retention": raw}))
    assert [mistake.pointer for mistake in mistakes] == ["retention.rules.0.keep.1", "retention.rules.0.stores"]
    for bad in ({"after_days": -1}, {"after_days": 1, "tier": "Cool"}, {"after_days": 1, "states": ["running"]}):
        with pytest.raises(ConfigurationError):
            parse({"retention": {"rules": [{"name": "a", **bad}]}})
    with pytest.raises(ConfigurationError):
        parse({"retention": {"rules": [{"name": "own", "after_days": 1}]}})
