"""A run is carried from one gateway to another by its crate, and run there: the same image, inputs and outputs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from running import RunningGateway
from sections import local_target, ssh_target

from gateway.cli.main import run
from gateway.client import Gateway
from testbed.mirror import Mirror
from testbed.sshd import SshSite

MESH = bytes(range(256)) * 64
SCRIPT = """
cat system/dict mesh.bin fetched.bin | sha256sum > out.sum
printf 'time,value\\n0.1,%s\\n' "$RE" > table.csv
date +%s%N > when.txt
"""
CASE = {
    "name": "sums",
    "label": "Sums",
    "families": [
        {
            "label": "All",
            "parameters": [
                {"name": "n", "label": "Number", "type": "int", "unit": "m", "default": 1},
                {"name": "mesh", "label": "Mesh", "type": "file"},
            ],
        }
    ],
    "inputs": [{"path": "n.txt", "template": "n.txt"}, {"path": "mesh.bin", "parameter": "mesh"}],
    "command": ["sh", "-c", "cat n.txt mesh.bin | sha256sum > out.sum"],
    "outputs": [{"source": "out.sum"}],
    "resources": {"walltime": 120},
}
FAST = {"interval": None, "reserve": 20}
Call = Callable[..., tuple[int, Any]]


@pytest.fixture(scope="module")
def environ(image: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What both gateways are told: they publish the same case, and may open addresses of this machine."""
    folder = tmp_path_factory.mktemp("cases")
    (folder / "sums").mkdir()
    case = {**CASE, "image": image}
    (folder / "sums/case.yaml").write_text(yaml.safe_dump(case))
    (folder / "sums/n.txt").write_text("n is {n}\n")
    cases, urls = json.dumps([str(folder)]), '["127.0.0.1"]'
    return {"GATEWAY__GATEWAY__ALLOW_URLS": urls, "GATEWAY__GATEWAY__CASES": cases}


@pytest.fixture(scope="module")
def first(start_gateway, environ: dict[str, str]) -> RunningGateway:
    raw = {"targets": {"here": local_target()}, "stores": {"folder": {"kind": "directory", "path": "{data}/outputs"}}}
    return start_gateway(raw, environ)


@pytest.fixture(scope="module")
def second(start_gateway, plain_sshd: SshSite, environ: dict[str, str]) -> RunningGateway:
    raw = {
        "targets": {"machine": ssh_target(plain_sshd, "direct", "crates")},
        "stores": {"results": {"kind": "directory", "path": "{data}/results"}},
    }
    return start_gateway(raw, environ)


@pytest.fixture(scope="module")
def files() -> Iterator[Mirror]:
    with Mirror() as made:
        yield made


def client(gateway: RunningGateway) -> Gateway:
    """A client of one of the two."""
    token = str(gateway.http.headers["Authorization"]).removeprefix("Bearer ")
    return Gateway(str(gateway.http.base_url).rstrip("/"), token)


@pytest.fixture(scope="module")
def origin(first: RunningGateway, image: dict[str, str], files: Mirror, tmp_path_factory) -> str:
    """A job that has run at the first gateway, with an input of each kind; its mirror forgets one of them then."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "mesh.bin").write_bytes(MESH)
    url = files.serve("/fetched.bin", b"fetched") + "?sig=zebraquagga"
    inputs = [
        {"path": "system/dict", "content": "re 100;\n"},
        {"path": "mesh.bin", "file": "mesh.bin"},
        {"path": "fetched.bin", "url": url},
    ]
    body = {"image": image, "script": SCRIPT, "inputs": inputs, "env": {"RE": "100.0"}, "name": "flow", "sync": FAST}
    wanted = [{"source": "out.sum"}, {"source": "table.csv"}, {"source": "when.txt"}]
    with client(first) as gateway:
        job = gateway.submit(
            body, folder=folder, outputs=wanted, target="here", stores=["folder"], resources={"walltime": 120}
        ).wait(90)
        assert job.succeeded, job.info
        return job.id


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    """Run ``gateway … --json`` at one of the two."""

    def made(gateway: RunningGateway, *words: str | Path) -> tuple[int, Any]:
        monkeypatch.setenv("GATEWAY_URL", str(gateway.http.base_url).rstrip("/"))
        monkeypatch.setenv("GATEWAY_TOKEN", str(gateway.http.headers["Authorization"]).removeprefix("Bearer "))
        monkeypatch.setenv("HOME", str(tmp_path))
        capsys.readouterr()
        status = run(["--config", str(gateway.config), "--json", *map(str, words)])
        said = capsys.readouterr()
        return status, json.loads(said.out) if said.out else said.err

    return made


def test_a_crate_runs_elsewhere_with_the_same_image_inputs_and_outputs(
    first: RunningGateway, second: RunningGateway, origin: str, call: Call, tmp_path: Path, image: dict[str, str]
) -> None:
    crate = tmp_path / "flow.zip"
    status, said = call(first, "crate", origin, "--to", crate)
    assert (status, said["bytes"]) == (0, crate.stat().st_size)
    status, plan = call(
        second, "rerun", "--from-crate", crate, "--target", "machine", "--store", "results", "--dry-run"
    )
    assert (status, plan["how"], plan["missing"]) == (0, "specification", [])
    assert {item["path"] for item in plan["needed"]} == {"mesh.bin", "fetched.bin"}
    status, job = call(second, "rerun", "--from-crate", crate, "--target", "machine", "--store", "results", "--wait")
    assert (status, job["state"]) == (0, "succeeded"), job
    assert job["spec"]["image"]["digest"] == image["digest"]
    assert job["spec"]["env"] == {"RE": "100.0"}
    uploaded = {item["path"]: item["upload"] for item in job["spec"]["inputs"]}
    assert uploaded["mesh.bin"] == f"sha256:{hashlib.sha256(MESH).hexdigest()}"
    assert uploaded["fetched.bin"] == f"sha256:{hashlib.sha256(b'fetched').hexdigest()}"
    old, new = first.files(origin), second.files(job["id"])
    assert set(old) == set(new) == {"out.sum", "table.csv", "when.txt"}
    for path in ("out.sum", "table.csv"):
        assert old[path]["digest"] == new[path]["digest"]
    assert (
        second.read(job["id"], "out.sum").split()[0].decode()
        == hashlib.sha256(b"re 100;\n" + MESH + b"fetched").hexdigest()
    )


def test_a_crate_is_read_from_the_store_and_from_a_url(
    first: RunningGateway, second: RunningGateway, origin: str, call: Call, files: Mirror
) -> None:
    folder = first.data / "outputs" / origin
    status, plan = call(
        second, "rerun", "--from-crate", folder, "--target", "machine", "--store", "results", "--dry-run"
    )
    assert (status, plan["missing"]) == (0, [])
    for file in folder.rglob(".gateway/**/*"):
        if file.is_file():
            url = files.serve(f"/flow/{file.relative_to(folder)}", file.read_bytes())
    url = files.serve("/flow/ro-crate-metadata.json", (folder / ".gateway/ro-crate-metadata.json").read_bytes())
    status, job = call(second, "rerun", "--from-crate", url, "--target", "machine", "--store", "results", "--wait")
    assert (status, job["state"]) == (0, "succeeded"), job
    assert second.files(job["id"])["out.sum"]["digest"] == first.files(origin)["out.sum"]["digest"]


def test_a_case_that_both_publish_is_asked_for_in_its_version_with_its_values(
    first: RunningGateway, second: RunningGateway, call: Call, tmp_path: Path
) -> None:
    (tmp_path / "mesh.bin").write_bytes(MESH)
    status, job = call(
        first, "submit", "--case", "sums", "--set", "n=7", "--set", f"mesh={tmp_path}/mesh.bin",
        "--target", "here", "--store", "folder", "--wait",
    )  # fmt: skip
    assert status == 0, job
    crate = tmp_path / "sums.zip"
    call(first, "crate", job["id"], "--to", crate)
    status, again = call(second, "rerun", "--from-crate", crate, "--target", "machine", "--store", "results", "--wait")
    assert (status, again["state"]) == (0, "succeeded"), again
    for name in ("case", "case_version", "values"):
        assert again[name] == job[name]
    assert again["values"]["n"] == 7
    assert again["spec"]["image"] == job["spec"]["image"]
    assert second.files(again["id"])["out.sum"]["digest"] == first.files(job["id"])["out.sum"]["digest"]
    entities = {item["@id"]: item for item in call(first, "crate", job["id"])[1]["@graph"]}
    assert (entities["#value-n"]["name"], entities["#value-n"]["unitText"]) == ("Number", "m")
    assert entities["#case-sums"]["version"] == job["case_version"]
    assert ".gateway/case.tar.gz" in entities


def test_nothing_that_opens_something_is_in_the_crate(first: RunningGateway, origin: str, call: Call) -> None:
    token = str(first.http.headers["Authorization"]).removeprefix("Bearer ").encode()
    record = first.data / "outputs" / origin / ".gateway"
    for file in record.rglob("*"):
        data = file.read_bytes() if file.is_file() else b""
        assert b"zebraquagga" not in data, file
        assert token not in data


def test_a_job_is_reproduced_and_what_differs_is_told(first: RunningGateway, origin: str, call: Call) -> None:
    status, found = call(first, "reproduce", origin, "--ignore", "when.*")
    assert (status, found["comparison"]["alike"]) == (0, True), found
    assert found["comparison"]["counts"] == {"same": 2}
    again = found["job"]["id"]
    status, compared = call(first, "outputs", "compare", origin, again)
    assert (status, compared["alike"]) == (11, False)
    assert [item["path"] for item in compared["files"] if item["status"] == "different"] == ["when.txt"]
    status, changed = call(first, "rerun", origin, "--wait", "--changes", _changes(first, {"env": {"RE": "100.0001"}}))
    assert status == 0
    other = changed["id"]
    only = ("--ignore", "when.*")
    assert call(first, "outputs", "compare", origin, other, *only)[0] == 11
    status, close = call(first, "outputs", "compare", origin, other, *only, "--rtol", "1e-5")
    assert (status, close["counts"]) == (0, {"close": 1, "same": 1})
    assert call(first, "outputs", "compare", origin, other, *only, "--rtol", "1e-8")[0] == 11


def _changes(gateway: RunningGateway, patch: dict[str, Any]) -> Path:
    file = gateway.folder / "changes.json"
    file.write_text(json.dumps(patch))
    return file
