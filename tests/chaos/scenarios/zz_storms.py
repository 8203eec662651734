"""Random faults over many jobs. The seed is told; `CHAOS_SEED` plays one again, `CHAOS_JOBS` sets how many jobs."""

from __future__ import annotations

import collections
import contextlib
import os
import random
import signal
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx

from testbed.cluster import Cluster
from testbed.failpoints import arm, fault
from testbed.proxy import FAIR, Weather
from tests.chaos.failing import FailingGateway
from tests.chaos.registry import scenario
from tests.chaos.scenarios.kills import AGAIN
from tests.chaos.scenarios.programs import OddProgram
from tests.chaos.scene import Scene
from tests.chaos.sound import assert_sound
from tests.chaos.storm import ODD, Kind, Order, Strike, Wish, orders, strikes
from tests.e2e.running import ENDED, wait_until

T = TypeVar("T")
STATES = {
    Wish.SUCCEED: ("succeeded",),
    Wish.FAIL: ("failed",),
    Wish.AGAIN: ("succeeded",),
    Wish.CANCEL: ("cancelled", "succeeded"),
}
RUNS = {Wish.SUCCEED: (1, 1), Wish.FAIL: (1, 1), Wish.AGAIN: (2, 2), Wish.CANCEL: (0, 1)}
"""How often a payload begins, where its scheduler runs nothing again."""
MORE = {Wish.FAIL: "exit 3", Wish.AGAIN: AGAIN}


class Storm:
    """One storm: orders come in, faults strike, and in the end everything is looked at."""

    def __init__(self, scene: Scene, cluster: Cluster, seed: int) -> None:
        self.scene, self.cluster, self.seed = scene, cluster, seed
        self.failing = FailingGateway(scene, site=cluster)
        self.gateway = self.failing.gateway
        self.store = Path(self.gateway.raw["stores"]["project"]["path"])
        self.odd = OddProgram(scene, "")
        self.odd.disarm()
        self.wishes: dict[str, Wish] = {}
        self.struck: collections.Counter[Kind] = collections.Counter()

    # --- people

    def call(self, ask: Callable[[], T]) -> T:
        """Ask the gateway; where it is dead, start it and ask again."""
        while True:
            try:
                return ask()
            except httpx.TransportError:
                self.revive()

    def revive(self) -> None:
        """Start the gateway where it is dead, and wait until it answers."""
        for _ in range(5):
            assert self.gateway.process is not None
            if self.gateway.process.poll() is not None:
                self.gateway.spawn()
            with contextlib.suppress(AssertionError):  # it was killed again
                self.gateway.ready()
                return
        raise AssertionError(f"seed {self.seed}: the gateway does not start")

    def order(self, order: Order) -> None:
        """Submit what is ordered, however often it takes; the key sees to it that it is there once."""
        script = self.scene.payload(wait=False, more=f"sleep {order.seconds}\n{MORE.get(order.wish, '')}")
        job: dict[str, Any] = {
            **{"target": "t", "image": None, "stores": ["project"], "script": script},
            "sync": {"interval": None, "settle": 0, "reserve": 20},
            "resources": {"walltime": 300, "memory": "50M"},
        }
        if order.wish is Wish.AGAIN:
            job["retry"] = {"attempts": 2, "reasons": ["exit_code"]}
        sweep = {"job": job, "table": [{"/env/N": str(number)} for number in range(order.jobs)]}
        path, body = ("/api/v1/jobs", job) if order.jobs == 1 else ("/api/v1/sweeps", sweep)
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        answer = self.call(lambda: self.gateway.http.post(path, json=body, headers=headers))
        assert answer.status_code in (200, 202), answer.text
        ids = [answer.json()["id"]]
        if order.jobs > 1:
            sweep_id = {"sweep": ids[0]}
            items = self.call(lambda: self.gateway.http.get("/api/v1/jobs", params=sweep_id)).json()["items"]
            ids = [item["id"] for item in items]
        self.wishes |= dict.fromkeys(ids, order.wish)
        if order.wish is Wish.CANCEL:
            self.call(lambda: self.gateway.http.post(f"/api/v1/jobs/{ids[0]}/cancel"))

    # --- faults

    def strike(self, strike: Strike) -> Callable[[], None]:
        """Break something; return what puts it right again."""
        self.struck[strike.kind] += 1
        match strike.kind:
            case Kind.KILL:
                self.gateway.end(signal.SIGKILL)
                self.gateway.spawn()
                return self.revive
            case Kind.KILL_AT:
                arm(self.failing.plan, fault(strike.step, strike.nth))
                return lambda: (arm(self.failing.plan), self.revive())[-1]
            case Kind.FREEZE:
                self.failing.signal(signal.SIGSTOP)
                time.sleep(strike.seconds)
                return lambda: self.failing.signal(signal.SIGCONT)
            case Kind.RESET:
                self.scene.proxy.cut()
            case Kind.SILENCE:
                return self._weather(Weather(silent=True))
            case Kind.REFUSE:
                return self._weather(Weather(refuse=True))
            case Kind.SLOW:
                return self._weather(Weather(latency=0.2))
            case Kind.ODD_SBATCH:
                self.odd.arm(ODD[strike.number % len(ODD)])
                return self.odd.disarm
            case Kind.REQUEUE:
                self._requeue(strike.number)
            case Kind.RESTART:
                self.cluster.stop_slurmctld()
                return self.cluster.start_slurmctld
            case Kind.STORE:
                if self.store.exists():
                    self.store.chmod(0)
                    return lambda: self.store.chmod(0o755)
        return lambda: None

    def _weather(self, weather: Weather) -> Callable[[], None]:
        self.scene.proxy.set(weather, cut=weather.refuse)
        return lambda: self.scene.proxy.set(FAIR, cut=weather.silent)

    def _requeue(self, number: int) -> None:
        running = sorted(self.cluster.command("squeue", "-h", "-t", "running", "-o", "%A").stdout.split())
        if running:
            chosen = running[number % len(running)]
            self.cluster.command("scontrol", "update", f"jobid={chosen}", "requeue=1")
            self.cluster.command("scontrol", "requeue", chosen)

    def hurry(self) -> None:
        """Have jobs that were put back into the queue run at once: Slurm would wait for two minutes."""
        for job_id in self.cluster.command("squeue", "-h", "-t", "pending", "-o", "%A %r").stdout.splitlines():
            if "BeginTime" in job_id:
                self.cluster.command("scontrol", "update", f"jobid={job_id.split()[0]}", "starttime=now")

    # --- the storm, and what is left

    def blow(self, blows: list[Strike], wanted: list[Order], until: float) -> None:
        """Strike, let orders come in, put right, and so on."""
        share = -(-len(wanted) // len(blows))
        for number, blow in enumerate(blows):
            if time.monotonic() > until:
                break
            heal = self.strike(blow)
            try:
                coming = wanted[number * share : (number + 1) * share] if blow.kind is not Kind.FREEZE else []
                for order in coming:
                    self.order(order)
                time.sleep(0 if blow.kind is Kind.FREEZE else blow.seconds)
            finally:
                heal()
            if blow.kind is Kind.FREEZE:
                for order in wanted[number * share : (number + 1) * share]:
                    self.order(order)
            self.hurry()

    def calm(self, seconds: float) -> list[str]:
        """Wait until every job has ended; return the ids of those that have not."""

        def open_ones() -> list[str]:
            self.hurry()
            return [job_id for job_id in self.wishes if self.gateway.job(job_id)["state"] not in ENDED]

        with contextlib.suppress(AssertionError):
            wait_until(lambda: not open_ones(), seconds, "the end of all jobs")
        return open_ones()

    def judge(self) -> dict[str, list[str]]:
        """Look at every job from outside; return what is said of it wrongly, what was lost, what ran twice."""
        found: dict[str, list[str]] = {"lost": [], "run twice": [], "wrong": []}
        with contextlib.suppress(AssertionError):  # what ended late, and runs again
            wait_until(lambda: self.hurry() or not self.scene.scheduler_jobs(), 90, "the end at the scheduler")
        outputs: collections.Counter[str] = collections.Counter()
        for job_id, wish in self.wishes.items():
            job = self.gateway.job(job_id)
            runs = len(self.scene.begun(job_id))
            control = Path(self.scene.berth.work) / ".gateway" / job_id
            again = len(list(control.glob("*/run-*")))
            least, most = RUNS[wish]
            if job["state"] == "lost" or (job["state"] in STATES[wish] and runs < least - again):
                found["lost"].append(f"{job_id}: {job['state']}, {runs} runs")
            elif runs > most + again:
                found["run twice"].append(f"{job_id} ({wish}): {runs} runs, {again} reruns")
            else:
                try:
                    every = ("complete", "rescued", "partial", "none")
                    assert_sound(self.scene, job_id, state=STATES[wish], runs=runs, outputs=every)
                except AssertionError as error:
                    found["wrong"].append(f"{job_id} ({wish}): {str(error)[:300]}")
                outputs[job["outputs"]["state"]] += 1
        self.outputs = ", ".join(f"{count} {word}" for word, count in sorted(outputs.items()))
        return found


def storm(scene: Scene, cluster: Cluster, seed: int, jobs: int, faults: int, kinds: list[Kind], seconds: float) -> str:
    """Play a storm; the last third of the time is for jobs to come to their ends."""
    made = Storm(scene, cluster, seed)
    told = f"seed {seed}"
    print(f"storm: {told}, {jobs} jobs", flush=True)
    made.blow(strikes(seed, faults, kinds), orders(seed, jobs), time.monotonic() + seconds)
    assert len(made.wishes) == jobs, f"{told}: only {len(made.wishes)} jobs were submitted within {seconds} s"
    left = made.calm(seconds)
    found = made.judge()
    found["lost"] += [f"{job_id}: {made.gateway.job(job_id)['state']}" for job_id in left]
    assert not any(found.values()), f"{told}: {found}"
    return (
        f"{told}: {jobs} jobs, {made.struck.total()} faults of {len(made.struck)} kinds: "
        f"0 lost, 0 run twice, 0 wrong; outputs: {made.outputs}"
    )


@scenario("a short storm of random faults", "20 jobs, a fixed seed, a fault after the other", quick=True)
def _(scene: Scene) -> str:
    kinds = [Kind.KILL, Kind.KILL_AT, Kind.RESET, Kind.SILENCE, Kind.ODD_SBATCH, Kind.STORE]
    return storm(scene, scene.yard.cluster, 1, 20, 5, kinds, 60)


@scenario(
    "a long storm of random faults",
    "500 jobs: single ones and arrays, some to fail, to be tried again, to be cancelled; eleven kinds of faults",
)
def _(scene: Scene) -> str:
    seed = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(10**6))
    jobs = int(os.environ.get("CHAOS_JOBS") or 500)
    cluster = scene.keep(Cluster(cpus=8, memory_mb=16000, min_job_age=3600))
    return storm(scene, cluster, seed, jobs, max(11, jobs // 8), list(Kind), 900)
