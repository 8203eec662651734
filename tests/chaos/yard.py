"""The parts that scenarios share: a cluster, stores, an image, and a gateway with many targets."""

from __future__ import annotations

import contextlib
import itertools
import json
import shlex
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from testbed.azurite import Azurite
from testbed.cluster import Cluster
from testbed.images import TestImage
from testbed.mirror import Mirror
from testbed.postgres import Postgres
from testbed.processes import Part, TestbedError
from testbed.proxy import Proxy
from testbed.seaweed import Seaweed
from testbed.sshd import SshSite
from tests.e2e.running import RunningGateway
from tests.e2e.sections import ssh_target

BERTHS = {"slurm": 58, "pbs": 6, "direct": 6, "later": 4}
"""Targets of the shared gateway, by scheduler; the jobs of ``later`` may begin in an hour only."""
LATER = {"scheduler": {"kind": "slurm", "directives": ["--begin=now+1hour"]}}


class ChaosGateway(RunningGateway):
    """A gateway as a process, started by `tests.chaos.serve`."""

    def choose(self, options: Mapping[str, Any], environ: Mapping[str, str]) -> None:
        """Set what `tests.chaos.serve` does, and further variables; before a start, or between two."""
        self.program = ("tests.chaos.serve",)
        self.environ = {**self.environ, **environ, "CHAOS": json.dumps(options)}


class Berth:
    """A target that nobody else uses: a section of gateway.toml, a proxy before its sshd, folders."""

    def __init__(self, name: str, site: SshSite, scheduler: str, settings: Mapping[str, Any] | None = None) -> None:
        self.name, self.site = name, site
        self.proxy = Proxy(site.ssh_port)
        section = ssh_target(site, scheduler, name, runtime={"kind": "charliecloud", "allow_host": True})
        section |= settings or {}
        self.base = Path(section["workdir"]).parent
        self.work = self.base / "work"
        self.bin, self.begun, self.gate = self.base / "bin", self.base / "begun", self.base / "gate"
        transport = {**section["transport"], "port": self.proxy.port, "connect_timeout": 4, "keepalive": 2}
        self.section = {**section, "transport": transport, "path": str(self.bin)}

    def make(self) -> None:
        """Make the folder of the programs that stand before the site's own; an sshd may let in only some."""
        command = f"mkdir -p {shlex.quote(str(self.bin))}"
        for _ in range(20):
            try:
                self.site.check(command)
            except TestbedError:
                time.sleep(0.2)
            else:
                return
        self.site.check(command)


def _berth(kind: str, number: int, cluster: Cluster) -> Berth:
    return Berth(f"{kind}-{number}", cluster, kind, LATER if kind == "later" else None)


class SharedGateway:
    """One gateway process, and targets for many scenarios."""

    def __init__(self, yard: Yard) -> None:
        self._left = {kind: [_berth(kind, n, yard.cluster) for n in range(count)] for kind, count in BERTHS.items()}
        targets = {berth.name: berth.section for berths in self._left.values() for berth in berths}
        stores = {"folder": {"kind": "directory", "path": "{data}/outputs"}}
        self.gateway = ChaosGateway(yard.folder(), {"targets": targets, "stores": stores})
        self.gateway.choose({}, yard.secrets)
        self._lock = threading.Lock()
        self.gateway.start()

    def take(self, scheduler: str) -> Berth:
        """Give out a target."""
        with self._lock:
            berth = self._left[scheduler].pop(0)
        berth.make()
        return berth


class Yard:
    """Parts, made when they are first asked for.

    Parameters
    ----------
    make
        How to get the parts that a test run has anyway, by name.
    """

    def __init__(self, make: Mapping[str, Callable[[], Any]]) -> None:
        self._make = make
        self._lock = threading.RLock()
        self._open = contextlib.ExitStack()
        self._count = itertools.count()
        self._top = Path(self._open.enter_context(tempfile.TemporaryDirectory(prefix="gw-chaos-")))
        self._top.chmod(0o755)

    def close(self) -> None:
        """End everything."""
        self._open.close()

    def folder(self) -> Path:
        """Return a new folder."""
        with self._lock:
            found = self._top / str(next(self._count))
            found.mkdir()
            return found

    def own(self, part: Part) -> Any:
        """Start a part that ends with the yard."""
        return self._open.enter_context(part)

    def _get(self, name: str) -> Any:
        with self._lock:
            return self._made[name] if name in self._made else self._made.setdefault(name, self._make[name]())

    @cached_property
    def _made(self) -> dict[str, Any]:
        return {}

    @property
    def cluster(self) -> Cluster:
        """The cluster that scenarios share: do not stop it."""
        found: Cluster = self._get("cluster")
        return found

    @property
    def seaweed(self) -> Seaweed:
        """An S3 service: do not stop it."""
        found: Seaweed = self._get("seaweed")
        return found

    @property
    def azurite(self) -> Azurite:
        """A blob service: take containers of your own, do not stop it."""
        found: Azurite = self._get("azurite")
        return found

    @property
    def postgres(self) -> Postgres:
        """A database server: do not stop it."""
        found: Postgres = self._get("postgres")
        return found

    @property
    def image(self) -> TestImage:
        """A small container image."""
        found: TestImage = self._get("image")
        return found

    @property
    def secrets(self) -> dict[str, str]:
        """Variables with the keys of the stores, as far as they are there."""
        return {}

    @property
    def shared(self) -> SharedGateway:
        """The gateway that scenarios share: do not stop it."""
        with self._lock:
            if "shared" not in self._made:
                made = SharedGateway(self)
                self._open.callback(made.gateway.stop)
                self._made["shared"] = made
            found: SharedGateway = self._made["shared"]
            return found

    def mirror(self) -> Mirror:
        """Start an HTTP mirror that ends with the yard."""
        return self._open.enter_context(Mirror())
