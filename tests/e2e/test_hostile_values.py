"""Hostile values through the whole path: each arrives byte for byte, or is refused with 422; none is executed."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from running import RunningGateway
from sections import local_target, ssh_target

from testbed.cluster import Cluster

TEXTS = [
    "it's",
    'say "no"',
    "$(touch /job/executed)",
    "`touch /job/executed`",
    "; touch /job/executed;",
    "a\nb\n#PBS -l walltime=1\n#SBATCH --time=1\nc",
    "a\rb\tc",
    "${1+1} <% import os %> ## gone? \\\nnot gone",
    "../../../etc/passwd",
    "-rf",
    "--",
    "*",
    "~",
    "!event",
    "%s%n",
    "é ü 漢字 🚀 \u202e \u200b",
    "\x01\x1b[31mred\x7f",
    "",
    " ",
    "x" * 65536,
]
NAMES = [
    "it's a file",
    'say "no"',
    "$(touch executed)",
    "`touch executed`",
    "; touch executed;",
    "-rf",
    "é 漢字 🚀",
    "#hash%20[a]{b}*?",
    " leading and trailing ",
    "back\\slash",
    "~",
    "Case/case",
]
DUMP = 'printf "%s\\0" "$@" >args; cat /proc/self/environ >environ; [ ! -e executed ] || echo EXECUTED'


@pytest.fixture(scope="module")
def gateway(start_gateway, cluster: Cluster) -> RunningGateway:
    targets = {
        "local": local_target(),
        "slurm": ssh_target(cluster, "slurm", "it's a folder; $(x)"),
        "pbs": ssh_target(cluster, "pbs", "pbs"),
    }
    stores = {"folder": {"kind": "directory", "path": "{data}/outputs"}}
    return start_gateway({"targets": targets, "stores": stores})


@pytest.mark.parametrize("target", ["local", "slurm", "pbs"])
def test_a_real_job_gets_every_accepted_value_byte_for_byte(gateway: RunningGateway, image, target: str) -> None:
    environment = {f"V{n}": text for n, text in enumerate(TEXTS)}
    job_id = gateway.submit(
        name='it\'s $(touch executed) "é" ${1+1} <% %> ## ; -x'[:200],
        target=target,
        image=image,
        command=["bash", "-c", DUMP, "payload", *TEXTS],
        env=environment,
        inputs=[{"path": name, "content": f"{name}\n$(touch executed)"} for name in NAMES],
        tags={"study": "$(touch executed) it's"},
        exclude=["$(touch executed)/**", "it's excluded"],
        sync={"interval": None},
        resources={"walltime": 120, "memory": "200M"},
    )
    job = gateway.wait(job_id)
    assert (job["state"], job["outputs"]["state"]) == ("succeeded", "complete"), job
    assert gateway.read(job_id, "args").split(b"\0")[:-1] == [text.encode() for text in TEXTS]
    seen = dict(item.split(b"=", 1) for item in gateway.read(job_id, "environ").split(b"\0") if item)
    assert {name: seen[name.encode()] for name in environment} == {n: t.encode() for n, t in environment.items()}
    for name in NAMES:
        assert gateway.read(job_id, quote(name)) == f"{name}\n$(touch executed)".encode(), name
    assert gateway.log(job_id) == b""
    assert "executed" not in gateway.files(job_id)
    assert job["tags"] == {"study": "$(touch executed) it's"}


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("NUL in an argument", {"command": ["a\0b"]}, "#/command/0"),
    ("lone surrogate in an argument", {"command": ["\ud800"]}, "#/command/0"),
    ("argument over the limit", {"command": ["x" * 110_000]}, "#/command/0"),
    ("empty program", {"command": [""]}, "#"),
    ("NUL in a variable", {"env": {"A": "\0"}}, "#/env/A"),
    ("variable's name", {"env": {"A B": "x"}}, "#/env"),
    ("variable that loads code", {"env": {"LD_PRELOAD": "/job/x.so"}}, "#"),
    ("newline in the name", {"name": "a\nb"}, "#/name"),
    ("absolute input", {"inputs": [{"path": "/etc/x", "content": ""}]}, "#/inputs/0/path"),
    ("input above the folder", {"inputs": [{"path": "a/../../x", "content": ""}]}, "#/inputs/0/path"),
    ("input in the reserved folder", {"inputs": [{"path": ".gateway/x", "content": ""}]}, "#/inputs/0/path"),
    ("input's name with a newline", {"inputs": [{"path": "a\nb", "content": ""}]}, "#/inputs/0/path"),
    ("queue with a blank", {"resources": {"queue": "a b"}}, "#/resources/queue"),
    ("queue with a newline", {"resources": {"queue": "a\n#PBS -l x"}}, "#/resources/queue"),
    ("queue that is an option", {"resources": {"queue": "-x"}}, "#/resources/queue"),
    ("account that substitutes", {"resources": {"account": "$(id)"}}, "#/resources/account"),
    ("option nobody allowed", {"resources": {"options": {"comment": "x"}}}, "#/resources/options/comment"),
    ("output above the folder", {"outputs": [{"source": "../**"}]}, "#/outputs/0"),
    ("output in the reserved folder", {"outputs": [{"source": ".gateway/**"}]}, "#/outputs/0"),
    ("destination above", {"outputs": [{"source": "**", "destination": "../x"}]}, "#/outputs/0"),
    ("content type with a newline", {"outputs": [{"source": "a", "content_type": "a/b\nX: y"}]}, "#/outputs/0"),
    ("store path above", {"stores": [{"store": "folder", "path": "../x"}]}, "#/stores/0"),
    ("store that is not", {"stores": ["nosuch"]}, "#/stores/0"),
    ("target that is not", {"target": "nosuch"}, "#/target"),
    ("image by a program", {"image": "ext::sh -c id"}, "#/image"),
    ("image with a password", {"image": "https://me:secret@host/x.sif"}, "#/image"),
    ("no container", {"image": None}, "#/image"),
    ("unknown field", {"shell": "bash"}, "#/shell"),
    ("walltime in words", {"resources": {"walltime": "long"}}, "#/resources/walltime"),
    (
        "two sources on one path",
        {"outputs": [{"source": "a/*", "destination": "x"}, {"source": "b/*", "destination": "x"}]},
        "#/outputs",
    ),
]


@pytest.mark.parametrize(("body", "pointer"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_cannot_be_carried_is_refused_and_nothing_is_made(
    gateway: RunningGateway, image, body: dict[str, Any], pointer: str
) -> None:
    before = len(gateway.http.get("/api/v1/jobs", params={"limit": 200}).json()["items"])
    whole = {"target": "slurm", "image": image, "command": ["true"], **body}
    sent = json.dumps(whole)  # ASCII, so that a lone surrogate can be sent at all
    response = gateway.http.post("/api/v1/jobs", content=sent, headers={"Content-Type": "application/json"})
    assert response.status_code == 422, response.text
    problem = response.json()
    assert problem["type"] == "urn:science-gateway:problem:validation"
    assert any(error["pointer"].startswith(pointer) for error in problem["errors"]), problem
    assert "secret" not in response.text
    assert len(gateway.http.get("/api/v1/jobs", params={"limit": 200}).json()["items"]) == before
