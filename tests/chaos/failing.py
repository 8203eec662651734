"""A gateway of a scenario's own that is killed, stopped or made to fail where a plan says."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
from typing import Any

from testbed.failpoints import arm, pending
from tests.chaos.scene import Scene
from tests.chaos.yard import ChaosGateway
from tests.e2e.running import wait_until

FAILPOINTS = {"modules": ["testbed.failpoints"]}


class FailingGateway:
    """A gateway and its plan. Its stores are ``folder`` (by relay) and ``project`` (by push).

    Parameters
    ----------
    lines
        The plan; see `testbed.failpoints`. Nothing is done at the steps before a job was submitted.
    start
        See `Scene.start`.
    """

    def __init__(self, scene: Scene, *lines: str, **start: Any) -> None:
        self.plan = scene.yard.folder() / "plan"
        arm(self.plan, *lines)
        home = (start.get("site") or scene.yard.cluster).home
        stores = {
            "folder": {"kind": "directory", "path": "{data}/outputs"},
            "project": {"kind": "directory", "path": f"{home}/project-{secrets.token_hex(4)}", "target": "t"},
        }
        options = {**FAILPOINTS, "plan": str(self.plan)}
        self.gateway: ChaosGateway = scene.start(options=options, **{"stores": stores, **start})
        scene.keep(contextlib.closing(self))

    def close(self) -> None:
        """Let it go on, so that it can be ended."""
        arm(self.plan)
        if self.gateway.process is not None and self.gateway.process.poll() is None:
            self.signal(signal.SIGCONT)

    def signal(self, number: int) -> None:
        """Send the process a signal."""
        assert self.gateway.process is not None
        os.kill(self.gateway.process.pid, number)

    def kill(self) -> None:
        """Kill it now, wherever it is."""
        self.gateway.end(signal.SIGKILL)

    def carried_out(self, seconds: float = 60) -> None:
        """Wait until nothing is left of the plan."""
        wait_until(lambda: not pending(self.plan), seconds, f"step {pending(self.plan)}")

    def outlive(self, seconds: float = 60) -> int:
        """Start it again whenever the plan kills it, until the plan is carried out; return how often it was killed."""
        deaths = 0
        while pending(self.plan) or deaths == 0:
            process = self.gateway.process
            assert process is not None
            wait_until(lambda process=process: process.poll() is not None, seconds, f"step {pending(self.plan)}")
            assert process.returncode == -signal.SIGKILL, process.returncode
            deaths += 1
            self.gateway.spawn()
        self.gateway.ready()
        return deaths
