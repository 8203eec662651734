"""What a program has left behind: processes that carry its mark or descend from it, sockets that listen."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from testbed.keeper import descendants, parents

# An environment variable that everything started later inherits.
MARK = "SCIENCE_GATEWAY_TEST_RUN"
GRACE_SECONDS = 5.0


def marked(mark: str) -> list[int]:
    """Return the processes, other than this one, that were started with ``MARK=mark``."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for pid in parents():
        try:
            variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if pid != os.getpid() and wanted in variables:
            found.append(pid)
    return found


def end_processes(mark: str) -> dict[int, str]:
    """End what outlived its time and return it, by pid, with its command line.

    Processes that are on their way out get a few seconds first.
    """
    until = time.monotonic() + GRACE_SECONDS
    left = _left(mark)
    while left and time.monotonic() < until:
        time.sleep(0.05)
        left = _left(mark)
    named = {pid: _command(pid) for pid in left}
    for pid in left:
        try:
            os.kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue
    return named


def _left(mark: str) -> set[int]:
    return {*marked(mark), *descendants(os.getpid())}


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def listening(pid: int) -> list[str]:
    """Return the TCP addresses, as /proc writes them, on which a process listens: none where it has ended."""
    try:
        inodes = _sockets(pid)
        lines = [Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:] for table in ("tcp", "tcp6")]
    except (FileNotFoundError, ProcessLookupError):
        return []
    found = []
    for table in lines:
        for line in table:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                found.append(fields[1])
    return found


def _sockets(pid: int) -> set[str]:
    inodes = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(entry.readlink())
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[len("socket:[") : -1])
    return inodes
