"""The gateway is killed, or meets an error that nobody expects, at each of its steps, and is started again."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from gateway.engine.steps import Step
from testbed.failpoints import fault
from tests.chaos.failing import FailingGateway
from tests.chaos.registry import add, scenario
from tests.chaos.scene import Scene
from tests.chaos.sound import assert_sound, states

LAUNCH = (
    *(Step.BEGINNING, Step.BEGUN, Step.PREPARED, Step.STAGED_THERE, Step.STAGED, Step.SUBMITTING, Step.SUBMIT_NOTED),
    *(Step.SUBMIT_ANSWERED, Step.QUEUING, Step.SUBMITTED),
)
WALK = (*LAUNCH[: LAUNCH.index(Step.SUBMIT_ANSWERED) + 1], Step.ADOPTING, Step.OBSERVING)
"""Each can be reached by a process that finds what the one before has left."""
SETTLE = (
    *(Step.RECORDS_READ, Step.RESCUED, Step.PROVED, Step.SIGNED, Step.PROOF_WRITTEN, Step.RECORDS_KEPT),
    *(Step.ENDING, Step.ENDED),
)
QUICK = frozenset({Step.SUBMIT_NOTED, Step.QUEUING, Step.SIGNED})
PLACES = ["project"]
BOTH = ["folder", "project"]
"""The first is filled by relay, the second by the node."""
AGAIN = "[ -e again ] || { touch again; exit 3; }"
"""Makes a payload fail in its first attempt."""
RETRY = {"attempts": 2, "reasons": ["exit_code"]}


def ended(scene: Scene, job_id: str, **expected: Any) -> str:
    """Assert what holds always, and say how the job ended."""
    job = assert_sound(scene, job_id, **expected)
    how = f"`{job['state']}`" + (f" ({job['reason']})" if job["reason"] else "")
    return f"{how}, outputs `{job['outputs']['state']}`, payload began {len(scene.begun(job_id))}×"


def killed(scene: Scene, *steps: Step, scheduler: str = "slurm", **job: Any) -> str:
    """Kill the gateway at steps of a job whose payload waits for nobody."""
    failing = FailingGateway(scene, *(fault(step) for step in steps), scheduler=scheduler)
    stores = BOTH if set(steps) & set(SETTLE) else PLACES
    job_id = scene.submit(stores=stores, script=scene.payload(wait=False), **job)
    deaths = failing.outlive()
    assert deaths == len(steps)
    return ended(scene, job_id)


def killed_while_it_cancels(scene: Scene, step: Step) -> str:
    """Kill the gateway at a step of a cancel."""
    failing = FailingGateway(scene, fault(step))
    job_id = scene.submit(stores=PLACES)
    scene.running(job_id)
    scene.gateway.cancel(job_id)
    failing.outlive()
    return ended(scene, job_id, state=("cancelled",))


def killed_while_it_renews(scene: Scene) -> str:
    """Kill the gateway when the node has new credentials, and have the node use them."""
    failing = FailingGateway(scene, fault(Step.RENEWED))
    job_id = scene.submit(stores=PLACES)
    failing.outlive()
    scene.running(job_id)
    scene.release()
    return ended(scene, job_id)


def killed_between_attempts(scene: Scene) -> str:
    """Kill the gateway while it stores the second attempt."""
    failing = FailingGateway(scene, fault(Step.NEXT_ATTEMPT))
    job_id = scene.submit(stores=PLACES, script=scene.payload(wait=False, more=AGAIN), retry=RETRY)
    failing.outlive()
    return ended(scene, job_id, runs=2)


def each_step() -> None:
    """Add a kill for each step."""
    special: dict[Step, Callable[[Scene], str]] = {
        Step.ADOPTING: partial(_both, steps=(Step.SUBMIT_ANSWERED, Step.ADOPTING)),
        Step.CANCEL_DUE: partial(killed_while_it_cancels, step=Step.CANCEL_DUE),
        Step.CANCEL_SENT: partial(killed_while_it_cancels, step=Step.CANCEL_SENT),
        Step.RENEWED: killed_while_it_renews,
        Step.NEXT_ATTEMPT: killed_between_attempts,
    }
    for step in Step:
        play = special.get(step) or partial(_both, steps=(step,))
        what = f"SIGKILL, then a new start. At that step: {step.meaning[0].lower()}{step.meaning[1:].rstrip('.')}"
        add(f"the gateway is killed at `{step}`", what, play, quick=step in QUICK)


def _both(scene: Scene, steps: tuple[Step, ...]) -> str:
    return killed(scene, *steps)


each_step()


@scenario(
    "the gateway is killed at ten steps of one submission, one after the other",
    "each new process gets one step further than the one before",
)
def _(scene: Scene) -> str:
    return killed(scene, *WALK)


@scenario(
    "the gateway is killed at eight steps of one ending, one after the other", "as above, from the final record on"
)
def _(scene: Scene) -> str:
    return killed(scene, *SETTLE)


TWICE = [
    (Step.STAGED_THERE, Step.SUBMIT_NOTED),
    (Step.SUBMIT_ANSWERED, Step.OBSERVING),
    (Step.RECORDS_READ, Step.SIGNED),
]
for first, second in TWICE:
    add(
        f"the gateway is killed at `{first}`, and its successor at `{second}`",
        "SIGKILL twice, then a new start",
        partial(_both, steps=(first, second)),
    )


def _direct(scene: Scene, step: Step) -> str:
    return killed(scene, step, scheduler="direct")


for step in (Step.SUBMIT_NOTED, Step.SUBMIT_ANSWERED, Step.QUEUING):
    add(
        f"without a scheduler, the gateway is killed at `{step}`",
        "SIGKILL, then a new start; the job is a process of the machine, started through SSH",
        partial(_direct, step=step),
    )


def _error(scene: Scene, step: Step) -> str:
    failing = FailingGateway(scene, fault(step, do="raise"))
    job_id = scene.submit(stores=PLACES)
    if step is not Step.CANCEL_SENT:
        scene.release()
    else:
        scene.running(job_id)
        scene.gateway.cancel(job_id)
    failing.carried_out()
    seen = ended(scene, job_id, state=("cancelled" if step is Step.CANCEL_SENT else "succeeded",))
    assert failing.gateway.process is not None
    assert failing.gateway.process.poll() is None
    return seen


for step in (
    *(Step.BEGINNING, Step.PREPARED, Step.STAGED_THERE, Step.SUBMIT_NOTED, Step.SUBMIT_ANSWERED, Step.QUEUING),
    *(Step.POLLED, Step.OBSERVING, Step.CANCEL_SENT, Step.RECORDS_READ, Step.PROVED, Step.ENDING),
):
    add(
        f"an error that nobody expects comes at `{step}`",
        "an exception of no kind that the code knows; the gateway goes on",
        partial(_error, step=step),
    )


@scenario("the gateway is killed right after it answered a request to cancel", "SIGKILL, then a new start")
def _(scene: Scene) -> str:
    failing = FailingGateway(scene)
    job_id = scene.submit(stores=PLACES)
    scene.running(job_id)
    scene.gateway.cancel(job_id)
    failing.kill()
    failing.gateway.start()
    return ended(scene, job_id, state=("cancelled",))


@scenario(
    "the gateway is dead while a job that is to be tried again fails",
    "SIGKILL while the first attempt runs, a new start when it has failed, SIGKILL again before the second begins",
)
def _(scene: Scene) -> str:
    failing = FailingGateway(scene, timing={"retry_delays": (4.0,)})
    job_id = scene.submit(stores=PLACES, script=scene.payload(more=AGAIN), retry=RETRY)
    scene.running(job_id)
    failing.kill()
    scene.release()
    time.sleep(2)
    failing.gateway.start()
    failing.gateway.wait_state(job_id, "finalizing")
    failing.kill()
    failing.gateway.start()
    seen = ended(scene, job_id, runs=2)
    assert states(failing.gateway, job_id).count("staging") == 2
    return seen


@scenario(
    "the gateway is ended by SIGTERM while it sends a large input",
    "1 MB/s; the transfer is in its middle; then a new start",
)
def _(scene: Scene) -> str:
    failing = FailingGateway(scene, timing={"stage_timeout": 60.0})
    assert scene.berth
    content = "".join(f"{number:07}\n" for number in range(131_000))
    big = [{"path": f"big_{number}", "content": content} for number in range(6)]
    scene.proxy.adjust(rate=1_000_000)
    job_id = scene.submit(stores=PLACES, script=scene.payload(wait=False), inputs=big)
    failing.gateway.wait_state(job_id, "staging")
    time.sleep(2)
    assert failing.gateway.end() == 0
    scene.proxy.set()
    failing.gateway.start()
    return ended(scene, job_id)
