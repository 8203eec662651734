"""An attempt on this machine: the rendered script run by bash, with the `host` runtime and real rclone."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.compute.script import PushTransfer, ScriptRequest, render

ALL_FILES = ("- /.gateway/**", "- /.gateway")
PATIENCE = 90.0
"""Seconds until a condition that must come is said not to come; no test waits that long when all is well."""


def until(condition: Callable[[], Any], what: str) -> Any:
    """Poll until `condition` is true, and return its value."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.03)
    raise AssertionError(f"never happened: {what}")


def processes_about(text: str) -> dict[int, str]:
    """Living processes that have `text` in their arguments or environment: pid -> arguments."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            arguments = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            environment = (entry / "environ").read_bytes().decode(errors="replace")
            state = (entry / "stat").read_text().rpartition(") ")[2][:1]
            if state not in "ZX" and (text in arguments or text in environment):
                found[int(entry.name)] = arguments
    return found


class Attempt:
    """One attempt in folders of its own."""

    def __init__(self, base: Path, rclone: Path) -> None:
        self.job = str(uuid.uuid4())
        self.base = base
        self.folder = base / "work" / self.job
        self.control = base / "work" / ".gateway" / self.job / "1"
        self.store = base / "store"
        self.folder.mkdir(parents=True)
        self.control.mkdir(parents=True, mode=0o700)
        self.credentials = ["RCLONE_CONFIG_S0_TYPE=local"]
        self.request = ScriptRequest(
            job_id=self.job,
            attempt=1,
            job_folder=str(self.folder),
            control_folder=str(self.control),
            scheduler_kind="pbs",
            directives=["#PBS -N test"],
            preamble=None,
            walltime=60,
            reserve=10.0,
            kill_delay=10.0,
            grace=5.0,
            runtimes=("host",),
            runtime_libraries={},
            image_cache=str(base / "cache"),
            image=None,
            command=("true",),
            env={},
            binds=(),
            gpus=0,
            scratch=None,
            rclone=str(rclone),
            stores=("blobs",),
            transfers=(self.transfer(),),
            sync_interval=None,
            sync_settle=0.0,
        )

    def transfer(self, source: str = "", below: str = "", **changes: Any) -> PushTransfer:
        """A transfer of everything below `source` to the store."""
        destination = f"S0:{self.store}" + (f"/{below}" if below else "")
        plain = PushTransfer(0, source, destination, None, (), ALL_FILES, ALL_FILES)
        return dataclasses.replace(plain, **changes)

    def stage(self, script: str | None = None, **changes: Any) -> Attempt:
        """Write what staging writes. `script` is bash text for the payload."""
        if script is not None:
            changes["command"] = ("bash", "-c", script)
        self.request = dataclasses.replace(self.request, **changes)
        (self.control / "job.sh").write_text(render(self.request))
        (self.control / "control").touch()
        self.renew()
        for number, transfer in enumerate(self.request.transfers):
            kinds = [("running", transfer.running_filter), ("final", transfer.final_filter)]
            kinds += [(f"urgent.{rank}", lines) for rank, lines in enumerate(transfer.urgent_filters)]
            for kind, lines in kinds:
                text = "".join(f"{line}\n" for line in lines)
                (self.control / f"filter.{number}.{kind}").write_text(text)
        return self

    def renew(self) -> None:
        """Write the credentials, by rename."""
        part = self.control / "credentials.part"
        part.write_text("".join(f"{line}\n" for line in self.credentials))
        part.chmod(0o600)
        part.rename(self.control / "credentials")

    def start(self, scheduler_id: str = "17.server", **environment: str) -> subprocess.Popen[bytes]:
        """Start the script as a scheduler does: a session of its own, its streams in scheduler.out and .err."""
        variables = {**os.environ, "PBS_JOBID": scheduler_id, **environment}
        with (self.control / "scheduler.out").open("ab") as out, (self.control / "scheduler.err").open("ab") as err:
            return subprocess.Popen(
                ["/bin/bash", str(self.control / "job.sh")],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=variables,
                cwd="/",
                start_new_session=True,
            )

    def run(self, scheduler_id: str = "17.server", **environment: str) -> int:
        """Run the script to its end, and return its exit status."""
        return self.start(scheduler_id, **environment).wait(PATIENCE)

    def say(self, word: str) -> None:
        """Write a word into `control`."""
        with (self.control / "control").open("a") as stream:
            stream.write(f"{word}\n")

    @property
    def final(self) -> dict[str, Any]:
        """The final record."""
        return json.loads((self.control / "final.json").read_text("ascii"))

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest."""
        return json.loads((self.control / "manifest.json").read_text())

    def lines(self, name: str) -> list[dict[str, Any]]:
        """The lines of a JSON-lines file; each must parse."""
        path = self.control / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def phases(self) -> list[str]:
        """The phases that status.jsonl names, in order."""
        return [line["phase"] for line in self.lines("status.jsonl")]

    def sync_words(self) -> list[str]:
        """The words of sync.state."""
        path = self.control / "sync.state"
        return path.read_text().split() if path.exists() else []

    def wait_for(self, phase: str) -> None:
        """Wait for a phase."""
        until(lambda: phase in self.phases, f"phase {phase}")

    def stored(self, path: str) -> Path:
        """Where the store has a file."""
        return self.store / path

    def log(self) -> str:
        """What the script said."""
        path = self.control / "script.log"
        return path.read_text() if path.exists() else ""

    def end(self) -> None:
        """Kill what is left."""
        for pid in processes_about(self.job):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
