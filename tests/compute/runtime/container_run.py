"""Runs payloads through the runtimes' bash libraries, as the batch script does, without a scheduler."""

from __future__ import annotations

import os
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway import templates
from gateway.compute.script import quote, words

PATIENCE = 90.0
"""Seconds until something that must come is said not to come."""
LIBRARIES = ("records.sh", *templates.PULLER, "payload.sh", "binds.sh", "supervise.sh")
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_RUN = """
gw_open_silence
mkdir -p -- "$gw_folder" "$gw_control"
gw_check_binds || { printf 'refused: %s\\n' "$gw_problem"; exit; }
"gw_${gw_kind}_available" || { printf 'unavailable: %s\\n' "$gw_problem"; exit; }
"gw_${gw_kind}_prepare" "$gw_image" || { printf 'unprepared: %s\\n' "$gw_problem"; exit; }
gw_start_payload
printf 'started %s\\n' "$gw_payload_pid"
if [ -n "$gw_stop_after" ]; then
  until [ -e "$gw_folder/ready" ]; do gw_pause 0.02; done
  (trap '' TERM; "gw_${gw_kind}_stop" "$gw_stop_after"); printf 'stop %s\\n' "$?"
fi
wait "$gw_payload_pid"; printf 'status %s\\n' "$?"
if "gw_${gw_kind}_alive"; then printf 'alive\\n'; fi
"""


def until(condition: Callable[[], Any], what: str) -> Any:
    """Poll until `condition` is true, and return its value."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"never happened: {what}")


def processes_about(text: str) -> dict[int, str]:
    """Living processes that have `text` in their arguments: pid -> arguments."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            arguments = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            state = (entry / "stat").read_text().rpartition(") ")[2][:1]
        except OSError:
            continue
        if state not in "ZX" and text in arguments:
            found[int(entry.name)] = arguments
    return found


@dataclass(frozen=True)
class Person:
    """Who runs payloads.

    Attributes
    ----------
    uid
        The account's number.
    folder
        A folder of the account's own, which every account may enter.
    image
        A squashfs file in it.
    """

    uid: int
    folder: Path
    image: Path

    def command(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        """Start a program as this account."""
        if os.geteuid() != self.uid:
            options |= {"user": self.uid, "group": self.uid, "extra_groups": []}
        env = {"PATH": SYSTEM_PATH, "HOME": str(self.folder), **options.pop("env", {})}
        return subprocess.Popen(argv, env=env, cwd=self.folder, stdin=subprocess.DEVNULL, **options)

    def own(self, path: Path) -> Path:
        """Give a file or folder to the account."""
        os.chown(path, self.uid, -1)
        return path

    def private_folders(self) -> set[Path]:
        """What the runtimes have made for this account in /tmp."""
        return set(Path("/tmp").glob(f"gw-{self.uid}.??????"))


@dataclass(frozen=True)
class Ended:
    """How a payload ended, and what it wrote."""

    lines: list[str]
    out: bytes
    err: bytes
    folder: Path

    @property
    def status(self) -> int:
        """The payload's exit status, as the batch script sees it."""
        found = [line.split()[1] for line in self.lines if line.startswith("status ")]
        assert found, (self.lines, self.err)
        return int(found[0])

    @property
    def alive(self) -> bool:
        """Whether the runtime says that something of the payload lives."""
        return "alive" in self.lines


class Run:
    """One payload, in a job folder of its own. Keywords replace what the script would assign."""

    def __init__(self, person: Person, kind: str, command: Sequence[str], **given: Any) -> None:
        self.person = person
        self.job = str(uuid.uuid4())
        self.folder = person.folder / "work" / self.job
        self.control = person.folder / "work" / ".gateway" / self.job / "1"
        self.environment: Mapping[str, str] = given.pop("environment", {})
        env: dict[str, str] = given.pop("env", {})
        self.values: dict[str, Any] = {
            "job": self.job,
            "attempt": 1,
            "kind": kind,
            "runtime": kind,
            "folder": self.folder,
            "control": self.control,
            "image": person.image,
            "image_cache": person.folder / "cache",
            "command": list(command),
            "env_names": list(env),
            "env_values": list(env.values()),
            "binds": [],
            "bind_roots": [],
            "asked_binds": [],
            "network": "yes",
            "gpus": 0,
            "stop": "",
            "stop_after": "",
            "wire": "",
            "token": "",
            "locale": "",
            "umask": "0022",
            **given,
        }

    def script(self, text: str = _RUN) -> str:
        """Return bash text: assignments, libraries, then `text`."""
        kind = self.values["kind"]
        runtime = "apptainer" if kind == "singularity" else kind
        libraries = [templates.library(name) for name in (*LIBRARIES, f"runtime_{runtime}.sh")]
        lines = ["LC_ALL=C GW_INLINED=yes"]
        for name, value in self.values.items():
            shown = f"({words(value)})" if isinstance(value, list) else quote(value)
            lines.append(f"gw_{name}={shown}")
        return "\n".join([*lines, *libraries, "set -u", text])

    def start(self, text: str = _RUN) -> subprocess.Popen[bytes]:
        """Start it; its standard output and error are pipes."""
        file = self.person.folder / f"{self.job}.sh"
        file.write_text(self.script(text))
        argv = ["/bin/bash", str(file)]
        return self.person.command(argv, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def end(self, process: subprocess.Popen[bytes]) -> Ended:
        """Wait for it."""
        out, err = process.communicate(timeout=PATIENCE)
        files = (self.control / "payload.out", self.control / "payload.err")
        said = [path.read_bytes() if path.exists() else b"" for path in files]
        return Ended(out.decode().splitlines(), said[0], said[1] + err, self.folder)

    def run(self, text: str = _RUN) -> Ended:
        """Run it to its end."""
        return self.end(self.start(text))

    def ready(self) -> None:
        """Wait until the payload has written ``/job/ready``."""
        until((self.folder / "ready").exists, "the payload is ready")
