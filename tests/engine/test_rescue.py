"""What ended jobs left and a store could not take is brought later: by itself, on request, through restarts."""

from __future__ import annotations

import asyncio
import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from gateway.db import behind, events
from gateway.db.retention_tables import cleanings
from gateway.engine.rescue import next_try
from gateway.engine.timing import Timing
from gateway.errors import Conflict
from gateway.model.states import ENDED, State
from tests.engine.conftest import FAST, EngineSite

NEVER = replace(FAST, rescue_delays=(), rescue_later=(3600.0,))
SOON = replace(FAST, rescue_delays=(), rescue_later=(0.2, 0.2, 3600.0))


@pytest.fixture
async def site(open_site: Callable[..., Any]) -> EngineSite:
    """A gateway whose one store is a folder that it fills itself: no node waits for a store that is down."""
    store = {"kind": "directory", "path": "{data}/outputs", "transfer": "relay"}
    made: EngineSite = await open_site(stores={"folder": store})
    return made


def root_of(site: EngineSite) -> Path:
    """Return the store's folder."""
    return site.gateway.data / "outputs"


def breaking(site: EngineSite, script: str = "echo result >out") -> str:
    """Return a payload at whose end the store is down: a file stands where its folder has to be."""
    root = shlex.quote(str(root_of(site)))
    return f"{script}; rm -rf {root}; echo in the way >{root}"


async def place_of(site: EngineSite, job_id: str) -> Any:
    return (await site.stores(job_id))["folder"]


async def ended_without_store(site: EngineSite, timing: Timing = NEVER, **body: Any) -> tuple[str, Path]:
    """Return a job that ended while its store was down, and the file that is in the store's way."""
    await site.start(timing)
    job_id = await site.submit(breaking(site, body.pop("script", "echo result >out")), **body)
    await site.ended(job_id)
    return job_id, root_of(site)


async def place_when(site: EngineSite, job_id: str, condition: Callable[[Any], bool]) -> Any:
    """Return the job's place in the store when `condition` holds."""
    async with asyncio.timeout(40):
        while not condition(place := await place_of(site, job_id)):
            await asyncio.sleep(0.05)
    return place


async def complete(site: EngineSite, job_id: str) -> Any:
    """Return the job's place when it is not tried any more."""
    return await place_when(site, job_id, lambda place: place["rescue_at"] is None)


@pytest.mark.parametrize(("tries", "expected"), [(1, 60.0), (2, 600.0), (3, 600.0), (9, 600.0)])
def test_tries_come_ever_more_seldom(tries: int, expected: float) -> None:
    now = datetime.now(UTC)
    assert next_try(now, tries, now, (60.0, 600.0), 7) == now + timedelta(seconds=expected)


def test_tries_end_after_some_days() -> None:
    now = datetime.now(UTC)
    assert next_try(now - timedelta(days=7), 1, now, (60.0,), 7) is None


async def test_a_job_whose_store_was_down_says_so_and_when_it_is_tried_again(site: EngineSite) -> None:
    job_id, _ = await ended_without_store(site)
    outputs = (await site.gateway.jobs.get(job_id, site.gateway.owner)).outputs
    assert (str(outputs.state), outputs.stores["folder"].problem is not None) == ("partial", True)
    assert outputs.rescue_at is not None
    assert timedelta(minutes=50) < outputs.rescue_at - datetime.now(UTC) < timedelta(minutes=61)


async def test_outputs_come_by_themselves_when_the_store_is_back(site: EngineSite) -> None:
    job_id, root = await ended_without_store(site, SOON)
    root.unlink()
    place = await complete(site, job_id)
    assert (place["state"], place["problem"]) == ("complete", None)
    assert (root / job_id / "out").read_text() == "result\n"
    assert (root / job_id / ".gateway" / "manifest.json").is_file()
    assert (root / job_id / ".gateway" / "final.json").is_file()
    assert State((await site.row(job_id))["state"]) is State.SUCCEEDED


async def test_the_next_gateway_goes_on_trying(site: EngineSite) -> None:
    job_id, root = await ended_without_store(site)
    await site.stop()
    root.unlink()
    now = datetime.now(UTC)
    pushed = {"rescue_at": now, "transfer": "push"}
    await site.gateway.database.write(lambda c: behind.set_rescue(c, job_id, "folder", **pushed))
    await site.start(NEVER)
    assert (await complete(site, job_id))["state"] == "rescued"


async def test_a_try_that_fails_is_counted_and_the_next_one_is_later(site: EngineSite) -> None:
    job_id, _ = await ended_without_store(site, SOON)
    place = await place_when(site, job_id, lambda place: place["tries"] == 3 and place["problem"] is not None)
    assert (place["state"], place["tries"]) == ("partial", 3)
    assert place["rescue_at"] - datetime.now(UTC) > timedelta(minutes=50)


async def test_sync_of_an_ended_job_tries_again_at_once(site: EngineSite) -> None:
    job_id, root = await ended_without_store(site)
    root.unlink()
    job = await site.gateway.verbs.sync(job_id, site.gateway.owner)
    assert job.outputs.rescue_at is not None
    assert job.outputs.rescue_at <= datetime.now(UTC)
    assert (await complete(site, job_id))["state"] == "complete"
    rows = await site.gateway.database.read(lambda c: events.after(c, 0, job_id=job_id))
    kinds = [(row["kind"], row["data"].get("state")) for row in rows]
    assert kinds[-2:] == [("sync_requested", None), ("outputs", "complete")]
    with pytest.raises(Conflict, match="everything"):
        await site.gateway.verbs.sync(job_id, site.gateway.owner)


async def test_what_never_ran_has_nothing_to_copy(site: EngineSite) -> None:
    job_id = await site.submit("true")
    await site.cancel(job_id)
    assert State((await site.row(job_id))["state"]) in ENDED
    with pytest.raises(Conflict, match="ran"):
        await site.gateway.verbs.sync(job_id, site.gateway.owner)


async def test_a_folder_that_was_cleaned_is_not_tried_again(site: EngineSite) -> None:
    job_id, root = await ended_without_store(site)
    root.unlink()
    row = await site.row(job_id)
    now = datetime.now(UTC)

    def clean(connection: Any) -> None:
        folders = {"job_folder": row["a_job_folder"], "control_folder": row["a_control_folder"]}
        connection.execute(
            insert(cleanings).values(job_id=job_id, lane="here", asked_at=now, tries=0, done_at=now, **folders)
        )
        behind.set_rescue(connection, job_id, "folder", rescue_at=now)

    await site.gateway.database.write(clean)
    place = await complete(site, job_id)
    assert (place["state"], "cleaned" in place["problem"]) == ("partial", True)
    with pytest.raises(Conflict, match="cleaned"):
        await site.gateway.verbs.sync(job_id, site.gateway.owner)


async def test_a_job_folder_that_is_gone_proves_nothing(site: EngineSite) -> None:
    body: dict[str, Any] = {
        "script": "mkdir sub; echo result >sub/out",
        "outputs": [{"source": "sub/*", "destination": "taken/"}],
    }
    job_id, root = await ended_without_store(site, SOON, **body)
    shutil.rmtree((await site.row(job_id))["a_job_folder"])
    root.unlink()
    place = await place_when(site, job_id, lambda place: place["tries"] == 3 and place["problem"] is not None)
    place = await place_when(site, job_id, lambda place: "not there" in place["problem"])
    assert place["state"] == "partial"
