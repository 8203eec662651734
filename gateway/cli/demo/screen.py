"""What the demo shows: lines as things happen, and on a terminal one bar below them."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

from gateway.cli.text import line, plain

PLAIN_STEPS = 4
"""Without a terminal a bar is told in so many lines."""


class Screen:
    """Shows lines with the seconds since the beginning, and how far something is."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(
            markup=False, highlight=False, emoji=False, soft_wrap=True, width=None if sys.stdout.isatty() else 240
        )
        self._begun = time.monotonic()
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._doing = ""
        self._told = -1

    def __enter__(self) -> Self:
        """Begin to show."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bar away."""
        self.bar_done()

    def say(self, what: str, text: str, style: str = "") -> None:
        """Show that something happened: `what` in one word, then a line."""
        seconds = time.monotonic() - self._begun
        self._console.print(f"{seconds:6.1f} s  {what:<8} {line(text)}", style=style or None)

    def heading(self, text: str) -> None:
        """Begin a part."""
        self._console.print()
        self._console.print(line(text), style="bold")

    def text(self, text: str) -> None:
        """Show a line as it is, but for what could steer the terminal."""
        self._console.print("  " + plain(text))

    def bar(self, what: str, text: str, done: float, total: float) -> None:
        """Show that `done` of `total` is reached."""
        share = min(1.0, done / total) if total > 0 else 0.0
        if not self._console.is_terminal:
            self._tell(what, text, share)
            return
        if self._bar is None or self._doing != what:
            self.bar_done()
            self._bar = Progress(
                TextColumn("          {task.fields[what]:<8}"),
                BarColumn(40),
                TaskProgressColumn(),
                TextColumn("{task.fields[text]}", markup=False),
                console=self._console,
                transient=True,
            )
            self._doing = what
            self._task = self._bar.add_task("", total=1.0, what=what, text="")
            self._bar.start()
        assert self._task is not None
        self._bar.update(self._task, completed=share, text=line(text))

    def _tell(self, what: str, text: str, share: float) -> None:
        if self._doing != what:
            self._doing, self._told = what, -1
        step = int(share * PLAIN_STEPS)
        if step > self._told:
            self._told = step
            self.say(what, f"{share:.0%}, {text}")

    def bar_done(self) -> None:
        """Take the bar away."""
        self._doing, self._told = "", -1
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
