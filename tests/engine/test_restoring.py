"""Archived outputs come back when somebody asks: in a store that takes its time, and in Azurite."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from gateway.db import events, jobs, outputs
from gateway.db import retention as table
from gateway.errors import Conflict, ObjectArchived, StoreError
from gateway.jobs.outputs import Listing
from gateway.model.retention import JobRetention, RestoreRequest, RunRequest
from gateway.model.states import State
from gateway.storage.stores.base import Place
from gateway.storage.stores.directory import DirectoryStore
from testbed.azurite import Azurite
from tests.engine.conftest import EngineSite
from tests.engine.test_retention import FILES, carry_out, ended, loop_of, rules

RULE = {"after_days": 1, "action": "archive", "keep": ["log.*"]}
ARCHIVED = set(FILES) - {"log.solver"}


class Shelf(DirectoryStore):
    """A folder with an archive, from which nothing comes back until the test says so."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.away: set[str] = set()
        self.asked: list[tuple[str, bool]] = []

    @property
    def archive_tier(self) -> str | None:
        return "Archive"

    async def archive(self, place: Place, paths: Sequence[str], tier: str) -> None:
        self.away |= set(paths)

    async def restore(self, place: Place, paths: Sequence[str], *, urgent: bool) -> None:
        self.asked += [(path, urgent) for path in paths]

    async def restored(self, place: Place, paths: Sequence[str]) -> set[str]:
        return set(paths) - self.away

    async def read(self, place: Place, path: str, offset: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        if path in self.away:
            raise ObjectArchived("reading")
        async for piece in super().read(place, path, offset, length):
            yield piece


async def archived(site: EngineSite) -> tuple[str, Shelf]:
    """A job whose outputs were archived by a rule."""
    store = site.gateway.stores["folder"]
    shelf = Shelf(store.settings, store.context)
    site.gateway.stores["folder"] = shelf  # type: ignore[index]
    job_id = await ended(site)
    await site.gateway.retention.begin(RunRequest(), "ada")
    await carry_out(site)
    assert shelf.away == ARCHIVED
    return job_id, shelf


async def ask(site: EngineSite, job_id: str, *patterns: str, urgent: bool = False) -> None:
    owner = site.gateway.owner
    await site.gateway.restores.begin(job_id, owner, RestoreRequest(patterns=patterns, urgent=urgent), by=owner)


async def shown(site: EngineSite, job_id: str) -> JobRetention:
    return await site.gateway.retention.show(job_id, site.gateway.owner)


async def marks(site: EngineSite, job_id: str) -> dict[str, tuple[bool, bool]]:
    page = await site.gateway.outputs.list(job_id, site.gateway.owner, Listing())
    return {file.path: (file.archived, file.restoring) for file in page.files}


async def read(site: EngineSite, job_id: str, path: str) -> bytes:
    file = await site.gateway.outputs.open(job_id, site.gateway.owner, path)
    return b"".join([piece async for piece in file.read()])


async def later(site: EngineSite, job_id: str) -> None:
    """Let the time pass until the store is looked at again."""
    for work in (await shown(site, job_id)).works:
        await site.gateway.database.write(lambda c, work=work: table.set_work(c, work.id, held_until=None))


@pytest.fixture
async def site(open_site: Callable[..., Any]) -> EngineSite:
    made: EngineSite = await open_site(**rules(RULE))
    return made


async def test_what_is_archived_says_so_and_how_it_is_brought_back(site: EngineSite) -> None:
    job_id, _ = await archived(site)
    assert await marks(site, job_id) == {path: (path in ARCHIVED, False) for path in FILES}
    assert await read(site, job_id, "log.solver") == b"xxx"
    with pytest.raises(ObjectArchived) as caught:
        await read(site, job_id, "VTK/a.vtk")
    assert f"gateway outputs restore {job_id} VTK/a.vtk" in str(caught.value.hint)
    file = await site.gateway.outputs.open(job_id, site.gateway.owner, "VTK/a.vtk")
    with pytest.raises(ObjectArchived):
        await file.signed_url()
    assert ((await shown(site, job_id)).archived, (await shown(site, job_id)).restoring) == (3, 0)


async def test_outputs_are_restoring_until_the_store_has_them_back(site: EngineSite) -> None:
    job_id, shelf = await archived(site)
    await ask(site, job_id, "VTK/**", urgent=True)
    await ask(site, job_id, "VTK/**", urgent=True)  # the same again is the same
    await carry_out(site)
    assert sorted(shelf.asked) == [("VTK/a.vtk", True), ("VTK/deep/b.vtk", True)]
    assert (await marks(site, job_id))["VTK/a.vtk"] == (True, True)
    assert ((await shown(site, job_id)).restoring, (await shown(site, job_id)).going) == (2, 0)
    with pytest.raises(ObjectArchived) as caught:
        await read(site, job_id, "VTK/a.vtk")
    assert "is bringing it back" in str(caught.value.hint)
    shelf.away.discard("VTK/a.vtk")
    await later(site, job_id)
    await carry_out(site)
    assert await read(site, job_id, "VTK/a.vtk") == b"xxxxx"
    found = await marks(site, job_id)
    assert (found["VTK/a.vtk"], found["VTK/deep/b.vtk"], found["restart/1.bin"]) == (
        (False, False),
        (True, True),
        (True, False),
    )
    shelf.away.discard("VTK/deep/b.vtk")
    await later(site, job_id)
    await carry_out(site)
    work = (await shown(site, job_id)).works[-1]
    assert (work.action, work.count, work.bytes, work.done_at is not None) == ("restore", 2, 12, True)
    told = await site.gateway.database.read(lambda c: events.after(c, 0, job_id=job_id))
    assert [row["kind"] for row in told][-2:] == ["restore_asked", "retention"]
    assert (await site.gateway.retention.begin(RunRequest(), "ada")).works == 0  # and are not archived again at once


async def test_a_kill_while_the_store_is_asked_loses_nothing(site: EngineSite) -> None:
    job_id, shelf = await archived(site)
    real = shelf.restore

    async def die(place: Place, paths: Sequence[str], *, urgent: bool) -> None:
        await real(place, paths, urgent=urgent)
        raise KeyboardInterrupt

    shelf.restore = die  # type: ignore[method-assign]
    await ask(site, job_id)
    with pytest.raises(KeyboardInterrupt):
        await loop_of(site).do_one()
    shelf.restore = real  # type: ignore[method-assign]
    site.gateway.database.name = "another:process:1"
    shelf.away.clear()
    await carry_out(site)
    assert {path for path, _ in shelf.asked} == ARCHIVED
    assert set((await marks(site, job_id)).values()) == {(False, False)}


async def test_a_hold_does_not_keep_outputs_from_coming_back_and_retention_waits_meanwhile(site: EngineSite) -> None:
    job_id, shelf = await archived(site)
    owner = site.gateway.owner
    await site.gateway.retention.hold(job_id, owner, by=owner, why=None)
    await ask(site, job_id)
    await carry_out(site)
    await site.gateway.retention.release(job_id, owner, by=owner)
    assert len(shelf.asked) == 3
    [coming] = [item async for item in _coming(site, job_id, {"after_days": 0})]
    assert coming == "something is being done with these outputs already"


async def _coming(site: EngineSite, job_id: str, rule: dict[str, Any]) -> AsyncIterator[str | None]:
    """Yield what keeps another rule back."""
    sections = rules(rule)["retention"]["rules"]
    changed = type(site.gateway.retention.settings).model_validate({"rules": sections})
    site.gateway.retention.settings = changed
    for item in (await shown(site, job_id)).coming:
        yield item.blocked


async def test_a_store_that_refuses_is_asked_again_and_says_why(site: EngineSite) -> None:
    job_id, shelf = await archived(site)

    async def refuse(place: Place, paths: Sequence[str], *, urgent: bool) -> None:
        raise StoreError("no capacity for urgent requests")

    shelf.restore = refuse  # type: ignore[method-assign]
    await ask(site, job_id, urgent=True)
    await carry_out(site)
    work = (await shown(site, job_id)).works[-1]
    assert (work.problem, work.done_at) == ("no capacity for urgent requests", None)


async def test_what_somebody_else_archived_is_learnt_when_it_is_named(site: EngineSite) -> None:
    job_id, shelf = await archived(site)
    shelf.away.add("log.solver")  # by a rule of the store's own
    with pytest.raises(ObjectArchived):
        await read(site, job_id, "log.solver")
    await ask(site, job_id, "log.solver")
    await carry_out(site)
    assert (await marks(site, job_id))["log.solver"] == (True, True)
    assert shelf.asked == [("log.solver", False)]


async def test_nothing_is_asked_for_where_nothing_is_away(site: EngineSite) -> None:
    job_id = await ended(site)
    with pytest.raises(Conflict, match="has no archive"):
        await ask(site, job_id)
    archived_job, _ = await archived(site)
    with pytest.raises(Conflict, match="nothing of that is archived"):
        await ask(site, archived_job, "*.png")
    running = await ended(site, state=str(State.RUNNING))
    with pytest.raises(Conflict, match="running"):
        await ask(site, running)


async def test_people_see_what_the_rules_will_do_and_when(open_site: Callable[..., Any]) -> None:
    site: EngineSite = await open_site(**rules({"after_days": 30, "keep": ["VTK/**"]}, automatic=True))
    job_id, owner = await ended(site, days=10), site.gateway.owner
    found = await shown(site, job_id)
    [item] = found.coming
    assert (item.rule, item.action, item.store, item.keep, item.blocked) == ("r0", "delete", "folder", ["VTK/**"], None)
    assert abs(item.at - jobs.now() - timedelta(days=20)) < timedelta(hours=1)
    assert (found.automatic, found.owners) == (True, False)
    held = await site.gateway.retention.hold(job_id, owner, by=owner, why="paper")
    assert held.coming[0].blocked == f"held by {owner}: paper"


@pytest.mark.real
async def test_on_azurite_what_was_archived_is_read_again_after_it_was_asked_for(
    open_site: Callable[..., Any], azurite: Azurite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_ACCOUNT_KEY", azurite.key)
    store = {
        "kind": "azure",
        "account_url": azurite.account_url,
        "container": "jobs-" + secrets.token_hex(6),
        "credential": {"account_key": {"env": "TEST_ACCOUNT_KEY"}},
    }
    site: EngineSite = await open_site(stores={"folder": store}, **rules(RULE))
    job_id = await ended(site)
    await site.gateway.retention.begin(RunRequest(), "ada")
    await carry_out(site)
    tiers = {
        row["path"]: row["tier"]
        for row in await site.gateway.database.read(lambda c: outputs.files(c, job_id, "folder"))
    }
    assert tiers == {path: "Archive" if path in ARCHIVED else None for path in FILES}
    with pytest.raises(ObjectArchived):
        await read(site, job_id, "restart/1.bin")
    await ask(site, job_id, "restart/*")
    await carry_out(site)  # Azurite does not take its time: what it is asked for is there
    assert await read(site, job_id, "restart/1.bin") == b"x" * 11
    assert (await shown(site, job_id)).archived == 2
