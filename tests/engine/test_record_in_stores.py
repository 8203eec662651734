"""The record of a run and its crate in stores that are no folder: Azurite and a real S3 server."""

from __future__ import annotations

import hashlib
import io
import json
import secrets
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from gateway.crates.reading import parse_run, read_kept, read_run
from gateway.crates.source import FolderSource
from gateway.storage.stores.base import Place
from testbed.azurite import Azurite
from testbed.seaweed import Seaweed
from tests.engine.conftest import EngineSite, bring_rclone

pytestmark = pytest.mark.real

ODD = "Überdruck [1] #50%.csv"
SCRIPT = f"cat n.txt > out.txt; mkdir -p deep; printf 'x,y\\n' > 'deep/{ODD}'"


@pytest.fixture(params=["azure prefix", "azure container", "s3"])
def section(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The section of each store in turn."""
    if request.param == "s3":
        seaweed: Seaweed = request.getfixturevalue("seaweed")
        monkeypatch.setenv("TEST_S3_ID", seaweed.access_key)
        monkeypatch.setenv("TEST_S3_KEY", seaweed.secret_key)
        return {
            "kind": "rclone",
            "remote": {"type": "s3", "provider": "SeaweedFS", "endpoint": seaweed.endpoint},
            "secrets": {"access_key_id": {"env": "TEST_S3_ID"}, "secret_access_key": {"env": "TEST_S3_KEY"}},
            "root": f"{seaweed.bucket}/{secrets.token_hex(6)}",
        }
    azurite: Azurite = request.getfixturevalue("azurite")
    monkeypatch.setenv("TEST_ACCOUNT_KEY", azurite.key)
    layout = request.param.split()[1]
    return {
        "kind": "azure",
        "account_url": azurite.account_url,
        "layout": layout,
        "credential": {"account_key": {"env": "TEST_ACCOUNT_KEY"}},
        **({"container": "jobs-" + secrets.token_hex(6)} if layout == "prefix" else {}),
    }


async def fetched(site: EngineSite, job_id: str, folder: Path) -> set[str]:
    """Fetch everything that the store has of a job, as a person with the store's own tools would."""
    store, place = site.gateway.stores["folder"], Place(job_id, site.gateway.owner)
    paths = {found.path async for found in store.list(place)}
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"".join([piece async for piece in store.read(place, path)]))
    return paths


async def test_record_and_crate_are_whole_and_name_what_is_there(
    open_site: Callable[..., Any], section: dict[str, Any], tmp_path: Path
) -> None:
    site: EngineSite = await open_site(stores={"folder": section})
    await bring_rclone(site.gateway.targets["here"])
    await site.start()
    job_id = await site.submit(
        SCRIPT, inputs=[{"path": "n.txt", "content": "n is 7\n"}], env={"A_TOKEN": "hunter2hunter2"}
    )
    row = await site.wait(job_id, lambda row: row["state"] in ("succeeded", "failed"), 120)
    assert row["state"] == "succeeded", row["message"]
    paths = await fetched(site, job_id, tmp_path / "there")
    assert {"out.txt", f"deep/{ODD}", ".gateway/run.json", ".gateway/manifest.json", ".gateway/job.sh"} <= paths

    source = FolderSource(tmp_path / "there")  # the folder of a job, fetched as it is, is a crate
    run = read_run(source)
    [item] = [item for item in run.inputs if item.path == "n.txt"]
    assert (run.job, read_kept(source, item)) == (job_id, b"n is 7\n")
    for file in (tmp_path / "there").rglob("*"):
        assert file.is_dir() or b"hunter2hunter2" not in file.read_bytes(), file

    archive = await site.gateway.crates.archive(job_id, site.gateway.owner, None)
    data = b"".join([piece async for piece in archive.read()])
    with zipfile.ZipFile(io.BytesIO(data)) as crate:
        assert crate.testzip() is None
        assert parse_run(crate.read(".gateway/run.json")) == run
        graph = json.loads(crate.read("ro-crate-metadata.json"))["@graph"]
        named = {entry["@id"]: entry for entry in graph if entry["@type"] == "File"}
        for path in ("out.txt", f"deep/{ODD}"):
            [entry] = [entry for name, entry in named.items() if unquote(name) == path]
            there = (tmp_path / "there" / path).read_bytes()
            assert entry["sha256"] == hashlib.sha256(there).hexdigest()
            assert crate.read(path) == there
