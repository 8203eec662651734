"""Folders of jobs on their target go when nothing is in them only; others stay, and nothing but them goes."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from gateway.compute.cleaning import JobFolders, remove_folders
from gateway.db import events, jobs
from gateway.db.retention_tables import cleanings
from gateway.db.tables import jobs as job_table
from gateway.engine.cleaning import Cleaner
from gateway.errors import Conflict
from gateway.jobs.intents import FOLDER_STAYS
from gateway.model.states import OutputsState
from tests.engine.conftest import FAST, EngineSite


def cleaner_of(site: EngineSite) -> Cleaner:
    gateway = site.gateway
    return Cleaner(gateway.lanes["here"], gateway.database, gateway.stores, FAST)


async def ended_job(
    site: EngineSite, script: str = "mkdir -p a/b && echo x >a/b/out && chmod 500 a/b", days: float = 31
) -> Any:
    """A job that ran, and ended some days ago; its engine is stopped again."""
    await site.start()
    job_id = await site.submit(script)
    await site.ended(job_id)
    await site.stop()
    at = jobs.now() - timedelta(days=days)
    await site.gateway.database.write(
        lambda c: c.execute(update(job_table).where(job_table.c.id == job_id).values(ended_at=at))
    )
    return await site.row(job_id)


def folders(row: Any) -> tuple[Path, Path]:
    return Path(row["a_job_folder"]), Path(row["a_control_folder"]).parent


async def clean(site: EngineSite) -> None:
    cleaner = cleaner_of(site)
    await cleaner.ask_for_old()
    while await cleaner.clean_some():
        pass


async def test_the_folders_of_a_job_whose_outputs_are_complete_go_after_a_while(site: EngineSite) -> None:
    row = await ended_job(site)
    outside = folders(row)[0].parent / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    (folders(row)[0] / "link").symlink_to(outside)
    young = await ended_job(site, days=29)
    await clean(site)
    assert [path.exists() for path in folders(row)] == [False, False]
    assert [path.exists() for path in folders(young)] == [True, True]
    assert (outside / "precious").read_text() == "x"
    assert not (folders(row)[1].parent / ".gone").exists()
    kinds = [e["kind"] for e in await site.gateway.database.read(lambda c: events.after(c, 0, job_id=row["id"]))]
    assert kinds[-1] == "folder_removed"
    shown = await site.gateway.retention.show(row["id"], site.gateway.owner)
    assert shown.folder == "removed"
    piece = await site.gateway.logs.read(row["id"], site.gateway.owner, "stderr", 0, 100)
    assert piece.size == 0
    await clean(site)


async def test_what_is_not_in_all_stores_stays_until_somebody_gives_it_up(site: EngineSite) -> None:
    row = await ended_job(site)
    gateway = site.gateway
    partial = str(OutputsState.PARTIAL)
    await gateway.database.write(lambda c: jobs.set_store(c, row["id"], "folder", state=partial))
    await clean(site)
    assert [path.exists() for path in folders(row)] == [True, True]
    await gateway.retention.clean(row["id"], gateway.owner, by=gateway.owner)
    await gateway.database.write(lambda c: jobs.set_store(c, row["id"], "folder", rescue_at=jobs.now()))
    await clean(site)
    assert [path.exists() for path in folders(row)] == [True, True]  # a try to bring something may be on its way
    await gateway.database.write(lambda c: jobs.set_store(c, row["id"], "folder", rescue_at=None))
    await clean(site)
    assert [path.exists() for path in folders(row)] == [False, False]


async def test_only_the_folder_of_a_job_that_has_ended_can_be_given_up(site: EngineSite) -> None:
    job_id = await site.submit("true")
    with pytest.raises(Conflict):
        await site.gateway.retention.clean(job_id, site.gateway.owner, by="ada")


async def test_the_folder_of_a_deleted_job_is_not_forgotten(site: EngineSite) -> None:
    row = await ended_job(site, days=0)
    gateway = site.gateway
    await gateway.jobs.delete(row["id"], gateway.owner)
    await clean(site)
    assert [path.exists() for path in folders(row)] == [True, True]
    past = jobs.now() - FOLDER_STAYS
    await gateway.database.write(lambda c: c.execute(update(cleanings).values(asked_at=past)))
    await clean(site)
    assert [path.exists() for path in folders(row)] == [False, False]


async def test_a_folder_without_a_record_a_link_and_a_strange_name_are_refused(site: EngineSite) -> None:
    rows = [await ended_job(site, "echo x >out", days=0) for _ in range(3)]
    keep = folders(rows[0])[0].parent / "keep"
    keep.mkdir()
    for script in folders(rows[0])[1].glob("*/job.sh"):
        script.unlink()
    job, control = folders(rows[1])
    job.rename(keep / "job")
    job.symlink_to(keep / "job")
    job, control = folders(rows[2])
    control.rename(keep / "control")
    control.symlink_to(keep / "control")
    asked = [JobFolders(row["id"], *map(str, folders(row))) for row in rows]
    asked.append(JobFolders("not-a-job", "/tmp/not-a-job", "/tmp/not-a-job"))
    asked.append(JobFolders(rows[0]["id"], f"/{rows[0]['id']}", f"/{rows[0]['id']}"))
    answers = await remove_folders(site.gateway.lanes["here"].transport, asked[:-1])
    assert all(answers[item.job_id] for item in asked[:-1]), answers
    assert asked[-1].problem is not None
    assert (keep / "job/out").exists()
    assert (keep / "control").exists()
    assert folders(rows[0])[0].exists()


async def test_a_command_that_was_cut_off_is_finished_by_the_next_one(site: EngineSite) -> None:
    row = await ended_job(site, days=0)
    job, control = folders(row)
    gone = control.parent / ".gone"
    gone.mkdir()
    control.rename(gone / row["id"])
    found = JobFolders(row["id"], str(job), str(control))
    answers = await remove_folders(site.gateway.lanes["here"].transport, [found])
    assert answers[row["id"]] == "it has no control folder"  # whose the job's folder is, nobody knows then
    shutil.rmtree(job)
    answers = await remove_folders(site.gateway.lanes["here"].transport, [found])
    assert answers[row["id"]] is None
    assert not gone.exists()


async def test_a_folder_that_is_a_store_s_place_stays(open_site) -> None:
    work = "{data}/work"
    site = await open_site(stores={"folder": {"kind": "directory", "path": work}})
    row = await ended_job(site, "true", days=31)
    await clean(site)
    assert folders(row)[0].exists()
    [problem] = await site.gateway.database.read(lambda c: list(c.scalars(select(cleanings.c.problem))))
    assert problem == "it is a place of one of its stores"
