"""Outputs on their way to Azurite and S3: payloads that play tricks, stores that fail, too little time, lost disks."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.http_proxy import HttpProxy, Mood
from tests.chaos.registry import scenario
from tests.chaos.scenarios.deaths import is_script, kill
from tests.chaos.scene import Scene
from tests.chaos.sound import PROVED, assert_sound
from tests.e2e.running import wait_until

SYNC = {"interval": 1, "settle": 0, "reserve": 20}
SMALL = {"walltime": 300, "memory": "50M"}
BRIEF = {"walltime": 30, "memory": "50M"}
"""A job whose node gives up soon: it tries to copy as long as its walltime allows."""
ANY = (*PROVED, "partial")
WRITES = "mkdir -p data; for n in 1 2 3 4 5 6; do head -c 200000 /dev/urandom >data/$n; done; : >empty"
FULL = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>InsufficientStorage</Code>'
    b"<Message>There is no space left.</Message></Error>"
)


@dataclass(frozen=True)
class Stores:
    """Two stores, each behind an HTTP proxy: ``azure`` (Azurite) and ``s3`` (SeaweedFS); nodes push to both."""

    azure: HttpProxy
    s3: HttpProxy
    names: tuple[str, ...] = ("azure", "s3")

    @property
    def proxies(self) -> tuple[HttpProxy, ...]:
        """Both proxies."""
        return self.azure, self.s3

    def be(self, mood: Mood) -> None:
        """Put both proxies into a mood."""
        for proxy in self.proxies:
            proxy.mood = mood


def both_stores(scene: Scene, **start: Any) -> Stores:
    """Start a gateway with both stores; `start` goes to `Scene.start`."""
    found = Stores(
        scene.keep(HttpProxy(scene.yard.azurite.port)),
        scene.keep(HttpProxy(int(scene.yard.seaweed.endpoint.rpartition(":")[2]))),
    )
    environ = {**secrets_of(scene), **start.pop("environ", {})}
    scene.start(stores=sections(scene, found), environ=environ, **start)
    return found


def sections(scene: Scene, stores: Stores) -> dict[str, Any]:
    """Return the sections of both stores, which are reached by way of their proxies."""
    return {
        "azure": {
            "kind": "azure",
            "account_url": f"{stores.azure.url}/{scene.yard.azurite.account}",
            "container": f"jobs-{uuid.uuid4().hex[:8]}",
            "credential": {"account_key": {"env": "CHAOS_AZURE_KEY"}},
        },
        "s3": {
            "kind": "rclone",
            "transfer": "push",
            "root": f"{scene.yard.seaweed.bucket}/{uuid.uuid4().hex[:8]}",
            "remote": {"type": "s3", "provider": "Other", "endpoint": stores.s3.url},
            "secrets": {"access_key_id": {"env": "CHAOS_S3_ID"}, "secret_access_key": {"env": "CHAOS_S3_KEY"}},
        },
    }


def secrets_of(scene: Scene) -> dict[str, str]:
    """Return the stores' keys as variables."""
    return {
        "CHAOS_AZURE_KEY": scene.yard.azurite.key,
        "CHAOS_S3_ID": scene.yard.seaweed.access_key,
        "CHAOS_S3_KEY": scene.yard.seaweed.secret_key,
    }


def said(job: Mapping[str, Any]) -> str:
    """Return what is said of each store."""
    return ", ".join(f"{name} {store['state']}" for name, store in job["outputs"]["stores"].items())


def proved_later(scene: Scene, job_id: str, seconds: float = 90) -> dict[str, Any]:
    """Wait until a job that has ended has its outputs in all stores after all; look at them, and return it."""

    def proved() -> bool:
        stores = scene.gateway.job(job_id)["outputs"]["stores"]
        return all(store["state"] in PROVED for store in stores.values())

    wait_until(proved, seconds, f"the outputs of {job_id}: {scene.gateway.job(job_id)['outputs']}")
    return assert_sound(scene, job_id, state=("succeeded", "failed", "cancelled"))


# --- payloads that play tricks

REWRITES = """i=0
while [ "$i" -lt 25 ]; do
  i=$((i + 1))
  head -c 200000 /dev/urandom >same_size
  head -c 50000 /dev/urandom >.next; mv .next by_rename
  echo "$i" >>lines
  sleep 0.15
done"""
MOVES = """echo 1 >a; echo 2 >removed; mkdir d; echo 3 >d/x; sleep 3
mv a b; rm removed; mv d e; n=0
while [ "$n" -lt 20 ]; do
  n=$((n + 1)); echo "$n" >"t_$n"; sleep 0.1; mv "t_$n" "moved_$n"
  [ "$((n % 3))" -ne 0 ] || rm "moved_$n"
done"""
MOVED = ("a", "removed", "d/*", "t_*", "moved_*")
ATTEMPTS = """content=second
[ -e again ] || content=first_
printf '%s' "$content" >same; touch -d '2020-01-01 00:00:00' same
printf '%s' "$content" >"by_$content"; head -c 100000 /dev/urandom >data
sleep 3
[ -e again ] || { touch again; exit 3; }"""
"""Two attempts write the same path, with the same size and the same time."""
FORGES = """mkdir -p .gateway deep/.gateway
control=$(cd -- "../.gateway/${PWD##*/}/1" && pwd)
claim() {
  printf '{"version":1,"job":"%s","attempt":1,"token":"%s","at":"2026-01-01T00:00:00Z","transfers":[' "${PWD##*/}" "$1"
  printf '{"store":"azure","source":"","destination":"","exit_status":0,"files":[]},'
  printf '{"store":"s3","source":"","destination":"","exit_status":0,"files":[]}]}'
}
claim guessed >manifest.json; claim guessed >.gateway/manifest.json; claim guessed >deep/.gateway/manifest.json
claim "$(sed -n 's/^token=//p' "$control/claim")" >"$control/manifest.json"
printf '0 complete 0\\n1 complete 0\\nmanifest\\n' >"$control/sync.result"
echo '{"manifest":{"state":"complete"}}' >.gateway/signed; echo x >.gateway/final.json
ln -s "$control" records; ln -s /etc/passwd passwd
sleep 2; head -c 100000 /dev/urandom >late"""
"""Forges manifests in its folder, below `.gateway`, and where the script has its own: it runs without a container."""
HIDDEN = 'env -i PATH="$PATH" setsid bash -c {} >/dev/null 2>&1 &\nsleep 1'
"""Starts something that the script does not know for the payload's, so that it goes on after the payload's end."""
GOES_ON = HIDDEN.format("'for n in $(seq 40); do head -c 200000 /dev/urandom >same_size; sleep 0.2; done'")
FORGES_ON = f"""export token=$(sed -n 's/^token=//p' "../.gateway/${{PWD##*/}}/1/claim") name=${{PWD##*/}}
cat >forge.sh <<'END'
cd "../.gateway/$2/1"
for n in $(seq 200); do
  printf '{{"version":1,"job":"%s","attempt":1,"token":"%s","at":"2026-01-01T00:00:00Z","transfers":[' "$2" "$1" >.f
  printf '{{"store":"azure","source":"","destination":"","exit_status":0,"files":[]}},' >>.f
  printf '{{"store":"s3","source":"","destination":"","exit_status":0,"files":[]}}]}}' >>.f
  mv .f manifest.json
  sleep 0.05
done
END
{HIDDEN.format('"exec bash forge.sh $token $name"')}"""
TRICKS: dict[str, dict[str, Any]] = {
    "rewrites": {"more": REWRITES, "outputs": ("complete",)},
    "renames and removes": {"more": MOVES, "kept": MOVED, "outputs": ("complete",)},
    "is tried again": {"more": ATTEMPTS, "runs": 2, "retry": {"attempts": 2, "reasons": ["exit_code"]}},
    "forges": {"more": FORGES},
    "goes on": {"more": GOES_ON},
    "forges on": {"more": FORGES_ON},
}


@scenario(
    "payloads rewrite, rename, remove and forge while their outputs are copied",
    "Four jobs push to Azurite and S3 at the same time: files are written anew during every pass, renamed, removed; a "
    "second attempt writes other bytes of the same size and time; manifests are forged in all places.",
    quick=True,
)
def tricks(scene: Scene) -> str:
    both_stores(scene).be(Mood(delay=0.03))
    jobs = {}
    for name, trick in TRICKS.items():
        script = scene.payload(wait=False, parts=1, more=trick["more"])
        more = {"retry": trick["retry"]} if "retry" in trick else {}
        jobs[name] = scene.submit(script=script, stores=["azure", "s3"], sync=SYNC, resources=SMALL, **more)
    seen = []
    for name, job_id in jobs.items():
        trick = TRICKS[name]
        expected = {
            "runs": trick.get("runs", 1),
            "kept": trick.get("kept", ()),
            "outputs": trick.get("outputs", PROVED),
        }
        job = assert_sound(scene, job_id, seconds=120, **expected)
        seen.append(f"{name}: {said(job)}")
    return "; ".join(seen) + "."


# --- stores that fail


@scenario(
    "a third of all requests to Azurite and S3 fail",
    "30 % of the requests of node and gateway are answered 503 or 500 from the payload's start to the job's end.",
    quick=True,
)
def some_fail(scene: Scene) -> str:
    stores = both_stores(scene)
    job_id = scene.submit(
        script=scene.payload(wait=False, more=WRITES), stores=["azure", "s3"], sync=SYNC, resources=BRIEF
    )
    scene.running(job_id)
    stores.azure.mood, stores.s3.mood = Mood(status=503, share=0.3), Mood(status=500, share=0.3)
    first = said(scene.gateway.wait(job_id, 150))
    failed = sum(proxy.failed for proxy in stores.proxies)
    stores.be(Mood())
    job = proved_later(scene, job_id)
    return f"{failed} requests failed; {first} at the job's end, {said(job)} once the stores were well."


@scenario(
    "the stores are full until the job has ended",
    "Every PUT is answered 507 from the third one on; when the job has ended there is room again.",
)
def full(scene: Scene) -> str:
    stores = both_stores(scene)
    stores.be(Mood(status=507, methods=("PUT",), body=FULL, after=6))
    job_id = scene.submit(
        script=scene.payload(wait=False, more=WRITES), stores=["azure", "s3"], sync=SYNC, resources=BRIEF
    )
    job = assert_sound(scene, job_id, outputs=("partial",), seconds=200)
    stores.be(Mood())
    return f"{said(job)} at the job's end; {said(proved_later(scene, job_id))} once there was room."


@scenario(
    "the node's credentials are revoked in the middle of a pass",
    "The signed address that the node pushes with is refused after some requests of its second pass.",
)
def revoked(scene: Scene) -> str:
    stores = both_stores(scene)
    stores.azure.mood = Mood(delay=0.1)
    job_id = scene.submit(script=scene.payload(more=WRITES), stores=["azure"], sync=SYNC, resources=BRIEF)
    scene.running(job_id)
    wait_until(lambda: stores.azure.signatures, 60, "the node's first request")
    scene.release()
    wait_until(lambda: stores.azure.served > 8, 60, "the middle of a pass")
    assert stores.azure.revoke() >= 1
    job = assert_sound(scene, job_id, seconds=150)
    return f"{stores.azure.failed} requests were refused; {said(job)}."


# --- too little time, lost disks


def backlog(scene: Scene, walltime: int, megabytes: int, rate: float, seconds: float) -> str:
    """Have a payload write more than its node can bring within its walltime."""
    stores = both_stores(scene, timing={"record_grace": 10.0})
    stores.be(Mood(rate=rate))
    more = f"n=0; while [ $n -lt {megabytes} ]; do n=$((n + 1)); head -c 1000000 /dev/urandom >big_$n; done; sleep 600"
    job_id = scene.submit(
        script=scene.payload(wait=False, more=more),
        stores=["s3"],
        sync={**SYNC, "reserve": 5},
        resources={"walltime": walltime, "memory": "100M"},
    )
    scene.running(job_id)
    scene.gateway.wait_state(job_id, "finalizing", "failed", seconds=walltime + 90)
    there = len(scene.stored(scene.gateway, "s3", job_id))
    stores.be(Mood())
    wait_until(lambda: scene.gateway.job(job_id)["state"] == "failed", seconds, "the job's end")
    job = proved_later(scene, job_id, seconds)
    assert job["reason"] == "walltime", job
    assert there < megabytes, "the node had brought everything: the store was too fast"
    return f"The node brought {there} of {megabytes} files, the gateway the others: {said(job)}."


@scenario(
    "a walltime of 20 seconds is too short for the backlog",
    "40 files of 1 MB, and a store that takes 100 kB/s and upload.",
    quick=True,
)
def short_walltime(scene: Scene) -> str:
    return backlog(scene, 20, 40, 100_000.0, 120)


@scenario(
    "a walltime of 60 seconds ends with a backlog of 500 MB",
    "500 files of 1 MB, and a store that takes 400 kB/s and upload.",
)
def large_backlog(scene: Scene) -> str:
    return backlog(scene, 60, 500, 400_000.0, 400)


@scenario(
    "the node's scratch disk is wiped when the job has ended",
    "Two jobs run on scratch; one ends by itself, the script of the other is killed; then nothing is left on scratch.",
)
def scratch(scene: Scene) -> str:
    disk = Path(f"{scene.yard.cluster.home}/scratch-{uuid.uuid4().hex[:8]}")
    scene.yard.cluster.check(f"mkdir -p {disk}")
    both_stores(scene, target={"scratch": str(disk)})
    ends, dies = (
        scene.submit(script=scene.payload(more=WRITES), stores=["azure", "s3"], sync=SYNC, resources=SMALL)
        for _ in range(2)
    )
    for job_id in (ends, dies):
        scene.running(job_id)
        wait_until(lambda job_id=job_id: scene.gateway.files(job_id, "s3"), 60, "a pass")
        log = scene.berth.work / ".gateway" / job_id / "1/script.log"
        assert (disk / f"{job_id}.1").is_dir(), log.read_text()
    kill(scene, dies, is_script)
    scene.release()
    scene.gateway.wait(dies)
    job = assert_sound(scene, ends)
    shutil.rmtree(disk)
    assert_sound(scene, ends)
    lost = assert_sound(scene, dies, state=("failed",), outputs=("partial",))
    there = scene.stored(scene.gateway, "s3", dies)
    assert there, "what a pass had brought is there still"
    return f"The first: {said(job)}. The second: {said(lost)}, with the {len(there)} files that a pass had brought."
