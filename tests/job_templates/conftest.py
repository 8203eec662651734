"""Fixtures for the batch script and its bash libraries, run for real on this machine."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway import templates
from gateway.compute.rclone_program import own_rclone
from tests.job_templates.local_attempt import PATIENCE, Attempt


@pytest.fixture
def attempt(tmp_path: Path) -> Iterator[Attempt]:
    """An attempt, not staged; its processes end with the test."""
    made = Attempt(tmp_path, own_rclone())
    yield made
    made.end()


@pytest.fixture
def bash() -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Run bash text with some of the libraries sourced, in the C locale, under ``set -u``."""

    def run(text: str, *names: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
        sources = "\n".join(f". {shlex.quote(str(templates.folder() / 'lib' / name))}" for name in names)
        return subprocess.run(
            ["/bin/bash", "-c", f"LC_ALL=C GW_INLINED=yes\n{sources}\nset -u\n{text}"],
            capture_output=True,
            env={**os.environ, **environment},
            timeout=PATIENCE,
            check=False,
        )

    return run
