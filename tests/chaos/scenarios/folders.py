"""Faults of the target's file systems: full, read-only, over quota, unreadable, tidied up by a person."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.chaos.registry import scenario
from tests.chaos.scene import Scene
from tests.chaos.sound import PROVED, assert_sound, problems, states
from tests.e2e.running import wait_until


class Disk:
    """A small disk under the work folder. Only root can mount one: for others, files cannot grow in its place."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._filler = scene.berth.work / ".filler"
        self._real = os.geteuid() == 0

    @contextmanager
    def mounted(self) -> Iterator[Disk]:
        """Put it there."""
        work = self._scene.berth.work
        self._scene.site.check(f"mkdir -p {work}")
        if not self._real:
            self._scene.wrap("tar", 'if [ -e "$flag" ]; then echo "No space left on device" >&2; exit 2; fi')
            yield self
            return
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m,mode=1777", "tmpfs", str(work)], check=True)
        try:
            yield self
        finally:
            subprocess.run(["umount", "-l", str(work)], check=True)

    def fill(self) -> None:
        """Leave not one block."""
        self._scene.fault()
        if self._real:
            with self._filler.open("wb") as file:
                try:
                    while True:
                        file.write(b"\0" * 65536)
                        file.flush()
                except OSError:
                    pass
            with self._filler.open("ab", buffering=0) as file:
                try:
                    while True:
                        file.write(b"\0")
                except OSError:
                    pass

    def free(self) -> None:
        """Have room again."""
        self._scene.fault(False)
        self._filler.unlink(missing_ok=True)


@scenario(
    "the disk is full when a job is staged",
    "No block is left in the work folder until the job says so; then there is room again.",
    quick=True,
)
def full_at_staging(scene: Scene) -> str:
    disk: Disk = scene.keep(Disk(scene).mounted())
    disk.fill()
    job_id = scene.submit(script=scene.payload(wait=False))
    said = wait_until(lambda: scene.gateway.job(job_id)["message"], 60, "the job's word about the disk")
    disk.free()
    assert_sound(scene, job_id)
    return f"It said: {' '.join(said.split())[-80:]}."


@scenario("the disk stays full", "No block is left in the work folder, for good.")
def full_for_good(scene: Scene) -> str:
    disk: Disk = scene.keep(Disk(scene).mounted())
    disk.fill()
    job_id = scene.submit(script=scene.payload(wait=False))
    job = assert_sound(scene, job_id, state=("failed",), runs=0, outputs=("none", "partial"))
    assert job["reason"] == "staging_failed"
    return f"failed, {job['reason']}, without a run."


@scenario(
    "the payload fills the disk", "The payload writes until nothing more fits; records and log are on the same disk."
)
def payload_fills(scene: Scene) -> str:
    scene.keep(Disk(scene).mounted())
    limit = "" if os.geteuid() == 0 else "ulimit -f 2000; "
    job_id = scene.submit(script=scene.payload(wait=False, more=f"{limit}head -c 40000000 /dev/zero >big || exit 7"))
    job = assert_sound(scene, job_id, state=("failed",), outputs=(*PROVED, "partial"))
    assert job["reason"] in ("exit_code", "signalled"), job
    return f"failed, {job['reason']} {job['exit_code']}, by its own final record; outputs {job['outputs']['state']}."


@scenario("a job is cancelled while the disk is full", "The word stop cannot be written; the scheduler has to be told.")
def stop_on_a_full_disk(scene: Scene) -> str:
    disk: Disk = scene.keep(Disk(scene).mounted())
    job_id = scene.submit()
    scene.running(job_id)
    disk.fill()
    scene.gateway.cancel(job_id)
    job = assert_sound(scene, job_id, state=("cancelled",), outputs=(*PROVED, "partial"), seconds=150)
    return f"cancelled, {job['reason']}; outputs {job['outputs']['state']}."


@scenario("the work folder is read-only when a job is staged", "Nothing can be made in it until the job says so.")
def read_only(scene: Scene) -> str:
    scene.site.check(f"mkdir -p {scene.berth.work} && chmod 0555 {scene.berth.work}")
    job_id = scene.submit(script=scene.payload(wait=False))
    said = wait_until(lambda: scene.gateway.job(job_id)["message"], 60, "the job's word about the folder")
    scene.site.check(f"chmod 0755 {scene.berth.work}")
    assert_sound(scene, job_id)
    said = said.replace(str(scene.berth.work), "(work folder)")
    return f"It said: {' '.join(said.split())[-80:]}."


@scenario("the quota is used up when a job is staged", "tar says: Disk quota exceeded, until the job says so.")
def quota(scene: Scene) -> str:
    scene.wrap(
        "tar",
        'if [ -e "$flag" ]; then echo "tar: job.sh: Cannot write: Disk quota exceeded" >&2; cat >/dev/null; exit 2; fi',
    )
    scene.fault()
    job_id = scene.submit(script=scene.payload(wait=False))
    said = wait_until(lambda: scene.gateway.job(job_id)["message"], 60, "the job's word about the quota")
    scene.fault(False)
    assert_sound(scene, job_id)
    return f"It said: {' '.join(said.split())[-80:]}."


@scenario("the job's folder is removed by a person", "rm -r of the job's folder while the payload waits.", quick=True)
def folder_removed(scene: Scene) -> str:
    job_id = scene.submit()
    scene.running(job_id)
    wait_until(lambda: "last" in scene.gateway.files(job_id) or len(scene.gateway.files(job_id)) >= 4, 30, "outputs")
    shutil.rmtree(scene.berth.work / job_id)
    scene.release()
    job = assert_sound(scene, job_id, state=("failed",), outputs=("partial",))
    kept = scene.stored(scene.gateway, "folder", job_id)
    assert kept, "what had reached the store is gone"
    said = problems(scene.gateway, job_id)["folder"]
    return f"{job['state']}, {job['reason']}; {len(kept)} files that had reached the store are still there: {said}"[
        :200
    ]


@scenario("the control folder is removed by a person", "rm -r of the attempt's control folder while the payload waits.")
def control_removed(scene: Scene) -> str:
    job_id = scene.submit()
    scene.running(job_id)
    shutil.rmtree(scene.berth.work / ".gateway" / job_id)
    scene.release()
    job = assert_sound(scene, job_id, state=("failed", "lost"), outputs=(*PROVED, "partial", "none"))
    assert job["exit_code"] is None
    return f"{job['state']}, {job['reason']}: without a record it is no success; outputs {job['outputs']['state']}."


@scenario(
    "the records cannot be read when the scheduler says that the job ended",
    "awk fails on the login node for longer than the record's grace time.",
    quick=True,
)
def records_unreadable(scene: Scene) -> str:
    scene.wrap("awk", 'if [ -e "$flag" ]; then echo "awk: Input/output error" >&2; exit 2; fi')
    job_id = scene.submit()
    scene.running(job_id)
    scene.fault()
    scene.release()
    final = scene.berth.work / ".gateway" / job_id / "1/final.json"
    wait_until(final.exists, 30, "the final record")
    time.sleep(5)
    assert "failed" not in states(scene.gateway, job_id)
    scene.fault(False)
    assert_sound(scene, job_id)
    return f"It went {' → '.join(states(scene.gateway, job_id))}."


@scenario(
    "the final record comes late",
    "The record is hidden for less than its grace time, as a cached folder of a shared file system would.",
)
def record_late(scene: Scene) -> str:
    job_id = scene.submit()
    scene.running(job_id)
    control = Path(scene.berth.work / ".gateway" / job_id / "1")
    scene.wrap("find", 'if [ -e "$flag" ]; then "$real" "$@" | grep -v " final.json "; exit 0; fi')
    scene.fault()
    scene.release()
    wait_until((control / "final.json").exists, 30, "the final record")
    wait_until(lambda: not scene.scheduler_jobs(), 30, "the scheduler's end of the job")
    time.sleep(1)
    scene.fault(False)
    assert_sound(scene, job_id)
    return f"It went {' → '.join(states(scene.gateway, job_id))}."
