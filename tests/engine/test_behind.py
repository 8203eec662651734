"""How far stores are behind: what of the node's word is kept, and when people are told."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gateway.compute.records import RecordUpdate
from gateway.db import behind as behind_table
from gateway.db import events, jobs
from gateway.db.database import Database
from gateway.engine.behind import told_level
from gateway.engine.observe import Observer
from gateway.engine.poll import Sight
from gateway.engine.timing import Timing
from gateway.jobs.views import job_of
from gateway.model.records import Claim, SyncRecord, Unsent
from gateway.model.states import State
from tests.engine.conftest import EngineSite
from tests.engine.test_observe import TOKEN, add, row_of

HOUR_AGO = datetime.now(UTC) - timedelta(hours=1)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = Database(f"sqlite:///{tmp_path}/g.db")
    found.migrate()
    yield found
    found.close()


@pytest.mark.parametrize(
    ("lag", "told", "interval", "level"),
    [
        (None, 0, 10, 0),
        (119.0, 0, 10, 0),
        (120.0, 0, 10, 1),
        (3600.0, 0, 10, 3),
        (700.0, 3, 10, 3),
        (29.0, 3, 10, 0),
        (None, 2, 10, 0),
        (500.0, 0, 300, 0),
        (900.0, 0, 300, 2),
        (90000.0, 0, None, 0),
    ],
)
def test_people_are_told_at_few_levels_and_not_of_what_the_passes_explain(
    lag: float | None, told: int, interval: float | None, level: int
) -> None:
    assert told_level(lag, told, interval) == level


async def see(database: Database, job_id: str, *stores: Unsent, token: str = TOKEN) -> None:
    """Take a sight in which the node said this of its stores."""
    row = await row_of(database, job_id)
    claim = Claim(row["a_scheduler_id"], TOKEN)
    record = RecordUpdate(True, claim, sync=SyncRecord(token, stores), synced="1.1")
    now = datetime.now(UTC)
    await Observer(database, Timing()).take([row], Sight(records={row["a_control_folder"]: record}), now, now)


async def shown(database: Database, job_id: str) -> Any:
    row = await row_of(database, job_id)
    stores = await database.read(lambda c: jobs.stores_of(c, [job_id]))
    return job_of(row, stores[job_id]).outputs


async def told(database: Database, job_id: str) -> list[dict[str, Any]]:
    rows = await database.read(lambda c: events.after(c, 0, job_id=job_id))
    return [row["data"] for row in rows if row["kind"] == "backlog"]


async def test_what_is_not_copied_yet_is_shown_until_the_job_has_ended(database: Database) -> None:
    job_id = await add(database, claimed_at=HOUR_AGO)
    before = await shown(database, job_id)
    assert (before.backlog, before.lag, before.stores["folder"].lag) == (None, None, None)
    await see(database, job_id, Unsent("folder", 12_000_000, 3, 40.0))
    now = await shown(database, job_id)
    assert (now.backlog, now.backlog_files, now.behind) == (12_000_000, 3, False)
    assert now.stores["folder"].lag >= 40
    await see(database, job_id, Unsent("folder", 0, 0, None))
    assert (await shown(database, job_id)).lag == 0
    for state in (State.FINALIZING, State.SUCCEEDED):
        await database.write(lambda c, state=state: jobs.change_state(c, job_id, state))  # type: ignore[misc]
    after = await shown(database, job_id)
    assert (after.backlog, after.lag, after.stores["folder"].backlog_files) == (None, None, None)
    assert await told(database, job_id) == []


async def test_events_tell_once_that_a_store_is_far_behind_and_once_that_it_is_not(database: Database) -> None:
    job_id = await add(database, claimed_at=HOUR_AGO)
    for lag in (100.0, 130.0, 140.0, 400.0, 130.0, 10.0, 10.0):
        await see(database, job_id, Unsent("folder", 5, 1, lag))
    found = await told(database, job_id)
    assert [(item["behind"], item["lag"]) for item in found] == [(True, 130), (False, 10)]


async def test_a_file_that_is_older_than_the_run_has_not_waited_for_longer(database: Database) -> None:
    job_id = await add(database, claimed_at=datetime.now(UTC))
    await see(database, job_id, Unsent("folder", 5, 1, 1e9))
    assert (await shown(database, job_id)).lag < 60
    assert await told(database, job_id) == []


async def test_the_word_of_another_run_or_about_another_store_does_not_count(database: Database) -> None:
    job_id = await add(database)
    await see(database, job_id, Unsent("folder", 5, 1, 1.0), token="b" * 32)
    await see(database, job_id, Unsent("elsewhere", 5, 1, 1.0))
    assert (await shown(database, job_id)).backlog is None


async def test_the_stores_of_all_jobs_that_run_are_summed_up(database: Database) -> None:
    first, second = await add(database, claimed_at=HOUR_AGO), await add(database, claimed_at=HOUR_AGO)
    await see(database, first, Unsent("folder", 5, 1, 10.0))
    await see(database, second, Unsent("folder", 7, 1, 20.0))
    ((total, oldest),) = (await database.read(behind_table.by_store)).values()
    assert total == 12
    assert oldest is not None
    assert timedelta(seconds=20) <= datetime.now(UTC) - oldest < timedelta(seconds=120)


async def outputs_when(site: EngineSite, job_id: str, condition: Callable[[Any], Any]) -> Any:
    """Return what is known of a job's outputs when `condition` holds."""
    async with asyncio.timeout(60):
        while not condition(found := (await site.gateway.jobs.get(job_id, site.gateway.owner)).outputs):
            await asyncio.sleep(0.05)
    return found


TWO_FILES = "echo first >a; {} echo second >b; {}".format(
    *(f"until [ -e ../{word} ]; do sleep 0.1; done;" for word in ("go", "end"))
)
"""A payload that writes its second file, and ends, when it is told to."""


async def test_a_relayed_store_that_is_down_is_behind_and_catches_up(open_site: Any) -> None:
    store = {"kind": "directory", "path": "{data}/outputs", "transfer": "relay"}
    site = await open_site(stores={"folder": store})
    await site.start()
    root = site.gateway.data / "outputs"
    job_id = await site.submit(TWO_FILES, sync={"interval": 1, "settle": 0, "reserve": 20})
    until = partial(outputs_when, site, job_id)

    copied = await until(lambda outputs: outputs.backlog == 0)
    assert (copied.lag, copied.stores["folder"].backlog_files) == (0, 0)
    work = Path((await site.row(job_id))["a_job_folder"]).parent
    shutil.rmtree(root)
    root.write_text("in the way")
    (work / "go").touch()
    down = await until(lambda outputs: outputs.lag)
    assert down.oldest is not None
    root.unlink()
    assert (await until(lambda outputs: outputs.lag == 0)).backlog == 0
    (work / "end").touch()
    await site.ended(job_id)
    outputs = (await site.gateway.jobs.get(job_id, site.gateway.owner)).outputs
    assert (str(outputs.state), outputs.backlog, outputs.lag, outputs.oldest) == ("complete", None, None, None)


async def test_the_node_says_how_far_its_store_is_behind(site: EngineSite) -> None:
    await site.start()
    root = site.gateway.data / "outputs"
    job_id = await site.submit(TWO_FILES, sync={"interval": 1, "settle": 0, "reserve": 5})
    until = partial(outputs_when, site, job_id)

    await until(lambda outputs: outputs.count == 1 and outputs.backlog == 0)
    work = Path((await site.row(job_id))["a_job_folder"]).parent
    (root / job_id).rename(root / "away")
    (root / job_id).write_text("in the way")
    (work / "go").touch()
    down = await until(lambda outputs: outputs.backlog)
    assert (down.backlog, down.backlog_files) == (len("second\n"), 1)
    (root / job_id).unlink()
    (root / "away").rename(root / job_id)
    await until(lambda outputs: outputs.backlog == 0)
    (work / "end").touch()
    await site.ended(job_id)
    outputs = (await site.gateway.jobs.get(job_id, site.gateway.owner)).outputs
    assert (str(outputs.state), outputs.count, outputs.backlog) == ("complete", 2, None)
