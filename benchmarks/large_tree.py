"""A pass over 1,000,000 small files, of which 20,000 are new: half of them in one folder, half in 500.

The syncer of the batch script lists them all and sends what it has not sent before, to a folder of this machine. Beside
its time stands the most memory (`VmHWM`) that any of its processes took. The baseline lists the same files by one bare
rclone, in one piece, with its default settings, and sends nothing.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from functools import partial
from pathlib import Path

from benchmarks.measure import Comparison, rounds
from benchmarks.unchanged_pass import Syncer
from gateway.compute.rclone_program import own_rclone
from gateway.compute.transport.base import RcloneRemote

FILES, NEW = 1_000_000, 20_000
FOLDERS = 500
LOOK = 0.02
"""Seconds between two looks at the memory of all processes."""


def _make_tree(folder: Path) -> None:
    """Make empty files."""
    half = FILES // 2
    (folder / "flat").mkdir(parents=True)
    for number in range(half):
        os.close(os.open(folder / "flat" / f"file_{number:07d}.dat", os.O_CREAT | os.O_WRONLY))
    for number in range(FOLDERS):
        below = folder / "deep" / f"{number:04d}"
        below.mkdir(parents=True)
        for name in range(half // FOLDERS):
            os.close(os.open(below / f"file_{name:04d}.dat", os.O_CREAT | os.O_WRONLY))


class Memory:
    """The most memory that each program of one session took, looked at again and again."""

    def __init__(self) -> None:
        self.most: dict[str, int] = {}

    async def watch(self, session: int) -> None:
        """Look until cancelled."""
        while True:
            for entry in Path("/proc").iterdir():
                if entry.name.isdigit():
                    self._look(entry, session)
            await asyncio.sleep(LOOK)

    def _look(self, entry: Path, session: int) -> None:
        try:
            if os.getsid(int(entry.name)) != session:
                return
            fields = dict(line.split(":", 1) for line in (entry / "status").read_text().splitlines())
        except (OSError, ValueError):
            return
        if "VmHWM" in fields:
            name, size = fields["Name"].strip(), int(fields["VmHWM"].split()[0])
            self.most[name] = max(size, self.most.get(name, 0))


async def _pass(syncer: Syncer, memory: Memory) -> float:
    """Make one pass; all but the newest files count as sent."""
    await syncer.say(f"seed {NEW}")
    watch = asyncio.create_task(memory.watch(syncer.process.pid))
    try:
        return await syncer.make_pass("background")
    finally:
        watch.cancel()


async def _list(folder: Path, memory: Memory) -> float:
    """List by a bare rclone."""
    begin = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(str(own_rclone()), "lsf", "-R", "--files-only", "--format", "tsp", str(folder)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        env={**os.environ, "RCLONE_CONFIG": os.devnull},
        start_new_session=True,
    )
    watch = asyncio.create_task(memory.watch(process.pid))
    assert await process.wait() == 0
    watch.cancel()
    return time.perf_counter() - begin


async def run() -> list[Comparison]:
    """Measure."""
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        await asyncio.to_thread(_make_tree, base / "job")
        syncer = Syncer(base, RcloneRemote({"type": "local"}, root=str(base / "store")))
        await syncer.start()
        mine, bare = Memory(), Memory()
        try:
            passes, lists = await rounds(partial(_pass, syncer, mine), partial(_list, base / "job", bare), repeats=1)
        finally:
            await syncer.stop()
    most = ", ".join(f"{program} {size / 1024:.0f} MiB" for program, size in sorted(mine.most.items()))
    notes = [f"most memory of each program: {most}; of the bare rclone {max(bare.most.values()) / 1024:.0f} MiB"]
    what = f"a pass over {FILES:,} files, {NEW:,} new"
    return [Comparison(what, "rclone lsf of them", 1, "pass", passes, lists, notes)]
