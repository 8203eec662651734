"""Delivery of built images: jobs wait in staging, are told why, and others go on."""

from __future__ import annotations

import asyncio
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.compute import image_delivery
from gateway.db import events, jobs
from gateway.engine.images import ImageDelivery
from gateway.errors import StagingFailed, TargetUnreachable
from gateway.model.specification import Image
from gateway.model.states import State

BODY = b"hsqs" + os.urandom(100_000)
HEX = hashlib.sha256(BODY).hexdigest()
IMAGE = Image(ref="built:tool", digest=f"sha256:{HEX}")


@dataclass
class Bench:
    """The engine's part that delivers, the target's cache, and the scripts that were sent to the target."""

    site: Any
    images: ImageDelivery
    cache: Path
    sent: list[str]
    broken: list[Exception]

    @property
    def target(self) -> Any:
        return self.site.gateway.targets["here"]

    async def staging(self) -> Any:
        """Return the row of a new job that is being staged."""
        job_id = await self.site.submit("true")

        def begin(connection: Any) -> None:
            jobs.insert_attempt(connection, job_id, 1, f"gw-{job_id[:12]}")
            jobs.change_state(connection, job_id, State.STAGING)

        await self.site.gateway.database.write(begin)
        return await self.site.row(job_id)

    async def until_ready(self, row: Any) -> None:
        async with asyncio.timeout(20):
            while not self.images.place(row, self.target, IMAGE):
                await self.site.gateway.bell.wait("here", 0.1)

    def pieces(self) -> int:
        return sum("gw_image_piece /" in script or "gw_image_piece '" in script for script in self.sent)


@pytest.fixture
async def bench(site, monkeypatch) -> Bench:
    monkeypatch.setattr(image_delivery, "PIECE", 40_000)
    monkeypatch.setattr("gateway.engine.images.LINK_DELAYS", (0.05,))
    kept = site.gateway.data / "built-images" / f"{HEX}.sqfs"
    kept.parent.mkdir()
    kept.write_bytes(BODY)
    real = site.gateway.targets["here"].transport.run
    made = Bench(site, site.make().images, Path(site.gateway.targets["here"].image_cache), [], [])

    async def run(script: str, **options: Any) -> Any:
        made.sent.append(script)
        if made.broken:
            raise made.broken.pop()
        return await real(script, **options)

    monkeypatch.setattr(site.gateway.targets["here"].transport, "run", run)
    return made


async def test_an_image_is_brought_once_for_all_jobs_and_looked_at_once(bench: Bench) -> None:
    rows = [await bench.staging() for _ in range(3)]
    assert [bench.images.place(row, bench.target, IMAGE) for row in rows] == [None] * 3
    for row in rows:
        await bench.until_ready(row)
    assert (bench.cache / f"{HEX}.sqfs").read_bytes() == BODY
    assert bench.pieces() == 3
    before = len(bench.sent)
    assert bench.images.place(await bench.staging(), bench.target, IMAGE)
    assert len(bench.sent) == before


async def test_jobs_that_wait_are_told_how_far_their_image_is(bench: Bench) -> None:
    row = await bench.staging()
    await bench.until_ready(row)
    happened = await bench.site.gateway.database.read(lambda c: events.after(c, 0, job_id=row["id"]))
    pulls = [event["data"] for event in happened if event["kind"] == "pull"]
    assert pulls[-1] == {"bytes": len(BODY), "total": len(BODY), "source": "the gateway"}
    assert (await bench.site.row(row["id"]))["message"] == "the image tool is on its way to the target: 0 of 0 MB"


async def test_other_images_need_nothing(bench: Bench) -> None:
    row = await bench.staging()
    before = len(bench.sent)
    for ref, place in {
        "https://images.example.org/a.sif": "https://images.example.org/a.sif",
        "/images/a.sif": "/images/a.sif",
        "file:///images/a.sif": "/images/a.sif",
        "cvmfs:///images.example.org/a.sif": "/cvmfs/images.example.org/a.sif",
    }.items():
        assert bench.images.place(row, bench.target, Image(ref=ref)) == Image(ref=place)
    assert len(bench.sent) == before


async def test_a_broken_link_is_waited_for_as_long_as_it_takes(bench: Bench) -> None:
    bench.broken += [TargetUnreachable("the link is down")] * 5
    row = await bench.staging()
    await bench.until_ready(row)
    assert (bench.cache / f"{HEX}.sqfs").exists()


async def test_what_the_target_refuses_is_tried_some_times_and_then_told_to_every_job(bench: Bench) -> None:
    bench.cache.parent.mkdir(parents=True, exist_ok=True)
    bench.cache.write_text("a file is in the way")
    rows = [await bench.staging() for _ in range(2)]
    assert not any(bench.images.place(row, bench.target, IMAGE) for row in rows)
    for row in rows:
        with pytest.raises(StagingFailed, match=r"the image tool could not be put into .*nothing can be written"):
            await bench.until_ready(row)
    bench.cache.unlink()
    await bench.until_ready(rows[0])


async def test_an_image_that_is_not_kept_here_fails_with_what_to_do(bench: Bench) -> None:
    other = Image(ref="built:other", digest=f"sha256:{'0' * 64}")
    with pytest.raises(StagingFailed, match=r"not kept by this gateway any more \(build it: gateway cases build other"):
        bench.images.place(await bench.staging(), bench.target, other)


async def test_a_later_attempt_looks_again_because_the_image_may_have_gone(bench: Bench) -> None:
    row = await bench.staging()
    await bench.until_ready(row)
    (bench.cache / f"{HEX}.sqfs").unlink()
    second = {**row, "attempt": 2}
    assert not bench.images.place(second, bench.target, IMAGE)
    await bench.until_ready(second)
    assert (bench.cache / f"{HEX}.sqfs").exists()


async def test_a_delivery_that_no_job_waits_for_is_stopped(bench: Bench) -> None:
    bench.broken += [TargetUnreachable("the link is down")] * 1000
    row = await bench.staging()
    assert not bench.images.place(row, bench.target, IMAGE)
    bench.images.keep("here", [row["id"]])
    assert len(bench.images._under_way) == 1
    bench.images.keep("elsewhere", [])
    assert len(bench.images._under_way) == 1
    bench.images.keep("here", [])
    assert bench.images._under_way == {}
    await bench.images.close()
    assert not (bench.cache / f"{HEX}.sqfs").exists()


async def test_a_job_whose_image_is_on_its_way_makes_no_other_wait(bench: Bench) -> None:
    engine = bench.site.engine
    refused = asyncio.Event()
    real = bench.target.transport.run

    async def run(script: str, **options: Any) -> Any:
        if "gw_image_look" in script:
            await refused.wait()
        return await real(script, **options)

    bench.target.transport.run = run
    await engine.start()
    waits = await bench.site.submit("true", image=IMAGE.model_dump(mode="json"))
    await bench.site.wait(waits, lambda row: row["state"] == State.STAGING)
    other = await bench.site.submit("true")
    assert (await bench.site.ended(other))["state"] == "succeeded"
    assert (await bench.site.row(waits))["state"] == State.STAGING
    await bench.site.cancel(waits)
    assert (await bench.site.ended(waits))["state"] == "cancelled"
    refused.set()
