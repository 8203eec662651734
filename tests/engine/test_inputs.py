"""Inputs by URL on the gateway: fetched beside the ticks, shared where that is safe, and never left behind."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.engine.inputs import InputFiles
from gateway.errors import StagingFailed, UrlUnreachable
from gateway.jobs.bell import Bell
from gateway.model.specification import Input
from gateway.urls import UrlOpener
from testbed.mirror import Fault, Mirror

DATA = b"mesh" * 1000
DIGEST = "sha256:" + hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with Mirror() as made:
        yield made


@pytest.fixture
def bell() -> Bell:
    return Bell()


@pytest.fixture
async def files(tmp_path: Path, bell: Bell) -> AsyncIterator[InputFiles]:
    made = InputFiles(UrlOpener(["127.0.0.1"]), tmp_path / "inputs", bell)
    made.clear()
    yield made
    await made.close()
    assert list((tmp_path / "inputs").iterdir()) == []


async def get(files: InputFiles, bell: Bell, job: str, *inputs: Input, target: str = "t") -> dict[str, bytes]:
    """Tick by the bell until the files of a job are there, and read them."""
    while (found := files.ready(job, target, inputs)) is None:
        assert await bell.wait(target, 20)
    return {path: file.read_bytes() for path, file in found.items()}


async def test_inputs_without_a_url_need_nothing(files: InputFiles) -> None:
    assert files.ready("job", "t", [Input(path="a", content="x")]) == {}


async def test_files_are_there_when_the_bell_rang(files: InputFiles, bell: Bell, mirror: Mirror) -> None:
    plain = Input(path="a/plain", url=mirror.serve("/plain", b"plain"))
    proven = Input(path="mesh.bin", url=mirror.serve("/mesh", DATA), digest=DIGEST)
    assert files.ready("job", "t", [plain, proven]) is None
    assert await get(files, bell, "job", plain, proven) == {"a/plain": b"plain", "mesh.bin": DATA}
    assert mirror.count("/plain") == mirror.count("/mesh") == 1


async def test_jobs_share_a_file_with_a_digest_until_the_last_is_staged(
    files: InputFiles, bell: Bell, mirror: Mirror, tmp_path: Path
) -> None:
    item = Input(path="mesh.bin", url=mirror.serve("/mesh", DATA), digest=DIGEST)
    assert files.ready("one", "t", [item]) is None
    assert files.ready("two", "u", [item]) is None
    await get(files, bell, "one", item)
    files.release("one")
    assert await get(files, bell, "two", item, target="u") == {"mesh.bin": DATA}
    assert mirror.count("/mesh") == 1
    files.release("two")
    assert list((tmp_path / "inputs").iterdir()) == []


async def test_a_file_without_a_digest_is_fetched_for_each_job(files: InputFiles, bell: Bell, mirror: Mirror) -> None:
    item = Input(path="a", url=mirror.serve("/a", b"old"))
    assert await get(files, bell, "one", item) == {"a": b"old"}
    mirror.serve("/a", b"new")
    assert await get(files, bell, "two", item) == {"a": b"new"}


async def test_a_failure_for_good_names_the_input(files: InputFiles, bell: Bell, mirror: Mirror) -> None:
    item = Input(path="mesh.bin", url=mirror.serve("/mesh", DATA), digest="sha256:" + "0" * 64)
    with pytest.raises(StagingFailed) as caught:
        await get(files, bell, "job", item)
    assert caught.value.message.startswith(f"input mesh.bin: 127.0.0.1: the file's digest is {DIGEST}")
    assert caught.value.status != 503


async def test_after_a_failure_that_may_heal_the_next_call_tries_again(
    files: InputFiles, bell: Bell, mirror: Mirror
) -> None:
    good = Input(path="good", url=mirror.serve("/good", b"good"))
    item = Input(path="mesh.bin", url=mirror.serve("/mesh", DATA, Fault(status=503)), digest=DIGEST)
    with pytest.raises(UrlUnreachable) as caught:
        await get(files, bell, "job", good, item)
    assert caught.value.message == "input mesh.bin: 127.0.0.1: the server answered with status 503"
    assert caught.value.status == 503
    mirror.fail("/mesh", None)
    assert await get(files, bell, "job", good, item) == {"good": b"good", "mesh.bin": DATA}
    assert (mirror.count("/good"), mirror.count("/mesh")) == (1, 2)


async def test_one_failed_download_counts_once_for_each_job_that_waited(
    files: InputFiles, bell: Bell, mirror: Mirror
) -> None:
    item = Input(path="mesh.bin", url=mirror.serve("/mesh", DATA), digest="sha256:" + "0" * 64)
    assert files.ready("one", "t", [item]) is None
    assert files.ready("two", "t", [item]) is None
    for job in ("one", "two"):
        with pytest.raises(StagingFailed):
            await get(files, bell, job, item)
    assert mirror.count("/mesh") == 1


async def test_what_no_job_waits_for_any_more_is_stopped(
    files: InputFiles, bell: Bell, mirror: Mirror, tmp_path: Path
) -> None:
    item = Input(path="mesh.bin", url=mirror.serve("/mesh", DATA, Fault(stall=10)), digest=DIGEST)
    assert files.ready("cancelled", "t", [item]) is None
    assert files.ready("elsewhere", "u", [item]) is None
    while not mirror.begun("/mesh"):
        await asyncio.sleep(0.01)
    files.keep("t", [])
    mirror.fail("/mesh", None)
    assert await get(files, bell, "elsewhere", item, target="u") == {"mesh.bin": DATA}
    files.keep("u", [])
    assert list((tmp_path / "inputs").iterdir()) == []


async def test_a_download_that_is_stopped_does_not_harm_the_next_of_the_same_file(
    files: InputFiles, bell: Bell, mirror: Mirror, tmp_path: Path
) -> None:
    item = Input(path="mesh.bin", url=mirror.serve("/mesh", DATA, Fault(stall=10)), digest=DIGEST)
    assert files.ready("one", "t", [item]) is None
    while not list((tmp_path / "inputs").iterdir()):
        await asyncio.sleep(0.01)
    files.release("one")
    mirror.fail("/mesh", None)
    assert await get(files, bell, "two", item) == {"mesh.bin": DATA}


async def test_an_unforeseen_error_fails_the_job_and_not_the_tick(files: InputFiles, bell: Bell, monkeypatch) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(UrlOpener, "fetch", broken)
    with pytest.raises(StagingFailed, match=r"input a: .*RuntimeError"):
        await get(files, bell, "job", Input(path="a", url="https://files.example.org/a"))


async def test_what_an_earlier_process_left_is_removed(tmp_path: Path, bell: Bell) -> None:
    (tmp_path / "inputs").mkdir()
    (tmp_path / "inputs/old.part").write_bytes(b"x")
    InputFiles(UrlOpener([]), tmp_path / "inputs", bell).clear()
    assert list((tmp_path / "inputs").iterdir()) == []
