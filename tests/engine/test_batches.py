"""What many jobs cost their target: commands and bytes, and that staging goes on while others are submitted."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from gateway.engine import launch
from gateway.engine.launch import Launcher

MANY = {"here": {"poll_interval": 0.1, "runtime": {"allow_host": True}, "scheduler": {"kind": "direct", "cpus": 9}}}
RELAY = {"folder": {"kind": "directory", "path": "{data}/relayed", "transfer": "relay"}}
KINDS = {"gw_library_take": "library", "gw_stage ": "stage", "exec bash ": "submit", "gw_tool_take": "rclone"}


class Told:
    """What was sent to the target, in its order."""

    def __init__(self, site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        transport = site.gateway.targets["here"].transport
        self.real = transport.run
        self.order: list[str] = []
        self.scripts: list[int] = []
        monkeypatch.setattr(transport, "run", self.run)

    async def run(self, script: str, **options: Any) -> Any:
        last = script.rstrip().rpartition("\n")[2]
        kind = next((name for mark, name in KINDS.items() if mark in (script if name == "submit" else last)), "other")
        self.order.append(kind)
        result = await self.real(script, **options)
        self.order.append(f"{kind} done")
        return result

    @property
    def counts(self) -> Counter[str]:
        return Counter(self.order)


async def test_many_jobs_are_staged_by_one_command_and_submitted_by_one(open_site, monkeypatch) -> None:
    site = await open_site(stores=RELAY, targets=MANY)
    told = Told(site, monkeypatch)
    ids = [await site.submit("true") for _ in range(6)]
    await site.start()
    for job_id in ids:
        await site.wait(job_id, lambda row: row["a_submitted_at"])
    found = told.counts
    assert (found["library"], found["stage"], found["submit"]) == (1, 1, 1)


async def test_the_libraries_go_to_a_target_once_and_no_script_holds_them(open_site, monkeypatch) -> None:
    site = await open_site(stores=RELAY, targets=MANY)
    told = Told(site, monkeypatch)
    await site.start()
    for _ in range(2):
        job_id = await site.submit("true")
        assert (await site.ended(job_id))["state"] == "succeeded"
    assert told.counts["library"] == 1
    jobs, owner = site.gateway.jobs, site.gateway.owner
    script, libraries = await jobs.script(job_id, owner), await jobs.script(job_id, owner, libraries=True)
    assert len(script.encode()) < 6000 < len(libraries)
    assert "gw_main() {" in libraries
    assert "gw_main() {" not in script


async def test_a_batch_is_staged_while_the_one_before_is_submitted(open_site, monkeypatch) -> None:
    site = await open_site(stores=RELAY, targets=MANY)
    told, staged = Told(site, monkeypatch), asyncio.Event()
    send, count = Launcher._send, 0

    async def slow(self: Launcher, *arguments: Any) -> None:
        nonlocal count
        count += 1
        if count == 1:  # this answer comes once the next batch is there
            async with asyncio.timeout(20):
                while told.counts["stage done"] < 2:
                    await asyncio.sleep(0.01)
            staged.set()
        await send(self, *arguments)

    monkeypatch.setattr(Launcher, "_send", slow)
    site.fast = type(site.fast)(**{**vars(site.fast), "batch": 2})
    ids = [await site.submit("true") for _ in range(4)]
    await site.start(site.fast)
    for job_id in ids:
        await site.wait(job_id, lambda row: row["a_submitted_at"])
    assert staged.is_set()


async def test_a_submission_that_fails_ends_neither_the_one_beside_it_nor_what_is_staged(
    open_site, monkeypatch
) -> None:
    site = await open_site(stores=RELAY, targets=MANY)
    monkeypatch.setattr(launch, "TOGETHER", 1)
    send, failed = Launcher._send, []

    async def broken(self: Launcher, rows: Any, units: Any, facts: Any) -> None:
        if not failed:
            failed.append(units[0].name)
            raise RuntimeError("this half does not get through")
        await send(self, rows, units, facts)

    monkeypatch.setattr(Launcher, "_send", broken)
    ids = [await site.submit("true") for _ in range(4)]
    await site.start()
    for job_id in ids:
        assert (await site.ended(job_id))["state"] == "succeeded"
    assert len(failed) == 1
