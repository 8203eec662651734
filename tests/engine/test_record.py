"""What stands beside a job's outputs when it has ended: the record of the run, without a secret in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from gateway.crates.reading import read_kept, read_run
from gateway.crates.source import FolderSource
from gateway.engine.kept_inputs import KeptInputs
from gateway.jobs.uploads import Announced
from tests.engine.conftest import EngineSite

SECRET = "hunter2-hunter2"


async def sent(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def uploaded(site: EngineSite, data: bytes) -> str:
    """Upload bytes and return their digest."""
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    await site.gateway.uploads.start()
    await site.gateway.uploads.create(site.gateway.owner, Announced(digest, len(data)), sent(data))
    return digest


def outputs_of(site: EngineSite, job_id: str) -> Path:
    """The folder in the store."""
    return site.gateway.data / "outputs" / job_id


async def ran(site: EngineSite, script: str, **body: Any) -> str:
    """Run a job to its end."""
    await site.start()
    job_id = await site.submit(script, **body)
    row = await site.wait(job_id, lambda row: row["state"] in ("succeeded", "failed"))
    assert row["state"] == "succeeded", row["message"]
    return job_id


async def test_the_record_of_a_run_reads_back_as_what_ran(site: EngineSite) -> None:
    large = bytes(1024 * 1024 + 1)
    small, big = await uploaded(site, b"\0mesh"), await uploaded(site, large)
    inputs = [
        {"path": "system/dict", "content": "re 100\n"},
        {"path": "mesh.bin", "upload": small},
        {"path": "big.bin", "upload": big},
    ]
    wanted = {"outputs": [{"source": "out.txt"}], "tags": {"license": "CC0-1.0"}, "env": {"RE": "100"}}
    job_id = await ran(site, "cat system/dict > out.txt", inputs=inputs, **wanted)
    source = FolderSource(outputs_of(site, job_id))
    run = read_run(source)
    assert (run.job, run.target, run.image) == (job_id, "here", None)
    assert run.specification["env"] == {"RE": "100"}
    kept = {item.path: (item.digest, item.size, item.kept) for item in run.inputs}
    assert kept["mesh.bin"] == (small, 5, ".gateway/inputs/mesh.bin")
    assert kept["big.bin"] == (big, len(large), None)
    assert read_kept(source, run.inputs[0]) == b"re 100\n"
    assert read_kept(source, run.inputs[1]) == b"\0mesh"
    entities = {item["@id"]: item for item in json.loads(source.metadata(1 << 20))["@graph"]}
    assert entities["out.txt"]["sha256"] == hashlib.sha256(b"re 100\n").hexdigest()
    assert entities["out.txt"]["contentSize"] == "7"
    assert entities["./"]["license"] == {"@id": "https://spdx.org/licenses/CC0-1.0"}
    action = entities[f"#run-{job_id}"]
    assert action["actionStatus"] == "http://schema.org/CompletedActionStatus"
    assert action["startTime"] <= action["endTime"]
    assert action["result"] == {"@id": "out.txt"}
    names = {path.name for path in (outputs_of(site, job_id) / ".gateway").iterdir()}
    assert {"run.json", "specification.json", "job.sh", "final.json", "manifest.json"} <= names
    kept_here = KeptInputs(site.gateway.data).folder
    await site.wait(job_id, lambda _: not list(kept_here.iterdir()))


async def test_no_secret_is_in_the_record(site: EngineSite) -> None:
    inputs = [{"path": "list.txt", "content": f"https://store.example/x?sv=1&sig={SECRET}%3D\n"}]
    env = {"API_TOKEN": SECRET, "PLAIN": "seen", "URL": f"https://a:{SECRET}@host.example/b"}
    job_id = await ran(site, "echo done > out.txt", inputs=inputs, env=env)
    record = outputs_of(site, job_id) / ".gateway"
    seen = {path.relative_to(record): path.read_bytes() for path in record.rglob("*") if path.is_file()}
    assert len(seen) > 5
    token = (await site.row(job_id))["a_token"].encode()
    opening = (SECRET.encode(), b"sig=", token)
    assert [str(path) for path, data in seen.items() if any(text in data for text in opening)] == []
    run = read_run(FolderSource(outputs_of(site, job_id)))
    assert run.specification["env"] == {"API_TOKEN": "(hidden)", "PLAIN": "seen", "URL": "https://host.example/b"}
    assert set(run.hidden) == {"#/env/API_TOKEN", "#/env/URL", "#/inputs/0/content"}


async def test_what_was_staged_is_forgotten_once_nobody_needs_it(site: EngineSite, tmp_path: Path) -> None:
    kept = KeptInputs(site.gateway.data)
    file = tmp_path / "input"
    file.write_bytes(b"x")
    kept.keep("gone", {"a": file})
    kept.keep("live", {"a": file})
    kept.clear(lambda job_id: job_id == "live")
    assert kept.read("gone") == {}
    assert kept.read("live")["a"].content == b"x"
