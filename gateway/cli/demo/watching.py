"""Watching the demo's job: state, pull, solver and outputs, until it has ended."""

from __future__ import annotations

import time

from gateway.cli.demo.cavity import END_TIME, simulated
from gateway.cli.demo.screen import Screen
from gateway.cli.story import describe
from gateway.cli.text import size
from gateway.client import Gateway
from gateway.model.job import Event, Job
from gateway.model.states import ENDED

TICK = 0.3
"""Seconds between looks."""
NAMES = {"phase": "node"}
STYLES = {"state": "bold", "outputs": "green"}


class Watcher:
    """Shows what happens to one job.

    Attributes
    ----------
    early
        Paths of outputs that stood in the store before the payload had ended.
    """

    def __init__(self, gateway: Gateway, job_id: str, screen: Screen) -> None:
        self._gateway, self._job_id, self._screen = gateway, job_id, screen
        self._sequence = 0
        self._offset = 0
        self._runs = False
        self.early: set[str] = set()

    def until_ended(self, seconds: float) -> Job:
        """Watch until the job has ended, at most so long; return it as it is then."""
        until = time.monotonic() + seconds
        while True:
            job = self._gateway.job(self._job_id).info
            self._events()
            if self._runs:
                self._solver(job)
            if job.state in ENDED or time.monotonic() > until:
                self._screen.bar_done()
                return job
            time.sleep(TICK)

    def _events(self) -> None:
        for event in self._gateway.events_after(self._job_id, self._sequence):
            self._sequence = event.sequence
            self._event(event)

    def _event(self, event: Event) -> None:
        data = event.data
        if event.kind == "progress":
            return  # the bar shows it
        if event.kind == "pull" and data.get("cached") is None:
            got, total = float(data.get("bytes") or 0), float(data.get("total") or 0)
            self._screen.bar("pull", f"{size(got)} of {size(total)}" if total else size(got), got, total)
            return
        if event.kind == "outputs" and self._runs:
            self.early.update(str(path) for path in data.get("new") or ())
        phase = data.get("phase") if event.kind == "phase" else None
        if event.kind != "outputs":
            self._screen.bar_done()
        if text := describe(event):
            self._screen.say(NAMES.get(event.kind, event.kind), text, STYLES.get(event.kind, ""))
        if phase == "running":
            self._runs = True
        elif phase in ("payload_ended", "stopping"):
            self._runs = False

    def _solver(self, job: Job) -> None:
        if job.case is not None:
            if (at := job.progress) is not None:
                words = f"{at.value:g} of {at.max:g} {at.unit or ''}".rstrip()
                self._screen.bar("solver", words, at.value - at.min, at.max - at.min)
            return
        content, self._offset = self._gateway.log(self._job_id, "stdout", self._offset)
        reached = simulated(content)
        if reached is not None:
            self._screen.bar("solver", f"Time = {reached:g} of {END_TIME:g} s", reached, END_TIME)
