"""The gateway is stopped for longer than its lease lasts, at steps, and wakes up when another one has taken over."""

from __future__ import annotations

import secrets
import signal
import time
from functools import partial
from typing import Any

from gateway.engine.lanes import LEASE
from gateway.engine.steps import Step
from testbed.failpoints import arm, fault
from tests.chaos.failing import FAILPOINTS, FailingGateway
from tests.chaos.registry import add, scenario
from tests.chaos.scenarios.kills import ended
from tests.chaos.scene import Scene
from tests.chaos.yard import ChaosGateway
from tests.e2e.running import RunningGateway, wait_until


class Two:
    """Two gateways on one database and one target: one drives, and has a plan; the other waits."""

    def __init__(self, scene: Scene) -> None:
        self.url = scene.yard.postgres.make_database()
        self.environ = {"GATEWAY__GATEWAY__DATABASE": self.url}
        store = {"kind": "directory", "path": f"{scene.yard.cluster.home}/shared-{secrets.token_hex(4)}"}
        self.failing = FailingGateway(scene, stores={"project": {**store, "target": "t"}}, environ=self.environ)
        self.first: RunningGateway = self.failing.gateway
        wait_until(lambda: self.held_by(self.first), 30, "the first lease")
        second = ChaosGateway(scene.yard.folder(), self.first.raw)
        second.choose({**FAILPOINTS, "plan": str(self.failing.plan.with_name("none"))}, self.environ)
        self.second: RunningGateway = second.start()
        self.postgres = scene.yard.postgres
        scene.keep(self)

    def __enter__(self) -> Two:
        return self

    def __exit__(self, *_: object) -> None:
        """End both; a process that is stopped goes on first."""
        self.failing.close()
        self.first.stop()
        self.second.stop()
        self.postgres.drop_database(self.url)

    @staticmethod
    def held_by(gateway: RunningGateway) -> bool:
        """Say whether a gateway drives."""
        return bool(gateway.http.get("/readyz").json()["lease"] == "held")


def frozen(scene: Scene, step: Step) -> str:
    """Stop the one that drives at a step; the other takes over and ends the job; the first wakes up."""
    two = Two(scene)
    scene.watch(two.second)
    cancels = step is Step.CANCEL_DUE
    if not cancels:
        scene.release()
        arm(two.failing.plan, fault(step, do="stop"))
    job_id = scene.submit(gateway=two.second, stores=["project"])
    if cancels:
        scene.running(job_id)
        arm(two.failing.plan, fault(step, do="stop"))
        two.second.cancel(job_id)
    two.failing.carried_out()
    wait_until(lambda: two.held_by(two.second), 2 * LEASE + 10, "the take-over")
    expected: dict[str, Any] = {"state": ("cancelled",)} if cancels else {}
    ended(scene, job_id, gateway=two.second, **expected)
    events = two.second.events(job_id)
    two.failing.signal(signal.SIGCONT)
    wait_until(lambda: not two.held_by(two.first), 20, "the end of the woken one's work")
    time.sleep(2)
    assert two.second.events(job_id) == events
    return ended(scene, job_id, gateway=two.second, **expected) + "; the woken one changed nothing"


for step in (
    *(Step.STAGED_THERE, Step.SUBMIT_NOTED, Step.SUBMIT_ANSWERED, Step.QUEUING, Step.POLLED, Step.CANCEL_DUE),
    *(Step.SIGNED, Step.ENDING),
):
    add(
        f"of two gateways, the one that drives is frozen past its lease at `{step}`",
        "SIGSTOP; the other one takes over and brings the job to its end; then SIGCONT",
        partial(frozen, step=step),
    )


@scenario(
    "two gateways are killed, one after the other",
    "SIGKILL to the one that drives when the scheduler has answered, SIGKILL to its successor while the job runs",
)
def _(scene: Scene) -> str:
    two = Two(scene)
    scene.watch(two.second)
    arm(two.failing.plan, fault(Step.SUBMIT_ANSWERED))
    job_id = scene.submit(gateway=two.second, stores=["project"])
    two.failing.carried_out()
    wait_until(lambda: two.held_by(two.second), 2 * LEASE + 10, "the take-over")
    scene.running(job_id)
    two.second.end(signal.SIGKILL)
    two.first.start()
    scene.watch(two.first)
    scene.release()
    seen = ended(scene, job_id, gateway=two.first)
    two.second.start()
    return seen


@scenario(
    "the only gateway is frozen for longer than every grace time", "SIGSTOP for 15 seconds while a job runs and ends"
)
def _(scene: Scene) -> str:
    failing = FailingGateway(scene)
    job_id = scene.submit(stores=["project"])
    scene.running(job_id)
    failing.signal(signal.SIGSTOP)
    scene.release()
    time.sleep(15)
    failing.signal(signal.SIGCONT)
    return ended(scene, job_id)
