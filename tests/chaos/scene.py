"""What a scenario is given: a target of its own with a network that can be broken, a gateway, a payload that counts."""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from azure.storage.blob import ContainerClient

from gateway.storage.rclone import find_rclone
from testbed.cluster import Cluster
from testbed.proxy import Proxy
from testbed.sshd import SshSite
from tests.chaos.yard import Berth, ChaosGateway, Yard
from tests.e2e.running import RunningGateway, wait_until

SYNC = {"interval": 1, "settle": 0, "reserve": 20}
PARTS = 4


class Scene:
    """One play of a scenario.

    Attributes
    ----------
    yard
        The parts that scenarios share.
    berth
        The target's section, its proxy and its folders.
    """

    def __init__(self, yard: Yard, scheduler: str = "slurm") -> None:
        self.yard = yard
        self._open = contextlib.ExitStack()
        self._scheduler = scheduler
        self._berth: Berth | None = None
        self._gateway: RunningGateway | None = None
        self._count: Callable[[str], list[str]] | None = None

    def close(self) -> None:
        """Open the gate for payloads that still wait, heal the network, and end what the scenario started."""
        if self._berth is not None:
            self.release()
            self.go_on()
        self._open.close()

    def keep(self, part: Any) -> Any:
        """Enter a context that ends with the scenario, and return what it gives."""
        return self._open.enter_context(part)

    # ---- places

    def use(self, scheduler: str) -> Scene:
        """Have a target with that scheduler (``slurm``, ``pbs``, ``direct``) in the place of Slurm."""
        assert self._berth is None
        self._scheduler = scheduler
        return self

    @property
    def berth(self) -> Berth:
        """This scenario's target."""
        if self._berth is None:
            self._berth = self.yard.shared.take(self._scheduler)
            self.keep(self._berth.proxy)
        return self._berth

    @property
    def gateway(self) -> RunningGateway:
        """The gateway: the one that scenarios share, or the one that `start` made."""
        if self._gateway is None:
            assert self.berth
            self._gateway = self.yard.shared.gateway
        return self._gateway

    def watch(self, gateway: RunningGateway) -> None:
        """Have another gateway of the same target in the place of the one that was started."""
        self._gateway = gateway

    @property
    def site(self) -> SshSite:
        """Where the target is."""
        return self.berth.site

    @property
    def cluster(self) -> Cluster:
        """Where the target is, as a cluster."""
        assert isinstance(self.berth.site, Cluster)
        return self.berth.site

    @property
    def proxy(self) -> Proxy:
        """The network between gateway and target."""
        return self.berth.proxy

    def start(
        self,
        *,
        site: SshSite | None = None,
        scheduler: str = "slurm",
        target: Mapping[str, Any] | None = None,
        stores: Mapping[str, Any] | None = None,
        environ: Mapping[str, str] | None = None,
        options: Mapping[str, Any] | None = None,
        timing: Mapping[str, Any] | None = None,
        begin: bool = True,
    ) -> ChaosGateway:
        """Start a gateway of the scenario's own, with one target ``t``.

        Parameters
        ----------
        site
            Where the target is; the shared cluster where it is None.
        target
            Further settings of the target.
        stores
            Sections; a folder of the gateway where it is None.
        options
            What `tests.chaos.serve` does to the process. `timing` is a short way for one of them.
        begin
            Whether to start it at once.
        """
        berth = self._berth = Berth("t", site or self.yard.cluster, scheduler, dict(target or {}))
        berth.make()
        self.keep(berth.proxy)
        chosen = {**(options or {}), "timing": {**(options or {}).get("timing", {}), **(timing or {})}}
        gateway = ChaosGateway(self.yard.folder(), {"targets": {"t": berth.section}, "stores": dict(stores or FOLDER)})
        gateway.choose(chosen, {**self.yard.secrets, **(environ or {})})
        self._open.callback(gateway.stop)
        self._gateway = gateway
        if begin:
            gateway.start()
        return gateway

    def restart_with(self, **options: Any) -> None:
        """Write the gateway's file anew, after its target's section was changed, and start it."""
        old = self._gateway
        assert isinstance(old, ChaosGateway)
        gateway = ChaosGateway(old.folder, {**old.raw, "targets": {"t": self.berth.section}})
        gateway.choose(options, {**self.yard.secrets})
        self._open.callback(gateway.stop)
        self._gateway = gateway.start()

    # ---- the job

    def payload(self, *, parts: int = PARTS, wait: bool = True, more: str = "") -> str:
        """Return a script that says outside of the job's folder that it ran, makes files, and waits for `release`."""
        begun, gate = shlex.quote(str(self.berth.begun)), shlex.quote(str(self.berth.gate))
        return f"""
begun=${{PWD##*/}}
echo "${{begun%%.*}} ${{SLURM_JOB_ID:-$$}}.$(date +%s%N)" >>{begun}
n=0
while [ "$n" -lt {parts} ]; do n=$((n + 1)); echo "$n" >"part_$n"; echo "$n" >>lines; done
echo ready
{f"while [ ! -e {gate} ]; do sleep 0.1; done" if wait else ""}
{more}
echo done >last
"""

    def submit(self, *, gateway: RunningGateway | None = None, **changes: Any) -> str:
        """Submit the counting payload, on the host, and return the job's id."""
        request = {
            "target": self.berth.name,
            "image": None,
            "script": changes.pop("script", None) or self.payload(),
            "sync": SYNC,
            "resources": {"walltime": 300, "memory": "100M"},
            **changes,
        }
        return (gateway or self.gateway).submit(**request)

    def running(self, job_id: str, seconds: float = 60) -> None:
        """Wait until a job's payload has begun and the gateway knows that it runs."""
        wait_until(lambda: self.begun(job_id), seconds, f"the start of {job_id}'s payload")
        self.gateway.wait_state(job_id, "running", seconds=seconds)

    def release(self) -> None:
        """Let the payloads come to their end."""
        self.berth.gate.touch()

    def target(self) -> dict[str, Any]:
        """Return what the gateway says of the target."""
        found: dict[str, Any] = self.gateway.http.get(f"/api/v1/targets/{self.berth.name}").json()
        return found

    def wait_target(self, *words: str, seconds: float = 60) -> dict[str, Any]:
        """Wait until the board says one of `words` of the target."""

        def there() -> dict[str, Any] | None:
            found = self.target()
            return found if found["state"] in words else None

        found: dict[str, Any] = wait_until(there, seconds, f"target {words}, not {self.target()}")
        return found

    def check_target(self) -> list[dict[str, Any]]:
        """Have the target checked, as a person does who has put something right."""
        answer = self.gateway.http.post(f"/api/v1/targets/{self.berth.name}/check", timeout=60)
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    # ---- what is true, outside of the gateway's knowledge

    def count_by(self, count: Callable[[str], list[str]]) -> None:
        """Count payloads in another way: those in containers do not see the file."""
        self._count = count

    def begun(self, job_id: str) -> list[str]:
        """Return a line for each time that a job's payload began."""
        if self._count is not None:
            return self._count(job_id)
        with contextlib.suppress(FileNotFoundError):
            lines = self.berth.begun.read_text().splitlines()
            return [line for line in lines if line.split()[0] == job_id]
        return []

    def left_by_payload(self, job_id: str) -> dict[str, bytes]:
        """Return what is in the job's folder."""
        return read_tree(self.berth.work / job_id)

    def stored(self, gateway: RunningGateway, store: str, job_id: str, *, hidden: bool = False) -> dict[str, bytes]:
        """Return what is in a store of a job, by asking the store itself."""
        section = gateway.raw["stores"][store]
        if section["kind"] == "directory":
            found = read_tree(Path(section["path"].replace("{data}", str(gateway.data))) / job_id)
        elif section["kind"] == "azure":
            found = self._blobs(section["container"], job_id)
        else:
            found = self._fetched(f"{section['root']}/{job_id}")
        return {path: content for path, content in found.items() if hidden or not path.startswith(".gateway/")}

    def _fetched(self, place: str) -> dict[str, bytes]:
        with tempfile.TemporaryDirectory() as folder:
            argv = [str(find_rclone()), "copy", "--quiet", "--low-level-retries", "1", f"S3:{place}", folder]
            environ = {**os.environ, **self.yard.seaweed.rclone_env()}
            done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)
            assert done.returncode in (0, 3), done.stderr  # 3: no such folder
            return read_tree(Path(folder))

    def _blobs(self, container: str, job_id: str) -> dict[str, bytes]:
        client = ContainerClient.from_connection_string(self.yard.azurite.connection_string, container)
        with client:
            names = list(client.list_blob_names(name_starts_with=f"{job_id}/"))
            return {name.partition("/")[2]: client.download_blob(name).readall() for name in names}

    def delete_object(self, place: str) -> None:
        """Remove a file from the S3 service, behind everybody's back."""
        environ = {**os.environ, **self.yard.seaweed.rclone_env()}
        subprocess.run([str(find_rclone()), "deletefile", f"S3:{place}"], env=environ, check=True)

    def scheduler_jobs(self, job_id: str = "") -> list[str]:
        """Return what is still there of this target's jobs, or of one of them: at the scheduler, and as processes."""
        base = str(self.berth.base)
        left = []
        if isinstance(self.site, Cluster):
            lines = self.site.command("squeue", "-h", "-o", "%A|%Z|%o").stdout.splitlines()
            left += [line for line in lines if base in line]
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                words = entry.read_bytes()
                if base.encode() in words and b"job.sh" in words and b"--norc" not in words:
                    left.append(f"process {entry.parent.name}: {words.decode(errors='replace')[:200]}")
        return [line for line in left if job_id in line or "/arrays/" in line]

    def wrap(self, command: str, body: str) -> None:
        """Put a program before the real one on the target's path; `$real` is the real one's."""
        real = self.site.check(f"command -v {command}").strip()
        file = self.berth.bin / command
        text = f'#!/bin/bash\nreal={real}\nflag={self.berth.base}/fault\n{body}\nexec $real "$@"\n'
        part = file.with_name(f".{command}.{secrets.token_hex(4)}")
        part.write_text(text)
        part.chmod(0o755)
        part.replace(file)

    def stop_at(self, command: str, when: str = "*") -> None:
        """Have the next call of a command on the target, whose words match the pattern `when`, wait for `go_on`."""
        (self.berth.base / "stop").touch()
        self.wrap(
            command,
            f"""case " $* " in {when}) ;; *) exec "$real" "$@" ;; esac
base={self.berth.base}
if [ -e "$base/stop" ] && mkdir "$base/stopped" 2>/dev/null; then
  for _ in $(seq 600); do [ -e "$base/go" ] && break; sleep 0.1; done
fi""",
        )

    def stopped(self, seconds: float = 60) -> None:
        """Wait until a command has come to where `stop_at` has it wait."""
        wait_until((self.berth.base / "stopped").exists, seconds, "the moment")

    def go_on(self) -> None:
        """Let the command go on that waits."""
        (self.berth.base / "go").touch()

    def fault(self, on: bool = True) -> None:
        """Switch what wrapped programs do: they look for this file."""
        flag = self.berth.base / "fault"
        flag.touch() if on else flag.unlink(missing_ok=True)


FOLDER = {"folder": {"kind": "directory", "path": "{data}/outputs"}}


def read_tree(folder: Path) -> dict[str, bytes]:
    """Return the bytes of all files below a folder."""
    if not folder.is_dir():
        return {}
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
