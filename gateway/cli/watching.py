"""Watching a job in the terminal, and bars for bytes that come or go."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as Bars

from gateway.cli.session import note
from gateway.cli.story import describe, follow
from gateway.cli.text import line
from gateway.client import Gateway
from gateway.client.handles import fraction
from gateway.client.uploads import Sent
from gateway.model.job import Event, Job, Progress


def watch(gateway: Gateway, job_id: str, *, quiet: bool) -> Job:
    """Tell what happens to a job until it has ended; return it as it is then."""
    try:
        tenth = -1
        for event in follow(gateway, job_id):
            text = describe(event)
            if event.kind == "progress":  # a line for each tenth is enough
                before, tenth = tenth, _tenth(event)
                text = text if tenth != before else None
            if text and not quiet:
                note(f"{event.at.astimezone():%H:%M:%S}  {text}")
    except KeyboardInterrupt:
        note(f"the job goes on; end it with: gateway cancel {job_id[:8]}")
        raise
    return gateway.job(job_id).info


def _tenth(event: Event) -> int:
    with contextlib.suppress(ValidationError):
        return int(10 * (fraction(Progress.model_validate(event.data)) or 0))
    return 0


class Transfer:
    """Bars for bytes that come or go; nothing where no terminal shows them."""

    def __init__(self, progress: Bars | None) -> None:
        self._progress = progress
        self._tasks: dict[str, Any] = {}

    def show(self, name: str, done: int, total: int) -> None:
        """Say how many bytes of something are done."""
        if self._progress is None:
            return
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(line(name), total=total)
        self._progress.update(self._tasks[name], completed=done, visible=done < total)

    def sent(self, sent: Sent) -> None:
        """Show the upload of a file."""
        self.show(sent.file.name, sent.received, sent.size)


@contextlib.contextmanager
def transfer(*, quiet: bool) -> Iterator[Transfer]:
    """Yield what shows bytes on their way, on standard error."""
    if quiet or not sys.stderr.isatty():
        yield Transfer(None)
        return
    name = TextColumn("{task.description}", markup=False)
    columns = (name, BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Bars(*columns, console=Console(stderr=True, markup=False), transient=True) as progress:
        yield Transfer(progress)
