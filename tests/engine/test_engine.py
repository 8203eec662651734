"""The engine in one process: nothing sticks, nothing is hidden by another, nothing is shown without evidence."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from types import SimpleNamespace

from sqlalchemy import update

from gateway.api import site as site_routes
from gateway.db import events, jobs
from gateway.db.database import DatabaseUnavailable
from gateway.db.tables import jobs as jobs_table
from gateway.engine import stager
from gateway.errors import LoginRefused, NotFound, RemoteTimeout, StoreError, TargetUnreachable
from gateway.model.states import State

RELAY = {"kind": "directory", "path": "{data}/relayed", "transfer": "relay"}
FOLDER = {"kind": "directory", "path": "{data}/outputs"}


class Cut:
    """A transport's `run` that can be cut off, and that remembers what was sent."""

    def __init__(self, site, monkeypatch, target="here") -> None:
        self.real = site.gateway.targets[target].transport.run
        self.error = None
        self.lose = 0
        self.kinds: list[str] = []
        monkeypatch.setattr(site.gateway.targets[target].transport, "run", self.run)

    async def run(self, script, **options):
        kind = "submit" if "exec bash " in script else "find" if "gw_name" in script else "other"
        self.kinds.append(kind)
        if self.error is not None:
            raise self.error
        if kind == "submit" and self.lose:
            self.lose -= 1
            raise RemoteTimeout("no answer")
        return await self.real(script, **options)


async def spoil(site, job_id) -> None:
    """Give a job a specification that this version cannot read."""
    spoilt = update(jobs_table).where(jobs_table.c.id == job_id).values(spec={"strange": 1})
    await site.gateway.database.write(lambda c: c.execute(spoilt))


async def test_a_job_on_the_host_runs_to_its_end(site) -> None:
    await site.start()
    job_id = await site.submit("echo hello >out")
    row = await site.ended(job_id)
    assert (row["state"], row["exit_code"], row["message"]) == ("succeeded", 0, None)
    assert (await site.stores(job_id))["folder"]["state"] == "complete"


async def test_a_second_attempt_runs_where_a_retry_was_asked_for(site) -> None:
    await site.start()
    retry = {"attempts": 2, "reasons": ["exit_code"]}
    job_id = await site.submit("[ -e ran ] || { touch ran; exit 3; }", retry=retry)
    row = await site.ended(job_id)
    assert (row["state"], row["attempt"], row["exit_code"]) == ("succeeded", 2, 0)
    attempts = (await site.gateway.jobs.attempts(job_id, site.gateway.owner)).items
    assert [attempt.final["exit_code"] for attempt in attempts] == [3, 0]
    assert (await site.stores(job_id))["folder"]["state"] == "complete"


# --- One bad job


async def test_a_job_that_cannot_be_prepared_fails_alone(site) -> None:
    bad, good = await site.submit("true"), await site.submit("true")
    await spoil(site, bad)
    await site.start()
    assert (await site.ended(good))["state"] == "succeeded"
    row = await site.ended(bad)
    assert (row["state"], row["reason"]) == ("failed", "staging_failed")


async def test_a_job_whose_store_is_configured_no_more_fails_alone(open_site) -> None:
    site = await open_site(stores={"folder": FOLDER, "gone": RELAY})
    bad, good = await site.submit("true", stores=["gone"]), await site.submit("true")
    site.gateway.stores.pop("gone")
    await site.start()
    assert (await site.ended(good))["state"] == "succeeded"
    row = await site.ended(bad)
    assert (row["state"], row["message"]) == ("failed", "store gone is not configured any more")


async def test_a_store_that_is_taken_away_while_a_job_runs_leaves_it_its_verdict(open_site) -> None:
    site = await open_site(stores={"folder": FOLDER, "gone": RELAY})
    await site.start()
    job_id = await site.submit("echo x >out; sleep 1", stores=["gone", "folder"])
    await site.wait(job_id, lambda row: row["state"] == "running")
    site.gateway.stores.pop("gone")
    assert (await site.ended(job_id))["state"] == "succeeded"
    stores = await site.stores(job_id)
    assert stores["folder"]["state"] == "complete"
    assert (stores["gone"]["state"], stores["gone"]["problem"]) == ("partial", "store gone is not configured any more")


async def test_a_loop_outlives_a_database_that_is_away_while_a_failure_is_told(site, monkeypatch) -> None:
    engine = site.make()
    (driver,) = engine.drivers
    calls = []

    async def failing(*_args):
        calls.append(1)
        if len(calls) == 1:
            raise TargetUnreachable("away")
        if len(calls) == 2:
            raise DatabaseUnavailable("locked")
        return await real()

    real = driver._live
    monkeypatch.setattr(driver, "_live", failing)
    job_id = await site.submit("true")
    await engine.start()
    assert (await site.ended(job_id))["state"] == "succeeded"


async def test_a_slow_staging_does_not_keep_others_from_being_seen(site, monkeypatch) -> None:
    await site.start()
    running = await site.submit("sleep 1")
    await site.wait(running, lambda row: row["state"] == "running")
    real, release = stager.stage, asyncio.Event()

    async def slow(transport, attempts):
        await release.wait()
        return await real(transport, attempts)

    monkeypatch.setattr(stager, "stage", slow)
    large, unwanted = await site.submit("true"), await site.submit("true")
    assert (await site.ended(running))["state"] == "succeeded"
    await site.cancel(unwanted)
    assert (await site.ended(unwanted))["state"] == "cancelled"
    assert (await site.row(large))["state"] == "staging"
    release.set()
    assert (await site.ended(large))["state"] == "succeeded"
    assert (await site.row(unwanted))["a_submit_started_at"] is None


# --- Targets that cannot be seen


async def test_a_target_that_cannot_be_reached_makes_jobs_unknown_and_never_lost(site, monkeypatch) -> None:
    await site.start()
    cut = Cut(site, monkeypatch)
    job_id = await site.submit("sleep 2")
    await site.wait(job_id, lambda row: row["state"] == "running")
    cut.error = TargetUnreachable("the link is down")
    row = await site.wait(job_id, lambda row: row["state"] == "unknown")
    assert row["last_state"] == "running"
    assert site.gateway.board["here"].state == "unreachable"
    await asyncio.sleep(2.5)  # longer than all graces
    assert (await site.row(job_id))["state"] == "unknown"
    cut.error = None
    assert (await site.ended(job_id))["state"] == "succeeded"
    assert site.gateway.board["here"].state == "ok"


async def test_jobs_are_unknown_while_only_the_question_about_them_is_not_answered(site, monkeypatch) -> None:
    await site.start()
    cut = Cut(site, monkeypatch)
    real = cut.real

    async def no_queries(script, **options):
        if "gw_records" in script and cut.lose:
            raise RemoteTimeout("a remote command was not done in time")
        return await real(script, **options)

    job_id = await site.submit("sleep 2")
    await site.wait(job_id, lambda row: row["state"] == "running")
    cut.real, cut.lose = no_queries, 1
    await site.wait(job_id, lambda row: row["state"] == "unknown")
    assert site.gateway.board["here"].state == "unreachable"
    cut.lose = 0
    assert (await site.ended(job_id))["state"] == "succeeded"


async def test_a_target_that_never_answered_is_not_said_to_have_answered(site, monkeypatch) -> None:
    await site.submit("true")
    Cut(site, monkeypatch).error = TargetUnreachable("away")
    await site.start()
    async with asyncio.timeout(10):
        while (status := site.gateway.board["here"]).state == "unknown":
            await asyncio.sleep(0.05)
    assert (status.state, status.observed_at) == ("unreachable", None)


async def test_a_refused_login_is_tried_again_when_a_person_asks_for_a_check(site, monkeypatch) -> None:
    target = site.gateway.targets["here"]
    cut = Cut(site, monkeypatch)
    cut.error = LoginRefused("no key was taken")
    monkeypatch.setattr(target.transport, "reset", lambda: setattr(cut, "error", None))
    await site.start()
    job_id = await site.submit("true")
    async with asyncio.timeout(10):
        while site.gateway.board["here"].state != "needs_login":
            await asyncio.sleep(0.05)
    await site_routes.check_target(site.gateway, SimpleNamespace(path={"name": "here"}, owner=site.gateway.owner))
    assert (await site.ended(job_id))["state"] == "succeeded"


async def test_finalising_without_its_target_is_unknown_and_goes_on_later(site, monkeypatch) -> None:
    engine = await site.start()
    finaliser = engine.drivers[0].around.finaliser
    away, real = [True], finaliser._fetch_records

    async def fetch(row, target):
        if away:
            raise TargetUnreachable("the link is down")
        return await real(row, target)

    monkeypatch.setattr(finaliser, "_fetch_records", fetch)
    job_id = await site.submit("echo x >out")
    row = await site.wait(job_id, lambda row: row["state"] == "unknown")
    assert row["last_state"] == "finalizing"
    away.clear()
    assert (await site.ended(job_id))["state"] == "succeeded"
    assert (await site.stores(job_id))["folder"]["state"] == "complete"


async def test_jobs_of_a_target_that_is_configured_no_more_are_unknown_and_can_be_abandoned(open_site) -> None:
    target = {"poll_interval": 0.1, "runtime": {"allow_host": True}}
    site = await open_site(targets={"here": target, "gone": target})
    running, accepted = await site.submit("true", target="gone"), await site.submit("true", target="gone")

    def move(connection) -> None:
        jobs.insert_attempt(connection, running, 1, "gw-0123456789ab")
        for state in (State.STAGING, State.QUEUED, State.RUNNING):
            jobs.change_state(connection, running, state)

    await site.gateway.database.write(move)
    site.gateway.lanes.pop("gone")
    await site.start()
    assert (await site.row(running))["state"] == "unknown"
    assert (await site.gateway.jobs.abandon(running, site.gateway.owner)).state == "lost"
    assert (await site.gateway.jobs.cancel(accepted, site.gateway.owner)).state == "cancelled"


async def test_a_lost_job_that_leaves_its_final_record_is_not_lost(site) -> None:
    await site.start()
    job_id = await site.submit("sleep 1; echo x >out")
    await site.wait(job_id, lambda row: row["state"] == "running" and row["a_payload_started_at"])

    def lose(connection) -> None:
        jobs.change_state(connection, job_id, State.UNKNOWN)
        jobs.change_state(connection, job_id, State.LOST, reason="abandoned", message="given up")

    await site.gateway.database.write(lose)
    row = await site.wait(job_id, lambda row: row["state"] == "succeeded")
    assert (row["reason"], row["message"], row["exit_code"]) == (None, None, 0)
    assert (await site.states(job_id))[-3:] == ["lost", "finalizing", "succeeded"]


async def test_background_passes_end_with_the_last_job(open_site, monkeypatch) -> None:
    site = await open_site(stores={"folder": RELAY})
    engine = await site.start()
    cut = Cut(site, monkeypatch)
    job_id = await site.submit("sleep 5", sync={"interval": 1, "reserve": 20})
    await site.wait(job_id, lambda row: row["a_payload_started_at"])
    passes = engine.drivers[0].passes
    async with asyncio.timeout(10):
        while not passes._tasks:
            await asyncio.sleep(0.05)
    cut.error = TargetUnreachable("the link is down")
    await site.wait(job_id, lambda row: row["state"] == "unknown")
    await site.gateway.jobs.abandon(job_id, site.gateway.owner)
    async with asyncio.timeout(10):
        while passes._tasks:
            await asyncio.sleep(0.05)
    cut.error = None
    assert (await site.ended(job_id))["state"] == "lost"
    await site.wait(job_id, lambda row: row["state"] == "succeeded")


# --- Answers that were lost


async def test_a_lost_submission_is_looked_for_before_it_is_sent_again(site, monkeypatch) -> None:
    cut = Cut(site, monkeypatch)
    cut.lose = 1
    await site.start()
    job_id = await site.submit("echo run >>runs")
    row = await site.ended(job_id)
    assert (row["state"], row["attempt"]) == ("succeeded", 1)
    sent = [kind for kind in cut.kinds if kind != "other"]
    assert (sent[0], sent[-1], sent.count("submit")) == ("submit", "submit", 2)
    assert sent.count("find") > 0


async def test_a_restarted_gateway_looks_for_a_submission_however_long_ago_it_was_sent(site, monkeypatch) -> None:
    job_id = await site.submit("true")
    cut = Cut(site, monkeypatch)
    cut.lose = 1
    await site.start()
    await site.wait(job_id, lambda row: row["a_submit_started_at"])
    await site.stop()
    await asyncio.sleep(0.6)  # longer than the grace time
    cut.kinds.clear()
    await site.start()
    assert (await site.ended(job_id))["state"] == "succeeded"
    assert next(kind for kind in cut.kinds if kind != "other") == "find"


async def test_a_cancelled_job_whose_submission_is_found_nowhere_does_not_stay_in_staging(site, monkeypatch) -> None:
    cut = Cut(site, monkeypatch)
    cut.lose = 1000
    await site.start()
    job_id = await site.submit("echo run >>runs")
    row = await site.wait(job_id, lambda row: row["a_submit_started_at"] and row["message"])
    assert "answer to the submission was lost" in row["message"]
    await site.cancel(job_id)
    assert (await site.ended(job_id))["state"] == "cancelled"
    assert Path(row["a_control_folder"], "control").read_text() == "stop\n"


async def test_a_control_folder_that_is_gone_before_the_submission_is_staged_again(site, monkeypatch) -> None:
    real, removed = stager.stage, []

    async def stage(transport, attempts):
        outcomes = await real(transport, attempts)
        if not removed:
            removed.append(attempts[0].control_folder)
            shutil.rmtree(removed[0])
        return outcomes

    monkeypatch.setattr(stager, "stage", stage)
    await site.start()
    job_id = await site.submit("true")
    assert (await site.ended(job_id))["state"] == "succeeded"
    assert len(removed) == 1


# --- Finalising


async def test_the_nodes_claim_counts_also_after_the_store_was_away_for_a_moment(site, monkeypatch) -> None:
    store, calls = site.gateway.stores["folder"], []
    real = store.list

    def listing(*arguments):
        calls.append(1)
        if len(calls) == 1:
            raise StoreError("away")
        return real(*arguments)

    monkeypatch.setattr(store, "list", listing)
    await site.start()
    job_id = await site.submit("echo x >out")
    assert (await site.ended(job_id))["state"] == "succeeded"
    assert (await site.stores(job_id))["folder"]["state"] == "complete"


async def test_a_store_that_is_down_holds_up_no_job_of_another_store(open_site, monkeypatch) -> None:
    site = await open_site(stores={"folder": FOLDER, "down": {"kind": "directory", "path": "{data}/down"}})

    def listing(*_arguments):
        raise StoreError("down")

    monkeypatch.setattr(site.gateway.stores["down"], "list", listing)
    engine = site.make()
    finaliser = engine.drivers[0].around.finaliser
    finaliser.timing = type(finaliser.timing)(rescue_delays=(600.0,))
    await engine.start()
    held = [await site.submit("true", stores=["down"]) for _ in range(5)]
    for job_id in held:
        await site.wait(job_id, lambda row: row["state"] == "finalizing")
    good = await site.submit("true")
    assert (await site.ended(good))["state"] == "succeeded"
    assert {(await site.row(job_id))["state"] for job_id in held} == {"finalizing"}


async def test_an_object_that_vanished_before_it_was_annotated_ends_in_partial_outputs(site, monkeypatch) -> None:
    async def annotate(*_arguments):
        raise NotFound("it is gone")

    monkeypatch.setattr(site.gateway.stores["folder"], "annotate", annotate)
    await site.start()
    job_id = await site.submit("echo x >out")
    assert (await site.ended(job_id))["state"] == "succeeded"
    store = (await site.stores(job_id))["folder"]
    assert (store["state"], store["problem"]) == ("partial", "it is gone")


async def test_a_job_that_cannot_be_settled_ends_all_the_same_with_its_verdict(site, monkeypatch) -> None:
    engine = await site.start()
    finaliser, tries = engine.drivers[0].around.finaliser, []

    async def broken(*_arguments):
        tries.append(1)
        raise ValueError("a mistake in the gateway")

    monkeypatch.setattr(finaliser, "_fetch_records", broken)
    job_id = await site.submit("exit 3")
    row = await site.ended(job_id)
    assert (row["state"], row["reason"], row["exit_code"], len(tries)) == ("failed", "exit_code", 3, 2)
    store = (await site.stores(job_id))["folder"]
    assert store["state"] == "partial"
    assert store["problem"]


async def test_settling_what_is_settled_changes_nothing(site) -> None:
    engine = await site.start()
    job_id = await site.submit("true")
    await site.ended(job_id)
    before = await site.gateway.database.read(events.last_sequence)
    driver = engine.drivers[0]
    await driver.around.finaliser.settle(job_id, 1, driver.target)
    await driver.around.finaliser.give_up(job_id, 1)
    assert await site.gateway.database.read(events.last_sequence) == before
