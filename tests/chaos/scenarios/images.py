"""Faults of the places that images come from. The payload runs in a container and is counted by an HTTP server."""

from __future__ import annotations

import time
from typing import Any

from testbed.mirror import Fault, Mirror
from tests.chaos.registry import scenario
from tests.chaos.scene import Scene
from tests.chaos.sound import assert_sound
from tests.e2e.running import wait_until


def in_container(
    scene: Scene, first: Fault | None, second: Fault | None = None, *, mirrors: int = 2
) -> tuple[Mirror, dict[str, Any]]:
    """Start a mirror with the image in one or two places; return it, and the changes of a request that uses it."""
    mirror: Mirror = scene.keep(Mirror())
    found = scene.yard.image
    urls = [mirror.serve(f"/{n}.sqfs", found.squashfs, fault) for n, fault in enumerate((first, second)[:mirrors])]
    counter = mirror.serve("/ran", b"ok")
    scene.count_by(lambda job_id: [f"{job_id} {n}" for n in range(mirror.begun("/ran"))])
    image = {"ref": urls[0], "digest": found.squashfs_digest, "mirrors": urls[1:]}
    script = f"busybox wget -q -O /dev/null {counter}\necho 1 >part_1\necho done >last\n"
    return mirror, {"image": image, "script": script}


def cached(scene: Scene) -> list[str]:
    """Return the names of what looks like an image in the target's cache."""
    folder = scene.berth.base / "images"
    return sorted(p.name for p in folder.iterdir() if p.suffix in (".sqfs", ".sif")) if folder.is_dir() else []


@scenario(
    "the mirror dies in the middle of a pull",
    "The first place ends each answer after 300 kB; the second one is whole.",
)
def mirror_dies(scene: Scene) -> str:
    mirror, request = in_container(scene, Fault(truncate=300_000))
    job_id = scene.submit(**request)
    assert_sound(scene, job_id)
    assert len(cached(scene)) == 1
    return f"{mirror.bytes_sent('/0.sqfs')} and {mirror.bytes_sent('/1.sqfs')} bytes came from the two."


@scenario(
    "a mirror lies", "The first place serves other bytes of the same length; the second one is honest.", quick=True
)
def mirror_lies(scene: Scene) -> str:
    _, request = in_container(scene, Fault(corrupt=True))
    job_id = scene.submit(**request)
    assert_sound(scene, job_id)
    assert len(cached(scene)) == 1
    return "The digest was checked; the image of the honest one was used."


@scenario("all mirrors lie", "Both places serve other bytes of the same length.")
def all_lie(scene: Scene) -> str:
    _, request = in_container(scene, Fault(corrupt=True), Fault(corrupt=True))
    job_id = scene.submit(**request)
    job = assert_sound(scene, job_id, state=("failed",), runs=0, outputs=("none", "complete", "partial"))
    assert (job["reason"], cached(scene)) == ("image_pull_failed", [])
    return f"failed, {job['reason']}; nothing came into the cache."


@scenario(
    "the only mirror dies in the middle of a pull and comes back",
    "Answers end after 300 kB until three were asked for.",
)
def comes_back(scene: Scene) -> str:
    mirror, request = in_container(scene, Fault(truncate=300_000), mirrors=1)
    job_id = scene.submit(**request, retry={"attempts": 3, "reasons": ["image_pull_failed"]})
    wait_until(lambda: mirror.begun("/0.sqfs") >= 3, 60, "three requests")
    mirror.fail("/0.sqfs", None)
    job = assert_sound(scene, job_id)
    return f"Attempt {job['attempt']} ran, after {mirror.begun('/0.sqfs')} requests."


@scenario("a mirror stalls", "The only place sends 300 kB and then nothing for 8 s.")
def stalls(scene: Scene) -> str:
    mirror, request = in_container(scene, Fault(stall=300_000), mirrors=1)
    job_id = scene.submit(**request)
    wait_until(lambda: mirror.begun("/0.sqfs"), 60, "the pull")
    time.sleep(8)
    mirror.fail("/0.sqfs", None)
    assert_sound(scene, job_id)
    return f"{mirror.begun('/0.sqfs')} requests."
