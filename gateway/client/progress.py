"""Showing how a wait goes: a bar in a terminal, plain lines in notebooks and pipes."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from gateway.client.handles import fraction, told_counts, told_progress, told_state
from gateway.client.text import line
from gateway.model.job import Job
from gateway.model.states import ENDED
from gateway.model.sweep import Sweep

LINES = 10
"""Lines for the whole of a payload's progress, where there is no bar."""


class Display(Protocol):
    """Takes what is known, as often as it is known."""

    def job(self, job: Job) -> None:
        """Show a job."""

    def sweep(self, sweep: Sweep) -> None:
        """Show a sweep."""


class _Nothing:
    def job(self, job: Job) -> None:
        """Show nothing."""

    def sweep(self, sweep: Sweep) -> None:
        """Show nothing."""


class _Lines:
    """One line for each change that matters."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._last: tuple[str, int] | None = None

    def job(self, job: Job) -> None:
        share = fraction(job.progress) if job.progress else None
        text = f"{job.id[:8]}  {told_state(job)}"
        self._say((text, int((share or 0) * LINES)), f"{text}  {told_progress(job.progress)}".rstrip())

    def sweep(self, sweep: Sweep) -> None:
        text = f"{sweep.id[:8]}  {told_counts(sweep)}"
        self._say((text, 0), text)

    def _say(self, mark: tuple[str, int], text: str) -> None:
        if mark != self._last:
            self._last = mark
            print(text, file=self._out, flush=True)


class _Bar:
    """A bar that is as long as what is done."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None, told="")

    def job(self, job: Job) -> None:
        share = fraction(job.progress) if job.progress else None
        if job.state in ENDED:
            share = 1.0
        title = f"{job.id[:8]} {told_state(job)}"
        self._show(title, told_progress(job.progress), share)

    def sweep(self, sweep: Sweep) -> None:
        done = sum(sweep.counts.get(str(state), 0) for state in ENDED)
        self._show(f"sweep {sweep.id[:8]} {line(sweep.name)}", told_counts(sweep), done / max(sweep.count, 1))

    def _show(self, title: str, told: str, share: float | None) -> None:
        self._progress.update(self._task, description=title, told=told, completed=share or 0, total=share and 1.0)


@contextlib.contextmanager
def display(wanted: bool) -> Iterator[Display]:
    """Yield what shows a wait; nothing unless `wanted`."""
    if not wanted:
        yield _Nothing()
    elif "ipykernel" in sys.modules:  # a notebook paints standard error as an error
        yield _Lines(sys.stdout)
    elif not sys.stderr.isatty():
        yield _Lines(sys.stderr)
    else:
        plain = TextColumn("{task.description}", markup=False)
        columns = (plain, BarColumn(), TextColumn("{task.fields[told]}", markup=False), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True, markup=False)) as progress:
            yield _Bar(progress)
