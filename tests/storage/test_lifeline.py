"""Programs of the gateway end with it, and with its right to run them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.errors import StoreError
from gateway.storage import lifeline
from gateway.storage.rclone import Rclone

PARENT = """
import asyncio, sys, time
from pathlib import Path
from gateway.storage import lifeline
from gateway.storage.rclone import Rclone
end = time.clock_gettime(time.CLOCK_BOOTTIME) + float(sys.argv[2])
if sys.argv[2] != "0":
    lifeline.allowance.set(lambda: max(0.0, end - time.clock_gettime(time.CLOCK_BOOTTIME)))
asyncio.run(Rclone(Path(sys.argv[1])).run(["copy"]))
"""


def stand_in(folder: Path, script: str) -> Path:
    """A program in rclone's place."""
    program = folder / "program"
    program.write_text(f"#!/bin/bash\n{script}\n")
    program.chmod(0o755)
    return program


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def start(tmp_path: Path, seconds: str) -> tuple[subprocess.Popen[bytes], list[int]]:
    """Start a process with a program that has a child; return the process and the others' ids."""
    note = tmp_path / "pids"
    program = stand_in(tmp_path, f"sleep 300 & echo $$ $! >{note}.part; mv {note}.part {note}; wait")
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(program), seconds])
    wait_for(note.exists)
    return parent, [int(word) for word in note.read_text().split()]


def test_a_program_ends_with_the_process_that_was_killed(tmp_path: Path) -> None:
    parent, pids = start(tmp_path, "0")
    assert all(alive(pid) for pid in pids)
    parent.kill()
    parent.wait()
    wait_for(lambda: not any(alive(pid) for pid in pids))


def test_a_program_of_a_frozen_process_ends_with_its_time(tmp_path: Path) -> None:
    parent, pids = start(tmp_path, "3")
    os.kill(parent.pid, signal.SIGSTOP)
    try:
        wait_for(lambda: not any(alive(pid) for pid in pids))
    finally:
        os.kill(parent.pid, signal.SIGCONT)
        parent.kill()
        parent.wait()


async def test_a_program_runs_on_as_long_as_it_is_told_that_it_may(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(lifeline, "BEAT", 0.1)
    token = lifeline.allowance.set(lambda: 0.5)
    try:
        result = await Rclone(stand_in(tmp_path, "sleep 1.5; echo done; exit 7")).run(["copy"])
    finally:
        lifeline.allowance.reset(token)
    assert (result.stdout, result.exit_status) == (b"done\n", 7)


async def test_no_program_is_started_after_the_time(tmp_path: Path) -> None:
    token = lifeline.allowance.set(lambda: 0.0)
    try:
        with pytest.raises(StoreError, match="may not act"):
            await Rclone(stand_in(tmp_path, f"touch {tmp_path}/started")).run(["copy"])
    finally:
        lifeline.allowance.reset(token)
    assert not (tmp_path / "started").exists()
