"""Further attempts: after which reasons, when, each with its own records, and what a cancel in between means."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from gateway.engine import stager
from gateway.engine.retries import pause, wanted
from gateway.engine.timing import Timing
from gateway.engine.verdict import Ending
from gateway.errors import RemoteCommandFailed, StagingFailed
from gateway.model.states import State


def failed(reason: str) -> Ending:
    return Ending(State.FAILED, reason, None, None)


def test_only_listed_reasons_and_only_failures_are_tried_again() -> None:
    specification = {"retry": {"attempts": 3, "reasons": ["node_failed"]}}
    assert wanted(specification, 2, failed("node_failed"))
    assert not wanted(specification, 3, failed("node_failed"))
    assert not wanted(specification, 1, failed("exit_code"))
    assert not wanted(specification, 1, Ending(State.CANCELLED, "node_failed", None, None))
    assert not wanted({}, 1, failed("node_failed"))


def test_the_pause_grows_and_the_last_one_stays() -> None:
    timing = Timing(retry_delays=(1.0, 5.0))
    assert [pause(number, timing) for number in (1, 2, 3)] == [timedelta(seconds=s) for s in (1, 5, 5)]


async def test_each_attempt_has_its_own_control_folder_and_record(site) -> None:
    await site.start()
    script = "n=$(cat n 2>/dev/null || echo 0); echo $((n+1)) >n; echo this is $((n+1)); exit $((3 - n))"
    job_id = await site.submit(script, retry={"attempts": 4, "reasons": ["exit_code"]})
    row = await site.ended(job_id)
    assert (row["state"], row["attempt"], row["message"]) == ("succeeded", 4, None)
    found = (await site.gateway.jobs.attempts(job_id, site.gateway.owner)).items
    assert [(item.state, item.reason, item.final["exit_code"]) for item in found] == [
        ("failed", "exit_code", 3),
        ("failed", "exit_code", 2),
        ("failed", "exit_code", 1),
        ("succeeded", None, 0),
    ]
    assert len({item.scheduler_id for item in found}) == len({item.submission for item in found}) == 4
    control = Path(row["a_control_folder"]).parent
    assert [(control / str(n) / "payload.out").read_text() for n in (1, 2, 3, 4)] == [
        f"this is {n}\n" for n in (1, 2, 3, 4)
    ]


async def test_a_job_cancelled_between_two_attempts_ends_at_once_with_the_outputs_of_the_last(site) -> None:
    await site.start(replace(site.fast, retry_delays=(600.0,)))
    job_id = await site.submit("echo kept >result; exit 3", retry={"attempts": 2, "reasons": ["exit_code"]})
    row = await site.wait(job_id, lambda row: row["message"])
    assert row["state"] == State.FINALIZING
    assert "attempt 1 failed (exit_code: the payload ended with exit code 3); the next one begins at" in row["message"]
    await site.stop()
    await site.start(replace(site.fast, retry_delays=(600.0,)))
    await site.cancel(job_id)
    row = await site.ended(job_id)
    assert (row["state"], row["reason"], row["attempt"]) == ("cancelled", "cancelled_by_user", 1)
    assert (await site.stores(job_id))["folder"]["state"] == "complete"


async def test_what_never_got_past_staging_is_tried_again_where_that_was_asked_for(site, monkeypatch) -> None:
    prepare, broken = stager.prepare, 1

    async def failing(*arguments: Any) -> Any:
        nonlocal broken
        if broken:
            broken -= 1
            raise StagingFailed("a bad moment")
        return await prepare(*arguments)

    monkeypatch.setattr(stager, "prepare", failing)
    await site.start()
    job_id = await site.submit("true", retry={"attempts": 2, "reasons": ["staging_failed"]})
    row = await site.ended(job_id)
    assert (row["state"], row["attempt"], row["message"]) == ("succeeded", 2, None)
    first, _ = (await site.gateway.jobs.attempts(job_id, site.gateway.owner)).items
    assert (first.state, first.reason, first.message) == ("failed", "staging_failed", "a bad moment")


async def test_what_the_target_could_not_take_is_staged_again(site, monkeypatch) -> None:
    prepare, broken = stager.prepare, 2

    async def failing(*arguments: Any) -> Any:
        nonlocal broken
        if broken:
            broken -= 1
            raise RemoteCommandFailed("No space left on device")
        return await prepare(*arguments)

    monkeypatch.setattr(stager, "prepare", failing)
    await site.start(replace(site.fast, staging_delays=(0.1, 0.1)))
    row = await site.ended(await site.submit("true"))
    assert (row["state"], row["attempt"], row["message"]) == ("succeeded", 1, None)


async def test_a_script_that_was_killed_leaves_nothing_running_when_the_next_attempt_begins(site, tmp_path) -> None:
    await site.start()
    runs = tmp_path / "runs"
    script = f"echo run >>{runs}; [ $(wc -l <{runs}) = 2 ] || {{ setsid sleep 4711 & sleep 4711; }}"
    job_id = await site.submit(script, retry={"attempts": 2, "reasons": ["node_failed"]})
    row = await site.wait(job_id, lambda row: row["a_payload_started_at"])
    while len(sleepers()) < 2:
        await asyncio.sleep(0.05)
    os.kill(int(row["a_scheduler_id"].split(".")[0]), signal.SIGKILL)
    row = await site.ended(job_id)
    assert (row["state"], row["attempt"]) == ("succeeded", 2)
    assert sleepers() == []
    first, _ = (await site.gateway.jobs.attempts(job_id, site.gateway.owner)).items
    assert (first.state, first.reason, first.final) == ("failed", "node_failed", None)
    assert runs.read_text() == "run\nrun\n"


async def test_a_job_whose_machine_was_started_again_is_tried_again_where_that_was_asked_for(
    site, monkeypatch, tmp_path
) -> None:
    await site.start()
    runs = tmp_path / "runs"
    script = f"echo run >>{runs}; [ $(wc -l <{runs}) = 2 ] || sleep 600"
    job_id = await site.submit(script, retry={"attempts": 2, "reasons": ["node_failed"]})
    row = await site.wait(job_id, lambda row: row["a_payload_started_at"])
    pid, started, _ = row["a_scheduler_id"].split(".")
    await site.stop()
    os.killpg(int(pid), signal.SIGKILL)  # as the machine's end does: everything, without a word
    for sleeper in sleepers("600"):
        os.kill(sleeper, signal.SIGKILL)
    earlier = f"{pid}.{started}.00000000"
    claim = Path(row["a_control_folder"]) / "claim"
    claim.write_text(claim.read_text().replace(row["a_scheduler_id"], earlier))
    await site.start()
    row = await site.ended(job_id)
    assert (row["state"], row["attempt"]) == ("succeeded", 2)
    first, _ = (await site.gateway.jobs.attempts(job_id, site.gateway.owner)).items
    assert first.reason == "node_failed"
    assert "the machine was started again" in first.message


async def test_a_script_that_hears_nothing_is_ended_by_force(site) -> None:
    await site.start(replace(site.fast, cancel_grace=0.3))
    job_id = await site.submit("sleep 4712 & setsid sleep 4712 & wait")
    row = await site.wait(job_id, lambda row: row["a_payload_started_at"])
    while len(sleepers("4712")) < 2:
        await asyncio.sleep(0.05)
    os.kill(int(row["a_scheduler_id"].split(".")[0]), signal.SIGSTOP)
    await site.cancel(job_id)
    row = await site.ended(job_id)
    assert (row["state"], row["reason"]) == ("cancelled", "cancelled_by_user")
    assert sleepers("4712") == []


def sleepers(seconds: str = "4711") -> list[int]:
    """Return the numbers of living processes ``sleep SECONDS``."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if entry.read_bytes() == b"sleep\0" + seconds.encode() + b"\0":
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return found
