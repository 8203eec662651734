"""Credentials of waiting and running jobs are renewed; those of a run that is over are not made again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway.compute.transport.base import RcloneRemote
from gateway.db import jobs
from gateway.errors import StoreError


async def make_due(site, job_id) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    await site.gateway.database.write(lambda c: jobs.set_attempt(c, job_id, 1, renew_at=past))
    site.gateway.bell.ring("here")


async def renewed(site, job_id) -> datetime:
    now = datetime.now(UTC)
    row = await site.wait(job_id, lambda row: row["a_renew_at"] > now)
    return row["a_renew_at"] - now


def count_remotes(site, monkeypatch) -> list[timedelta]:
    """Give each remote a number, and remember for how long it was asked to hold."""
    store, lives = site.gateway.stores["folder"], []
    real = store.push_remote

    async def push_remote(place, valid_for, *, target):
        lives.append(valid_for)
        remote = await real(place, valid_for, target=target)
        return RcloneRemote({**remote.options, "description": f"number {len(lives)}"}, remote.root, remote.arguments)

    monkeypatch.setattr(store, "push_remote", push_remote)
    return lives


async def test_a_running_job_gets_new_credentials_and_nobody_else_can_read_them(site, monkeypatch) -> None:
    lives = count_remotes(site, monkeypatch)
    await site.start()
    job_id = await site.submit("echo x >out; while [ ! -e done ]; do sleep 0.1; done")
    row = await site.wait(job_id, lambda row: row["a_payload_started_at"])
    file = Path(row["a_control_folder"], "credentials")
    assert "=number 1\n" in file.read_text()
    await make_due(site, job_id)
    assert await renewed(site, job_id) > timedelta(hours=11)
    assert "=number 2\n" in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    assert min(lives) >= timedelta(seconds=120 + 20) + timedelta(hours=24)
    Path(row["a_job_folder"], "done").touch()
    assert (await site.ended(job_id))["state"] == "succeeded"
    assert not file.exists()


async def test_credentials_that_a_run_has_removed_are_not_made_again(site, monkeypatch) -> None:
    lives = count_remotes(site, monkeypatch)
    await site.start()
    job_id = await site.submit("while [ ! -e done ]; do sleep 0.1; done")
    row = await site.wait(job_id, lambda row: row["a_payload_started_at"])
    file = Path(row["a_control_folder"], "credentials")
    before = file.read_bytes()
    file.unlink()
    await make_due(site, job_id)
    await renewed(site, job_id)
    assert len(lives) == 2
    assert not file.exists()
    file.write_bytes(before)
    Path(row["a_job_folder"], "done").touch()
    await site.ended(job_id)


async def test_a_renewal_that_fails_is_tried_again_soon_and_harms_nothing(site, monkeypatch) -> None:
    await site.start()
    job_id = await site.submit("while [ ! -e done ]; do sleep 0.1; done")
    row = await site.wait(job_id, lambda row: row["a_payload_started_at"])
    file = Path(row["a_control_folder"], "credentials")
    before = file.read_bytes()

    async def push_remote(*_arguments, **_options):
        raise StoreError("away")

    monkeypatch.setattr(site.gateway.stores["folder"], "push_remote", push_remote)
    await make_due(site, job_id)
    assert await renewed(site, job_id) < timedelta(hours=1)
    assert file.read_bytes() == before
    Path(row["a_job_folder"], "done").touch()
    assert (await site.ended(job_id))["state"] == "succeeded"
