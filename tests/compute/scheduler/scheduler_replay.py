"""Recorded answers of schedulers, and running a command's line by a real bash."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from gateway.compute.scheduler.base import Command, QueryAnswer

T = TypeVar("T")

FOLDER = Path(__file__).parent / "recordings"


def load(name: str) -> dict[str, dict[str, Any]]:
    """Return the recordings of one scheduler: ``{name: {command, stdout, stderr, exit_status}}``."""
    recordings: dict[str, dict[str, Any]] = json.loads((FOLDER / f"{name}.json").read_text())
    return recordings


def replay(command: Command[T], recording: Mapping[str, Any]) -> T:
    """Parse a recorded answer."""
    return command.parse(recording["stdout"], recording["stderr"], recording["exit_status"])


def summary(answer: QueryAnswer) -> dict[str, tuple[str, int | None, str | None]]:
    """Return phase, exit status and reason by id."""
    return {
        scheduler_id: (str(job.phase), job.exit_status, None if job.reason is None else str(job.reason))
        for scheduler_id, job in answer.jobs.items()
    }


def bash(line: str, *, env: Mapping[str, str] | None = None, user: str | None = None) -> tuple[str, str, int]:
    """Run a command's line as the gateway does; the answer is what a parser takes."""
    argv = ["/bin/bash", "--noprofile", "--norc", "-s"]
    if user is not None and os.geteuid() == 0:
        argv = ["runuser", "-u", user, "--", *argv]
    done = subprocess.run(
        argv, input=line.encode(), env={**os.environ, **(env or {})}, capture_output=True, check=False, cwd="/"
    )
    return done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"), done.returncode


def ask(command: Command[T], *, env: Mapping[str, str] | None = None, user: str | None = None) -> T:
    """Run a command and parse its answer."""
    return command.parse(*bash(command.line(), env=env, user=user))
