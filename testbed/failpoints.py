"""Has a gateway killed, stopped or made to fail at named steps, as a plan says.

The plan is a file with a fault a line, ``STEP NTH DO``: at the NTH time that the first line's step is reached, the line
is removed, and ``kill`` (SIGKILL), ``stop`` (SIGSTOP) or ``raise`` (an error that nobody expects) is done. It may be
written while the gateway runs; without the file nothing happens.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from gateway.engine import renew, stager, steps
from gateway.engine.steps import Step

RENEWED_AFTER = timedelta(seconds=2)
"""In a gateway with failpoints, credentials are renewed so soon after they were sent, and again and again."""


class Fault(Exception):
    """What ``raise`` raises."""


def fault(step: Step, nth: int = 1, do: str = "kill") -> str:
    """Return a line of a plan."""
    return f"{step} {nth} {do}\n"


def arm(plan: Path, *lines: str) -> None:
    """Write a plan at once, so that a gateway never reads half of it."""
    part = plan.with_name(f"{plan.name}.part")
    part.write_text("".join(lines))
    part.replace(plan)


def pending(plan: Path) -> list[str]:
    """Return the lines that have not been carried out."""
    try:
        return plan.read_text().splitlines(keepends=True)
    except FileNotFoundError:
        return []


class Failing:
    """Carries out a plan; takes the place of `gateway.engine.steps.reached`."""

    def __init__(self, plan: Path) -> None:
        self.plan = plan
        self._lock = threading.Lock()

    def __call__(self, step: Step) -> None:
        """Do what the plan says at this step."""
        do = self._take(step)
        if do == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif do == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        elif do == "raise":
            raise Fault(f"as planned, at {step}")

    def _take(self, step: Step) -> str | None:
        with self._lock:
            lines = pending(self.plan)
            if not lines:
                return None
            name, nth, do = lines[0].split()
            if name != step:
                return None
            left = int(nth) - 1
            arm(self.plan, *([f"{name} {left} {do}\n"] if left else []), *lines[1:])
            return None if left else do


def install(options: Mapping[str, Any]) -> None:
    """Put the plan ``options["plan"]`` into this process, before the gateway is started in it."""
    for module in (renew, stager):
        vars(module)["RENEW_AFTER"] = RENEWED_AFTER
    vars(steps)["reached"] = Failing(Path(options["plan"]))
