"""Faults of the network between gateway and target."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from testbed.proxy import FAIR, Weather
from tests.chaos.registry import Play, add, scenario
from tests.chaos.scene import Scene
from tests.chaos.sound import assert_sound, states
from tests.e2e.running import wait_until


@scenario(
    "connections are refused while a job runs",
    "The way to the cluster refuses connections from the payload's start until the job is shown as unknown.",
    quick=True,
)
def refused_while_running(scene: Scene) -> str:
    job_id = scene.submit()
    scene.running(job_id)
    scene.proxy.set(Weather(refuse=True), cut=True)
    scene.gateway.wait_state(job_id, "unknown")
    assert scene.target()["state"] == "unreachable"
    scene.release()
    scene.proxy.set(FAIR)
    assert_sound(scene, job_id)
    seen = states(scene.gateway, job_id)
    assert "lost" not in seen
    assert seen.index("unknown") < seen.index("finalizing")
    return f"It went {' → '.join(seen)}."


@dataclass(frozen=True)
class Step:
    """A moment that the target is held in: a program that the gateway's command runs there."""

    when: str
    command: str
    pattern: str = "*"
    scheduler: str = "slurm"


STEPS = (
    Step("the files are staged", "tar", "*' -x '*"),
    Step("a job is submitted", "sbatch", "*' --parsable '*"),
    Step("the scheduler is asked", "squeue", "*' -j '*"),
    Step("records are read", "awk"),
    Step("an ended job's records are fetched", "tail"),
    Step("the scheduler is told to cancel", "scancel", scheduler="later"),
)


def reset(scene: Scene) -> None:
    """Reset the connection; the next one is fine."""
    scene.proxy.cut()
    scene.go_on()


def swallow(scene: Scene) -> None:
    """Deliver nothing for longer than the gateway waits for an answer, and leave the connection standing."""
    scene.proxy.set(Weather(silent=True))
    scene.go_on()
    scene.wait_target("unreachable", seconds=150)
    scene.proxy.set(FAIR)


def truncate(scene: Scene) -> None:
    """End the stream in the middle of the answer."""
    connections = scene.proxy.connections
    scene.proxy.set(Weather(truncate_after=40))
    scene.go_on()
    wait_until(lambda: scene.proxy.connections > connections, what="another connection")
    scene.proxy.set(FAIR)


FAULTS: dict[str, tuple[Callable[[Scene], None], str]] = {
    "reset": (
        reset,
        "The connection is reset (RST) at that moment; the command on the target goes on, its answer is lost.",
    ),
    "truncated": (truncate, "The answer ends (FIN) after 40 bytes."),
    "swallowed": (
        swallow,
        "From that moment nothing is delivered in either direction, until the target is unreachable.",
    ),
}
QUICK = {("reset", 0), ("reset", 1), ("reset", 4), ("reset", 5), ("truncated", 1), ("truncated", 2)}


def at_step(step: Step, fault: Callable[[Scene], None]) -> Play:
    """Return the scenario of a fault at a step."""

    def play(scene: Scene) -> str:
        scene.use(step.scheduler)
        scene.stop_at(step.command, step.pattern)
        job_id = scene.submit()
        if step.scheduler == "later":
            scene.gateway.wait_state(job_id, "queued")
            scene.gateway.cancel(job_id)
        if step.command == "tail":
            scene.release()
        scene.stopped()
        fault(scene)
        if step.scheduler == "later":
            assert_sound(scene, job_id, state=("cancelled",), runs=0, outputs=("none", "partial"))
        else:
            scene.release()
            assert_sound(scene, job_id)
        return f"It went {' → '.join(states(scene.gateway, job_id))}."

    return play


for word, (fault, what) in FAULTS.items():
    for number, step in enumerate(STEPS):
        add(f"the link is {word} while {step.when}", what, at_step(step, fault), quick=(word, number) in QUICK)


@scenario(
    "the target is not there when a job is accepted",
    "Connections are refused before the job is submitted, for 4 s.",
    quick=True,
)
def absent_at_first(scene: Scene) -> str:
    scene.proxy.set(Weather(refuse=True))
    job_id = scene.submit(script=scene.payload(wait=False))
    scene.wait_target("unreachable")
    time.sleep(2)
    assert scene.gateway.job(job_id)["state"] in ("accepted", "staging")
    scene.proxy.set(FAIR)
    assert_sound(scene, job_id)
    return "It waited as accepted, and ran once the target was there."


@scenario(
    "every connection breaks after some seconds",
    "All connections are reset every 0.7 s for 15 s, on the whole way of a job.",
)
def flapping(scene: Scene) -> str:
    job_id = scene.submit()
    for _ in range(21):
        time.sleep(0.7)
        scene.proxy.cut()
    scene.release()
    assert_sound(scene, job_id)
    return f"{scene.proxy.connections} connections; it went {' → '.join(states(scene.gateway, job_id))}."


@scenario(
    "an answer takes 5 s longer",
    "2.5 s of latency in each direction, from the first connection until the payload has ended.",
)
def latency(scene: Scene) -> str:
    patience = {"stage_timeout": 600.0, "poll_timeout": 60.0, "submit_timeout": 120.0, "submit_grace": 60.0}
    scene.start(timing=patience, begin=False)
    transport = scene.berth.section["transport"]
    transport |= {"connect_timeout": 90, "keepalive": 30}
    scene.restart_with(timing=patience)
    scene.proxy.set(Weather(latency=2.5))
    job_id = scene.submit(script=scene.payload(wait=False), sync={"interval": None, "reserve": 20})
    scene.gateway.wait_state(job_id, "queued", "running", "finalizing", seconds=400)
    wait_until(lambda: scene.begun(job_id), 60, "the payload")
    scene.gateway.wait_state(job_id, "finalizing", seconds=120)
    scene.proxy.set(FAIR)
    assert_sound(scene, job_id, seconds=120)
    return "Submitted, followed and ended, once."


@scenario(
    "the link carries 1 kB/s",
    "1,000 bytes a second in each direction, from the first connection until the job is queued.",
)
def thin(scene: Scene) -> str:
    patience = {"stage_timeout": 600.0, "poll_timeout": 60.0, "submit_timeout": 120.0, "submit_grace": 60.0}
    scene.start(timing=patience, begin=False)
    scene.berth.section["transport"] |= {"connect_timeout": 90, "keepalive": 30}
    scene.restart_with(timing=patience)
    scene.proxy.set(Weather(rate=1000))
    job_id = scene.submit(script=scene.payload(wait=False), sync={"interval": None, "reserve": 20})
    begun = time.monotonic()
    scene.gateway.wait_state(job_id, "queued", "running", "finalizing", seconds=500)
    took = time.monotonic() - begun
    scene.proxy.set(FAIR)
    assert_sound(scene, job_id, seconds=120)
    return f"Queued after {took:.0f} s, once."


@scenario(
    "the relay's link breaks again and again",
    "The gateway's own copy of 3 MB is reset after each 400 kB of a connection for 5 s.",
)
def relay_broken(scene: Scene) -> str:
    job_id = scene.submit(
        script=scene.payload(more="head -c 3000000 /dev/urandom >large"), sync={"interval": None, "reserve": 20}
    )
    scene.running(job_id)
    scene.proxy.set(Weather(reset_after=400_000))
    scene.release()
    time.sleep(5)
    scene.proxy.set(FAIR)
    job = assert_sound(scene, job_id)
    return f"The outputs are {job['outputs']['state']}, 3 MB byte for byte."
