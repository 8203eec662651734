"""A claim of a node that the payload could have written itself counts only as far as the job's folder bears it out."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from gateway.compute.transport.local import LocalSettings, LocalTransport
from gateway.engine.borne_out import borne_out
from gateway.engine.plan import JobPlan, StorePlan
from gateway.model.specification import JobSpecification
from gateway.storage.filters import OutputRule, plan_transfers
from gateway.storage.manifest import ManifestFile, files_of_rows
from gateway.storage.stores.base import Place

FILES = {"a": b"1", "sub/b": b"22", ".gateway/mine": b"x", "new\nline": b"", "sub/.gateway/own": b"333"}
TRUE = {"a": 1, "sub/b": 2, "new␊line": 0, "sub/.gateway/own": 3}


@pytest.fixture
async def transport(tmp_path: Path) -> AsyncIterator[LocalTransport]:
    made = LocalTransport(LocalSettings(kind="local"), env={}, path=None, state_folder=tmp_path / "state")
    yield made
    await made.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "it's a job"
    for name, content in FILES.items():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_bytes(content)
    (made / "link").symlink_to("a")
    os.mkfifo(made / "pipe")
    return made


def plan(*rules: OutputRule, exclude: Sequence[str] = ()) -> JobPlan:
    specification = JobSpecification.model_validate({"name": "x", "image": None, "script": "true"})
    item = StorePlan(
        "blobs", Place("job", owner="alice"), tuple(plan_transfers(rules, exclude)), tuple(rules), tuple(exclude)
    )
    return JobPlan("job", 1, specification, (item,))


async def believed(transport: LocalTransport, folder: Path, made: JobPlan, claim: dict[str, int]) -> bool:
    files = tuple(ManifestFile(path, size) for path, size in claim.items())
    return "blobs" in await borne_out(transport, str(folder), made, {"blobs": files}, 30)


async def test_a_true_claim_is_believed(transport: LocalTransport, folder: Path) -> None:
    assert await believed(transport, folder, plan(), TRUE)
    assert await believed(transport, folder, plan(), {**TRUE, "kept from before": 9})


@pytest.mark.parametrize("path", list(TRUE))
async def test_a_claim_that_leaves_a_file_out_or_gives_it_another_size_is_not(
    transport: LocalTransport, folder: Path, path: str
) -> None:
    assert not await believed(transport, folder, plan(), {p: size for p, size in TRUE.items() if p != path})
    assert not await believed(transport, folder, plan(), {**TRUE, path: 7})
    assert not await believed(transport, folder, plan(), {})


async def test_only_what_the_outputs_ask_for_has_to_be_claimed(transport: LocalTransport, folder: Path) -> None:
    asked = plan(OutputRule("sub/**", destination="there/"), exclude=["**/own"])
    assert await believed(transport, folder, asked, {"there/b": 2})
    assert not await believed(transport, folder, asked, {"sub/b": 2})


async def test_names_that_are_not_utf_8_are_compared_as_the_node_shows_them(
    transport: LocalTransport, folder: Path
) -> None:
    (folder / os.fsdecode(b"bad\xff")).write_bytes(b"4444")
    (shown,) = files_of_rows([{"Path": "bad\N{REPLACEMENT CHARACTER}", "Size": 4}], "")
    assert await believed(transport, folder, plan(), {**TRUE, shown.path: 4})
    assert not await believed(transport, folder, plan(), TRUE)


async def test_of_a_folder_that_cannot_be_listed_nothing_is_believed(transport: LocalTransport, folder: Path) -> None:
    assert not await believed(transport, folder / "gone", plan(), TRUE)
