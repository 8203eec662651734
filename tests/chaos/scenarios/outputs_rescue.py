"""The gateway is killed while it brings and signs what a dead node has left."""

from __future__ import annotations

import contextlib
from pathlib import Path

from gateway.engine.steps import Step
from testbed.failpoints import fault
from testbed.http_proxy import HttpProxy, Mood
from tests.chaos.failing import FailingGateway
from tests.chaos.registry import scenario
from tests.chaos.scenarios.deaths import is_script, kill
from tests.chaos.scenarios.outputs import SMALL, SYNC, WRITES, Stores, said, secrets_of, sections
from tests.chaos.scene import Scene
from tests.chaos.sound import assert_sound
from tests.e2e.running import wait_until

STEPS = (Step.RESCUED, Step.PROVED, Step.SIGNED, Step.PROOF_WRITTEN, Step.RECORDS_KEPT)
LARGE = "for n in 1 2 3 4 5 6 7 8; do head -c 1000000 /dev/urandom >large_$n; done; sleep 600"


def failing(scene: Scene, *lines: str) -> tuple[FailingGateway, Stores]:
    """Start a gateway with a plan, and with both stores."""
    stores = Stores(
        scene.keep(HttpProxy(scene.yard.azurite.port)),
        scene.keep(HttpProxy(int(scene.yard.seaweed.endpoint.rpartition(":")[2]))),
    )
    return FailingGateway(scene, *lines, stores=sections(scene, stores), environ=secrets_of(scene)), stores


def rclones(scene: Scene, job_id: str) -> list[str]:
    """Return the command lines of what copies this job's folder, from the node or from the gateway."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if "rclone" in words and job_id in words:
                found.append(words)
    return found


@scenario(
    "the gateway is killed at five steps of a rescue, one after the other",
    "the job's script is killed; SIGKILL to each gateway when it has copied, compared, signed, noted and kept all",
)
def at_each_step(scene: Scene) -> str:
    gateway, _ = failing(scene, *(fault(step) for step in STEPS))
    script = scene.payload(wait=False, more=f"{WRITES}; sleep 600")
    job_id = scene.submit(script=script, stores=["azure", "s3"], sync=SYNC, resources=SMALL)
    scene.running(job_id)
    kill(scene, job_id, is_script)
    deaths = gateway.outlive()
    assert deaths == len(STEPS)
    job = assert_sound(scene, job_id, state=("failed",), seconds=120)
    return f"{deaths} deaths; {said(job)}."


@scenario(
    "the gateway is killed in the middle of a rescue's copying",
    "8 MB at 200 kB/s an upload; SIGKILL when some of it is in the store; nothing of the old gateway copies on.",
)
def in_the_middle(scene: Scene) -> str:
    gateway, stores = failing(scene)
    script = scene.payload(wait=False, more=LARGE)
    job_id = scene.submit(script=script, stores=["s3"], sync={**SYNC, "interval": None}, resources=SMALL)
    scene.running(job_id)
    wait_until(lambda: len(scene.left_by_payload(job_id).get("large_8", b"")) == 1_000_000, 30, "the payload's files")
    stores.be(Mood(rate=200_000.0))
    kill(scene, job_id, is_script)

    def some() -> bool:
        return 0 < sum(path.startswith("large") for path in scene.stored(gateway.gateway, "s3", job_id)) < 8

    wait_until(some, 90, "the middle of the copying")
    gateway.kill()
    wait_until(lambda: not rclones(scene, job_id), 20, f"the end of {rclones(scene, job_id)}")
    there = len(scene.stored(gateway.gateway, "s3", job_id))
    stores.be(Mood())
    gateway.gateway.start()
    job = assert_sound(scene, job_id, state=("failed",), seconds=120)
    return f"{there} files were there when it died; {said(job)}."


@scenario(
    "everything of an attempt is killed in its passes, and the next one writes the same files",
    "SIGKILL to all processes once a pass has brought files; the next attempt writes others of the same size and time",
)
def next_attempt(scene: Scene) -> str:
    _, stores = failing(scene)
    stores.be(Mood(delay=0.05))
    more = "content=other\n[ -e again ] || content=first\n"
    more += 'for n in 1 2 3 4; do printf "%s" "$content" >"same_$n"; touch -d "2020-01-01 00:00:00" "same_$n"; done\n'
    more += "[ -e again ] || { touch again; sleep 600; }"
    job_id = scene.submit(
        script=scene.payload(wait=False, more=more),
        stores=["azure", "s3"],
        sync=SYNC,
        resources=SMALL,
        retry={"attempts": 2, "reasons": ["node_failed", "signalled"]},
    )
    scene.running(job_id)
    wait_until(lambda: "same_4" in scene.gateway.files(job_id, "s3"), 60, "a pass with the first attempt's files")
    kill(scene, job_id, lambda _words: True)
    job = assert_sound(scene, job_id, runs=2, seconds=150)
    return f"{said(job)}: the store has the second attempt's bytes."


@scenario(
    "the node's credentials are revoked, and the gateway renews them",
    "The signed addresses that the node pushes with are refused in the middle of a pass; new ones follow.",
)
def renewed(scene: Scene) -> str:
    _, stores = failing(scene)
    more = f"n=0; while [ ! -e {scene.berth.gate} ]; do n=$((n + 1)); echo $n >new_$n; sleep 0.5; done"
    script = scene.payload(wait=False, more=more)
    job_id = scene.submit(script=script, stores=["azure"], sync=SYNC, resources=SMALL)
    scene.running(job_id)
    wait_until(lambda: scene.gateway.files(job_id, "azure"), 60, "the first pass")
    wait_until(lambda: stores.azure.revoke() and stores.azure.failed, 60, "a refused request")
    failed = stores.azure.failed
    wait_until(lambda: stores.azure.signatures - stores.azure.revoked, 60, "a request with new credentials")
    scene.release()
    job = assert_sound(scene, job_id)
    assert job["outputs"]["state"] == "complete"
    return f"{failed} requests or more were refused; {said(job)}."
