"""SIGKILL on the node at random moments: script, rclone, syncer, everything. What survives gets into the stores.

The seed is told; `CHAOS_SEED` plays one again, `CHAOS_KILLS` sets how many processes the long scenario kills.
"""

from __future__ import annotations

import collections
import contextlib
import os
import random
import signal
import time
from pathlib import Path

from testbed.cluster import Cluster
from testbed.http_proxy import Mood
from tests.chaos.blows import Blow, Victim, blows
from tests.chaos.registry import scenario
from tests.chaos.scenarios.outputs import Stores, both_stores
from tests.chaos.scene import Scene
from tests.chaos.sound import PROVED, assert_sound
from tests.e2e.running import ENDED

FOLLOWS = [{"source": "lines", "follow": True}, {"source": "torn", "follow": True}, {"source": "**"}]
"""What every other job wants: two files as they grow, and all others."""
SYNC = {"interval": 1, "settle": 0, "reserve": 20}
WRITES = """mkdir -p data
n=0
while [ "$n" -lt 12 ]; do
  n=$((n + 1))
  echo "$n" >"part_$n"
  head -c 30000 /dev/urandom >"data/$((n % 3))"
  echo "$n" >>lines
  printf '%s, ' "$n" >>torn
  sleep 0.25
done
: >empty"""
"""Writes new files, files again at the same size, a growing one and an empty one, for three seconds."""


def node_processes(scene: Scene) -> dict[str, dict[int, str]]:
    """Return the processes of the scenario's jobs, by the scheduler's id, with their command lines.

    Other clusters on this machine have jobs with the same ids: only what knows the scenario's folders is taken.
    """
    base = str(scene.berth.base).encode()
    found: dict[str, dict[int, str]] = collections.defaultdict(dict)
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            environ = (entry / "environ").read_bytes()
            _, mark, rest = environ.partition(b"SLURM_JOB_ID=")
            if mark and base in environ:
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
                found[rest.partition(b"\0")[0].decode()][int(entry.name)] = words.decode(errors="replace")
    return found


class Killing:
    """Jobs at the same time, each with a blow of its own."""

    def __init__(self, scene: Scene, stores: Stores, planned: list[Blow], at_once: int) -> None:
        self.scene, self.stores, self.at_once = scene, stores, at_once
        self.coming = list(reversed(planned))
        self.open: dict[str, Blow] = {}
        self.jobs: dict[str, Blow] = {}
        self.struck: collections.Counter[Victim] = collections.Counter()
        self._look_at = 0.0

    def play(self, seconds: float) -> None:
        """Submit jobs and strike them until every blow has hit. A blow that came too late is given to another job."""
        end = time.monotonic() + seconds
        while self.coming or self.open:
            assert time.monotonic() < end, f"{len(self.coming)} blows to come, {self.open}"
            while self.coming and len(self.open) < self.at_once:
                self._submit(self.coming.pop())
            self._strike()
            self._nothing_is_final()
            time.sleep(0.05)

    def _submit(self, blow: Blow) -> None:
        store = self.stores.names[len(self.jobs) % len(self.stores.names)]
        script = self.scene.payload(wait=False, parts=1, more=WRITES)
        resources = {"walltime": 300, "memory": "50M"}
        more = {"outputs": FOLLOWS} if len(self.jobs) % 4 > 1 else {}
        job_id = self.scene.submit(stores=[store], script=script, sync=SYNC, resources=resources, **more)
        self.open[job_id] = self.jobs[job_id] = blow

    def _strike(self) -> None:
        begun = self._begun()
        processes = node_processes(self.scene)
        for job_id, blow in list(self.open.items()):
            if job_id not in begun:
                continue
            scheduler_id, at = begun[job_id]
            if time.time() < at + blow.after:
                continue
            chosen = blow.victim.among(processes.get(scheduler_id, {}))
            if chosen:
                for pid in chosen:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                self.struck[blow.victim] += 1
                del self.open[job_id]
            elif self.scene.gateway.job(job_id)["state"] in (*ENDED, "finalizing"):
                del self.open[job_id]
                self.coming.insert(0, Blow(blow.victim, 0.0))

    def _nothing_is_final(self) -> None:
        """Look at one of the jobs that run: nothing of it may be shown as final."""
        job_id = next(iter(self.open), None)
        if job_id is None or time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + 2  # what strikes has to be quick
        files = self.scene.gateway.files(job_id)
        if self.scene.gateway.job(job_id)["state"] == "running":
            finals = [path for path, file in files.items() if file["state"] == "final"]
            assert not finals, f"{job_id} runs, and {finals} are shown as final"

    def _begun(self) -> dict[str, tuple[str, float]]:
        """Return, of each job whose payload has begun, the scheduler's id and the time."""
        with contextlib.suppress(FileNotFoundError):
            lines = [line.split() for line in self.scene.berth.begun.read_text().splitlines()]
            parts = {job_id: rest.partition(".") for job_id, rest in lines}
            return {job_id: (number, int(at) / 1e9) for job_id, (number, _, at) in parts.items()}
        return {}

    def judge(self, seconds: float) -> str:
        """Look at every job; return how its outputs ended."""
        end = time.monotonic() + seconds
        ends: collections.Counter[str] = collections.Counter()
        wrong = []
        for job_id, blow in self.jobs.items():
            try:
                left = max(end - time.monotonic(), 1)
                job = assert_sound(self.scene, job_id, state=("succeeded", "failed"), outputs=PROVED, seconds=left)
            except AssertionError as error:
                wrong.append(f"{blow}: {str(error)[:400]}")
            else:
                ends[f"{job['state']}, {job['outputs']['state']}"] += 1
        assert not wrong, f"{len(wrong)} of {len(self.jobs)} jobs: {wrong}"
        return ", ".join(f"{count} × {words}" for words, count in sorted(ends.items()))


def kills(scene: Scene, seed: int, count: int, seconds: float, at_once: int) -> str:
    """Kill so many processes, each in a job of its own."""
    print(f"kills: seed {seed}", flush=True)
    cluster = scene.keep(Cluster(cpus=at_once, memory_mb=4000, min_job_age=3600))
    stores = both_stores(scene, site=cluster)
    for proxy in stores.proxies:
        proxy.mood = Mood(delay=0.1)
    killing = Killing(scene, stores, blows(seed, count), at_once)
    try:
        killing.play(seconds)
        ends = killing.judge(seconds)
    except AssertionError as error:
        raise AssertionError(f"seed {seed}: {error}") from None
    assert killing.struck.total() == count
    hits = ", ".join(f"{victim} {number}×" for victim, number in sorted(killing.struck.items()))
    return f"seed {seed}: {hits}; {ends}."


@scenario(
    "twenty processes of jobs are killed at random moments",
    "SIGKILL to script, rclone, syncer or everything of twenty jobs that push to Azurite and S3; a fixed seed",
    quick=True,
)
def _(scene: Scene) -> str:
    return kills(scene, int(os.environ.get("CHAOS_SEED") or 1), 20, 200, 10)


@scenario(
    "two hundred processes of jobs are killed at random moments",
    "as above, with two hundred jobs and another seed each time",
)
def _(scene: Scene) -> str:
    seed = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(10**6))
    return kills(scene, seed, int(os.environ.get("CHAOS_KILLS") or 200), 1200, 10)
