"""Uploads and outputs of other jobs as inputs, on a gateway with real stores; nothing drives its jobs."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.db import jobs, outputs
from gateway.engine.inputs import InputFiles
from gateway.engine.stored_inputs import StoredInputs
from gateway.errors import GatewayError, InvalidRequest, NotFound, StagingFailed
from gateway.jobs.uploads import Announced
from gateway.model.specification import Input
from gateway.model.states import State
from gateway.storage.stores.base import Place
from gateway.urls import UrlOpener
from tests.engine.conftest import EngineSite

DATA = b"mesh" * 100_000
DIGEST = "sha256:" + hashlib.sha256(DATA).hexdigest()


async def body(data: bytes) -> AsyncIterator[bytes]:
    yield data


@pytest.fixture
async def files(site: EngineSite, tmp_path: Path) -> AsyncIterator[InputFiles]:
    gateway = site.gateway
    stored = StoredInputs(gateway.database, gateway.stores, gateway.uploads.folder)
    made = InputFiles(UrlOpener([]), tmp_path / "inputs", gateway.bell, stored)
    made.clear()
    yield made
    await made.close()
    assert list((tmp_path / "inputs").iterdir()) == []


async def get(site: EngineSite, files: InputFiles, item: Input, owner: str | None = None) -> bytes:
    """Tick by the bell until the file is there, and read it."""
    owner = owner or site.gateway.owner
    while (found := files.ready("job", "t", [item], owner)) is None:
        assert await site.gateway.bell.wait("t", 20)
    return found[item.path].read_bytes()


async def job_with_output(site: EngineSite, data: bytes = DATA, **row: Any) -> str:
    """A job that runs, with a final output."""
    gateway = site.gateway
    job_id = await site.submit("true")
    place = Place(job_id, gateway.owner)
    await gateway.stores["folder"].prepare(place)
    await gateway.stores["folder"].write(place, "VTK/last", data, "text/plain")
    values = {"path": "VTK/last", "size": len(data), "state": "final", "attempt": 1, "digest": DIGEST, **row}
    await gateway.database.write(lambda c: outputs.upsert(c, job_id, "folder", [outputs.OutputRow(**values)]))
    await move(site, job_id, State.STAGING, State.RUNNING, State.FINALIZING)
    return job_id


async def move(site: EngineSite, job_id: str, *states: State) -> None:
    def change(connection: Any) -> None:
        for state in states:
            jobs.change_state(connection, job_id, state)

    await site.gateway.database.write(change)


async def test_an_upload_becomes_a_file_and_survives_its_removal(site: EngineSite, files: InputFiles) -> None:
    uploads = site.gateway.uploads
    await uploads.create(site.gateway.owner, Announced(), body(DATA))
    item = Input(path="a", upload=DIGEST)
    assert await get(site, files, item) == DATA
    await uploads.delete(DIGEST, site.gateway.owner)
    assert await get(site, files, item) == DATA


async def test_an_upload_of_somebody_else_is_not_there(site: EngineSite, files: InputFiles) -> None:
    await site.gateway.uploads.create("other", Announced(), body(DATA))
    with pytest.raises(StagingFailed, match=r"input a: the upload .* is not there any more"):
        await get(site, files, Input(path="a", upload=DIGEST))


async def test_an_output_is_copied_once_its_job_has_ended(site: EngineSite, files: InputFiles) -> None:
    job_id = await job_with_output(site)
    item = Input(path="start", job=job_id, output="VTK/last")
    assert files.ready("job", "t", [item], site.gateway.owner) is None
    getting = asyncio.create_task(get(site, files, item))
    await asyncio.sleep(0)
    assert not getting.done()
    await move(site, job_id, State.SUCCEEDED)
    assert await getting == DATA


@pytest.mark.parametrize(
    ("row", "path", "why"),
    [
        ({}, "VTK/none", "has no final output"),
        ({"state": "partial"}, "VTK/last", "has no final output"),
        ({"digest": "sha256:" + "0" * 64}, "VTK/last", "is not what was stored"),
        ({"size": 7}, "VTK/last", "is not what was stored"),
    ],
)
async def test_an_output_that_is_not_what_was_stored_fails_the_job(
    site: EngineSite, files: InputFiles, row: dict[str, Any], path: str, why: str
) -> None:
    job_id = await job_with_output(site, **row)
    await move(site, job_id, State.SUCCEEDED)
    with pytest.raises(StagingFailed, match=f"input start: .*{why}"):
        await get(site, files, Input(path="start", job=job_id, output=path))


async def test_an_output_of_somebody_else_is_not_there(site: EngineSite, files: InputFiles) -> None:
    job_id = await job_with_output(site)
    await move(site, job_id, State.SUCCEEDED)
    with pytest.raises(GatewayError, match="is not there any more"):
        await get(site, files, Input(path="start", job=job_id, output="VTK/last"), owner="other")


async def refused(site: EngineSite, *inputs: dict[str, Any], owner: str | None = None, **more: Any) -> list[str]:
    with pytest.raises(InvalidRequest) as caught:
        request = {"image": None, "script": "true", "inputs": list(inputs), **more}
        await site.gateway.jobs.submit(request, owner or site.gateway.owner)
    return [f"{error.pointer} {error.detail}" for error in caught.value.errors]


async def test_inputs_that_are_not_there_are_refused_at_submission(site: EngineSite) -> None:
    uploads, owner = site.gateway.uploads, site.gateway.owner
    half = await uploads.create(owner, Announced(digest=DIGEST, size=len(DATA)), body(DATA[:10]))
    assert not half.complete
    running = await job_with_output(site)
    found = await refused(
        site,
        {"path": "a", "upload": DIGEST},
        {"path": "b", "job": running, "output": "VTK/last"},
        {"path": "c", "job": "00000000-0000-4000-8000-000000000000", "output": "x"},
        {"path": "d", "target_path": "/etc/passwd"},
    )
    assert found == [
        "#/inputs/3/target_path this target lists no folders that inputs may come from",
        "#/inputs/0/upload is not a complete upload of yours: send the file to POST /api/v1/uploads first",
        "#/inputs/1/job that job is finalizing: name it in after_success or after_end, too, to wait for it",
        "#/inputs/2/job is not a job of yours",
    ]
    await uploads.append(half.id, owner, 10, body(DATA[10:]))
    waits = {"path": "b", "job": running, "output": "VTK/last"}
    good = {"image": None, "script": "true", "inputs": [{"path": "a", "upload": DIGEST}, waits]}
    await site.gateway.jobs.submit({**good, "after_success": [running]}, owner)
    await move(site, running, State.SUCCEEDED)
    await site.gateway.jobs.submit(good, owner)
    assert await refused(site, {"path": "b", "job": running, "output": "none"}) == [
        "#/inputs/0/output is not a final output of that job"
    ]
    assert len(await refused(site, *good["inputs"], owner="other")) == 2
    with pytest.raises(NotFound):
        await uploads.get(DIGEST, "other")
