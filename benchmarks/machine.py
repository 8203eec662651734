"""What the benchmarks were measured on. Names of machines and folders are left out."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import shutil
import sqlite3
import subprocess
from pathlib import Path

from gateway.compute.rclone_program import own_rclone
from testbed.azurite import HERE

LIBRARIES = ("tornado", "pydantic", "sqlalchemy", "paramiko", "azure-storage-blob")


def described() -> dict[str, str]:
    """Return what matters about this machine, by name."""
    one, five, _ = os.getloadavg()
    libraries = [f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES]
    return {
        "Processor": f"{_processor()}, {len(os.sched_getaffinity(0))} cores",
        "Memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "Kernel": f"{platform.system()} {platform.release().partition('-')[0]}",
        "System": platform.freedesktop_os_release().get("PRETTY_NAME", "unknown"),
        "Python": platform.python_version(),
        "Libraries": ", ".join([*libraries, f"SQLite {sqlite3.sqlite_version}"]),
        "Programs": ", ".join(_programs()),
        "Load when it began": f"{one:.1f} (1 minute), {five:.1f} (5 minutes)",
    }


def _processor() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _programs() -> list[str]:
    wanted = {
        "rclone": ([str(own_rclone()), "version"], r"^rclone v(\S+)"),
        "Slurm": (["slurmctld", "-V"], r"(\d[\w.]*)"),
        "OpenSSH": (["ssh", "-V"], r"OpenSSH_([\w.]+)"),
    }
    found = [f"{name} {_version(argv, pattern)}" for name, (argv, pattern) in wanted.items()]
    package = HERE / "node_modules" / "azurite" / "package.json"
    version = json.loads(package.read_text())["version"] if package.exists() else "missing"
    return [*found, f"Azurite {version}"]


def _version(argv: list[str], pattern: str) -> str:
    if shutil.which(argv[0]) is None:
        return "missing"
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    match = re.search(pattern, done.stdout + done.stderr)
    return match[1] if match else "of unknown version"
