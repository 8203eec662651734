"""A pass over 10,000 files of which none has changed.

The syncer of the batch script, run as on a node, pushes a folder of 10,000 files (1,000 folders) to a blob service
(Azurite) that has them all: its *background* pass, which looks for what was not sent yet, and its *full* pass, which
compares everything with the store. A time is that of the whole pass: claim, credentials, filters, rclone under watch,
log. The baseline is a bare `rclone copy --fast-list` of the same folder to the same place with the same credentials.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import secrets
import subprocess
import tempfile
import time
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path

from benchmarks.measure import Comparison, rounds
from benchmarks.samples import BODY
from gateway.compute.rclone_program import own_rclone
from gateway.compute.script import PushTransfer, ScriptRequest, render
from gateway.compute.transport.base import RcloneRemote
from gateway.settings import GatewaySettings
from gateway.storage.factory import build_store
from gateway.storage.filters import OutputRule, plan_transfers
from gateway.storage.stores.base import Place
from testbed.azurite import Azurite

FOLDERS, FILES = 1000, 10
SIZE = 256
KINDS = ("full", "background")
KEY = "BENCHMARK_ACCOUNT_KEY"
JOB = "11111111-1111-4111-8111-111111111111"
END = 'gw_main "$@"; exit\n'
"""The last line of a batch script."""

# In place of `gw_main`: what `gw_main syncer` sets up, then a pass for each line of the standard input. The first is
# full, whatever was asked for.
DRIVER = """\
set -u +e
IFS=$' \\t\\n'
gw_open_silence
gw_host=here
gw_process $$
gw_sync_parent="$$ $gw_start" gw_sync_token={token} gw_sync_folder=$gw_folder gw_sync_runtime=host
gw_sync_begin
echo ready
while read -r kind left; do
  if [[ $kind == seed ]]; then # as if all but the newest LEFT files had been sent
    gw_sync_source 0
    gw_sync_scan 0 "$gw_control/filter.0.running" 0
    head -n "-$left" -- "$gw_lists/sync.scan.0" >"$gw_lists/sync.sent.0"
    gw_compared=yes
  else
    gw_sync_pass "$kind"
  fi
  printf '%s\\n' "$gw_exit"
done
"""


def _make_tree(folder: Path) -> None:
    """Make files that are an hour old."""
    at = time.time() - 3600
    for number in range(FOLDERS):
        below = folder / f"{number:04d}"
        below.mkdir(parents=True)
        for name in range(FILES):
            file = below / f"field_{name}"
            file.write_bytes(f"{number} {name} ".encode().ljust(SIZE, b"."))
            os.utime(file, (at, at))


class Syncer:
    """The syncer's functions in a bash of their own, asked for one pass at a time."""

    def __init__(self, base: Path, remote: RcloneRemote) -> None:
        self.folder, self.control = base / "job", base / "control"
        self.control.mkdir(mode=0o700)
        token = secrets.token_hex(16)
        (self.control / "claim").write_text(f"scheduler_id=1\ntoken={token}\n")
        (self.control / "control").touch()
        lines = [f"{name}={value}\n" for name, value in remote.environment("S0").items()]
        (self.control / "credentials").touch(mode=0o600)
        (self.control / "credentials").write_text("".join(lines))
        [plan] = plan_transfers((OutputRule("**"),), ())
        for kind, filters in (("running", plan.running), ("final", plan.final)):
            (self.control / f"filter.0.{kind}").write_text("".join(f"{line}\n" for line in filters))
        request = self._request(
            PushTransfer(0, "", f"S0:{remote.root}", None, remote.arguments, plan.running, plan.final)
        )
        script = render(request)
        assert script.endswith(END)
        (self.control / "job.sh").write_text(script.removesuffix(END) + DRIVER.format(token=token))

    def _request(self, transfer: PushTransfer) -> ScriptRequest:
        """Return the request of a job whose only work is to push."""
        needed = [field.name for field in dataclasses.fields(ScriptRequest) if field.default is dataclasses.MISSING]
        values: dict[str, object] = dict.fromkeys(needed)
        values |= dict.fromkeys(("directives", "binds"), ()) | {"runtime_libraries": {}, "env": {}, "gpus": 0}
        values |= {"job_id": JOB, "attempt": 1, "job_folder": str(self.folder), "control_folder": str(self.control)}
        values |= {"scheduler_kind": "direct", "walltime": 3600, "reserve": 60.0, "kill_delay": 30.0, "grace": 10.0}
        values |= {"runtimes": ("host",), "image_cache": str(self.control), "command": tuple(BODY["command"])}
        values |= {"rclone": str(own_rclone()), "stores": ("blobs",), "transfers": (transfer,)}
        values |= {"sync_interval": 10.0, "sync_settle": 2.0}
        return ScriptRequest(**values)  # type: ignore[arg-type]

    async def start(self) -> None:
        """Start the bash."""
        self.process = await asyncio.create_subprocess_exec(
            "bash", str(self.control / "job.sh"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        assert await self._answer() == "ready"

    async def _answer(self) -> str:
        assert self.process.stdout is not None
        return (await self.process.stdout.readline()).decode().strip()

    async def say(self, words: str) -> None:
        """Have the bash do something, and wait for it."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{words}\n".encode())
        status = await self._answer()
        assert status == "0", f"rclone ended with {status!r}: {self.log()[-1000:]}"

    async def make_pass(self, kind: str) -> float:
        """Make a pass and return how long it took."""
        begin = time.perf_counter()
        await self.say(kind)
        return time.perf_counter() - begin

    def log(self) -> str:
        """Return what rclone said."""
        return (self.control / "sync.jsonl").read_text()

    async def stop(self) -> None:
        """End the bash by the end of its input."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        await self.process.wait()


async def _copy(source: Path, remote: RcloneRemote, *arguments: str) -> float:
    """Run a bare rclone."""
    environment: Mapping[str, str] = {**os.environ, "RCLONE_CONFIG": os.devnull, **remote.environment("S0")}
    argv = [str(own_rclone()), "copy", str(source), f"S0:{remote.root}", "--fast-list", *remote.arguments, *arguments]
    begin = time.perf_counter()
    process = await asyncio.create_subprocess_exec(*argv, env=environment, stdin=subprocess.DEVNULL)
    assert await process.wait() == 0
    return time.perf_counter() - begin


async def _remote(azurite: Azurite, data: Path) -> RcloneRemote:
    """Return the credentials that a node would get."""
    os.environ[KEY] = azurite.key
    section = {"kind": "azure", "account_url": azurite.account_url, "container": "jobs"}
    raw = {**section, "credential": {"account_key": {"env": KEY}}}
    store = build_store("blobs", raw, GatewaySettings(data=data), {})
    place = Place(JOB, "somebody")
    await store.prepare(place)
    remote = await store.push_remote(place, timedelta(hours=1), target="cluster")
    await store.close()
    assert remote is not None
    return remote


async def run() -> list[Comparison]:
    """Measure."""
    with Azurite() as azurite, tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        _make_tree(base / "job")
        remote = await _remote(azurite, base / "data")
        await _copy(base / "job", remote, "--transfers", "16")
        syncer = Syncer(base, remote)
        await syncer.start()
        try:
            *passes, bare = await rounds(
                partial(syncer.make_pass, KINDS[0]),
                partial(syncer.make_pass, KINDS[1]),
                partial(_copy, base / "job", remote),
            )
        finally:
            await syncer.stop()
        assert "Copied" not in syncer.log()
    return [
        Comparison(f"a {kind} pass, {FOLDERS * FILES:,} files", "rclone copy --fast-list", 1, "pass", times, bare)
        for kind, times in zip(KINDS, passes, strict=True)
    ]
