"""Faults of the store: refusing, failing in part, slow, gone, and with credentials that are over."""

from __future__ import annotations

import time
import uuid
from typing import Any

from testbed.http_proxy import HttpProxy, Mood
from testbed.proxy import FAIR, Proxy, Weather
from tests.chaos.registry import scenario
from tests.chaos.scene import FOLDER, Scene
from tests.chaos.sound import PROVED, assert_sound, problems
from tests.e2e.running import wait_until

PUSH = {"more": "head -c 300000 /dev/urandom >large"}
BRIEF = {"resources": {"walltime": 60, "memory": "100M"}, "sync": {"interval": 1, "settle": 0, "reserve": 20}}
"""A job whose node gives up in time: it tries to copy as long as its walltime allows."""
EXPIRED = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>ExpiredToken</Code>'
    b"<Message>The provided token has expired.</Message></Error>"
)


def s3(scene: Scene, endpoint: str) -> dict[str, Any]:
    """Return the section of an S3 store, which the node pushes to by way of `endpoint`."""
    return {
        "kind": "rclone",
        "transfer": "push",
        "root": f"{scene.yard.seaweed.bucket}/{uuid.uuid4().hex[:8]}",
        "remote": {"type": "s3", "provider": "Other", "endpoint": endpoint},
        "secrets": {"access_key_id": {"env": "CHAOS_S3_ID"}, "secret_access_key": {"env": "CHAOS_S3_KEY"}},
    }


def behind_http(scene: Scene) -> HttpProxy:
    """Start a gateway whose store is behind an HTTP proxy."""
    proxy: HttpProxy = scene.keep(HttpProxy(int(scene.yard.seaweed.endpoint.rpartition(":")[2])))
    scene.start(stores={"s3": s3(scene, proxy.url)}, environ=keys(scene))
    return proxy


def behind_tcp(scene: Scene) -> Proxy:
    """Start a gateway whose stores are one behind a TCP proxy, and a folder."""
    proxy: Proxy = scene.keep(Proxy(int(scene.yard.seaweed.endpoint.rpartition(":")[2])))
    stores = {"s3": s3(scene, f"http://127.0.0.1:{proxy.port}"), **FOLDER}
    scene.start(stores=stores, environ={**keys(scene), "GATEWAY__GATEWAY__DEFAULT_STORE": "s3"})
    return proxy


def keys(scene: Scene) -> dict[str, str]:
    """Return the store's keys as variables."""
    return {"CHAOS_S3_ID": scene.yard.seaweed.access_key, "CHAOS_S3_KEY": scene.yard.seaweed.secret_key}


@scenario(
    "a third of all requests to the store fail",
    "30 % of the requests, of node and gateway, are answered 503, from beginning to end.",
)
def some_fail(scene: Scene) -> str:
    proxy = behind_http(scene)
    job_id = scene.submit(script=scene.payload(parts=8, **PUSH))
    scene.running(job_id)
    proxy.mood = Mood(status=503, share=0.3)
    time.sleep(2)
    scene.release()
    job = assert_sound(scene, job_id, outputs=(*PROVED, "partial"))
    return f"{proxy.failed} of {proxy.failed + proxy.served} requests failed; outputs {job['outputs']['state']}."


@scenario("the store refuses to write", "Every PUT is answered 403 from the payload's start until the end.")
def refuses(scene: Scene) -> str:
    proxy = behind_http(scene)
    proxy.mood = Mood(status=403, methods=("PUT", "POST"))
    job_id = scene.submit(script=scene.payload(**PUSH), **BRIEF)
    scene.running(job_id)
    scene.release()
    job = assert_sound(scene, job_id, outputs=("partial",), seconds=150)
    return f"{job['state']}, outputs {job['outputs']['state']}: {problems(scene.gateway, job_id)['s3']}"[:160]


def wait_failed_pass(scene: Scene, job_id: str) -> None:
    """Wait until a try of the node's final pass has failed."""
    log = scene.berth.work / ".gateway" / job_id / "1/sync.jsonl"

    def failed() -> bool:
        lines = log.read_text().splitlines() if log.exists() else []
        return any('"kind":"final"' in line and '"exit_status":0' not in line for line in lines)

    wait_until(failed, 90, "a failed final pass")


@scenario(
    "the store is gone at the job's end and back",
    "Its port refuses from the payload's last second until a final pass of the node has failed.",
    quick=True,
)
def gone_at_the_end(scene: Scene) -> str:
    proxy = behind_tcp(scene)
    job_id = scene.submit(script=scene.payload(**PUSH))
    scene.running(job_id)
    proxy.set(Weather(refuse=True), cut=True)
    scene.release()
    wait_failed_pass(scene, job_id)
    proxy.set(FAIR)
    job = assert_sound(scene, job_id)
    return f"The node tried again; outputs {job['outputs']['state']}."


@scenario(
    "the store comes back when the node's time is over",
    "Its port refuses from the payload's last second until the walltime has ended the node's final pass.",
)
def back_too_late(scene: Scene) -> str:
    proxy = behind_tcp(scene)
    job_id = scene.submit(script=scene.payload(**PUSH), **BRIEF)
    scene.running(job_id)
    proxy.set(Weather(refuse=True), cut=True)
    scene.release()
    scene.gateway.wait_state(job_id, "finalizing", seconds=120)
    proxy.set(FAIR)
    job = assert_sound(scene, job_id)
    assert job["outputs"]["state"] == "rescued"
    return "The gateway brought the files: rescued."


@scenario("the store stays away", "Its port refuses from the payload's start, and never comes back.")
def stays_away(scene: Scene) -> str:
    proxy = behind_tcp(scene)
    job_id = scene.submit(script=scene.payload(**PUSH), stores=["s3", "folder"], **BRIEF)
    scene.running(job_id)
    proxy.set(Weather(refuse=True), cut=True)
    scene.release()
    job = assert_sound(scene, job_id, outputs=(*PROVED, "partial", "none"), seconds=240)
    shown = {name: store["state"] for name, store in job["outputs"]["stores"].items()}
    assert shown["folder"] in PROVED
    assert shown["s3"] not in PROVED
    return f"Each store by itself: {shown}."


@scenario("the store is slow", "20 kB/s for a job that leaves 300 kB, until the node's final pass has begun.")
def slow(scene: Scene) -> str:
    proxy = behind_tcp(scene)
    job_id = scene.submit(script=scene.payload(**PUSH))
    scene.running(job_id)
    proxy.set(Weather(rate=20_000))
    scene.release()
    job = assert_sound(scene, job_id, seconds=150)
    return f"Outputs {job['outputs']['state']}."


@scenario(
    "the store swallows everything",
    "A black hole before the store from the payload's start until the job's walltime has ended its final pass.",
)
def swallows(scene: Scene) -> str:
    proxy = behind_tcp(scene)
    job_id = scene.submit(script=scene.payload(**PUSH), **BRIEF)
    scene.running(job_id)
    proxy.set(Weather(silent=True))
    scene.release()
    scene.gateway.wait_state(job_id, "finalizing", seconds=150)
    proxy.set(FAIR, cut=True)
    job = assert_sound(scene, job_id, seconds=150)
    return f"The pass was ended, the payload's success kept; outputs {job['outputs']['state']}."


@scenario(
    "the token expires while the job runs",
    "The store answers ExpiredToken from the payload's start until a final pass of the node has failed.",
)
def token_expired(scene: Scene) -> str:
    proxy = behind_http(scene)
    job_id = scene.submit(script=scene.payload(**PUSH))
    scene.running(job_id)
    proxy.mood = Mood(status=400, body=EXPIRED)
    scene.release()
    wait_failed_pass(scene, job_id)
    proxy.mood = Mood()
    job = assert_sound(scene, job_id)
    return f"The files stayed on the cluster; outputs {job['outputs']['state']}."


@scenario(
    "the store loses a file after the node's final pass",
    "An object is removed between the node's claim and the gateway's look.",
)
def loses(scene: Scene) -> str:
    proxy = behind_http(scene)
    scene.stop_at("tail", "*/.gateway/*")  # the gateway reading the records; the syncer calls it too
    job_id = scene.submit(script=scene.payload(wait=False, **PUSH))
    scene.stopped()
    store = scene.gateway.raw["stores"]["s3"]
    scene.delete_object(f"{store['root']}/{job_id}/part_2")
    scene.go_on()
    job = assert_sound(scene, job_id)
    assert job["outputs"]["stores"]["s3"]["state"] == "rescued"
    assert proxy.failed == 0
    return "The node's claim was not believed: the gateway brought the file, and says rescued."
