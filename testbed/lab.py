"""A JupyterLab of its own: this checkout's extension, its own home folder, nothing looked up outside."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from testbed.processes import TestbedError

CHECKOUT = Path(__file__).resolve().parent.parent
PYTHON_SIDE = CHECKOUT / "jupyter_extension"
BUNDLE = PYTHON_SIDE / "science_gateway_jupyter/labextension"
NAME = "science-gateway-jupyterlab"
PATIENCE = 90.0

QUIET = (
    "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    "--LabApp.extension_manager=readonly",
    "--ServerApp.terminals_enabled=False",
)


class Lab:
    """JupyterLab as one process.

    Parameters
    ----------
    folder
        Everything it writes goes below this folder; it is the home folder of the server too.
    settings
        The gateway's configuration (``gateway.toml``) of the embedded mode; None for the built-in default.
    options
        Further arguments, such as ``--ScienceGateway.url=…``.
    """

    def __init__(
        self,
        folder: Path,
        *,
        settings: str | None = None,
        options: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.options = tuple(options)
        self.environ = dict(environ or {})
        self.token = secrets.token_hex(16)
        self.port = 0
        self.work = folder / "work"
        self.process: subprocess.Popen[bytes] | None = None
        for below in ("work", "runtime", "labextensions", "config"):
            (folder / below).mkdir(parents=True, exist_ok=True)
        quiet = folder / "config/lab/user-settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings"
        quiet.parent.mkdir(parents=True, exist_ok=True)
        quiet.write_text('{"fetchNews": "false", "checkForUpdates": false}\n')
        link = folder / "labextensions" / NAME
        if not link.is_symlink():
            link.symlink_to(BUNDLE)
        self.gateway_file = folder / "gateway.toml"
        if settings is not None:
            self.gateway_file.write_text(settings)
            self.environ["GATEWAY_CONFIG"] = str(self.gateway_file)

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self) -> str:
        """What a person opens: the Lab, with the token."""
        return f"{self.url}/lab?token={self.token}"

    def log(self) -> str:
        """Return what the server has written."""
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / "lab.log").read_text(errors="replace")
        return ""

    def start(self) -> Self:
        """Start it, on the port it had before if it ran already, and wait until it answers."""
        environ = {**os.environ, **self.environ}
        for name in ("JUPYTER_TOKEN", "JUPYTER_PATH", "JUPYTER_PREFER_ENV_PATH", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
            environ.pop(name, None)
        environ |= {
            "HOME": str(self.folder),
            "JUPYTER_CONFIG_DIR": str(self.folder / "config"),
            "JUPYTER_RUNTIME_DIR": str(self.folder / "runtime"),
            "JUPYTERLAB_SETTINGS_DIR": str(self.folder / "config/lab/user-settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(self.folder / "config/lab/workspaces"),
            "PYTHONPATH": os.pathsep.join([str(CHECKOUT), str(PYTHON_SIDE)]),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), environ.get("PATH", "")]),
        }
        argv = [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", *QUIET),
            f"--ServerApp.port={self.port}",
            "--ServerApp.ip=127.0.0.1",
            f"--IdentityProvider.token={self.token}",
            f"--ServerApp.root_dir={self.work}",
            "--ServerApp.jpserver_extensions=science_gateway_jupyter=True",
            f"--LabServerApp.extra_labextensions_path={self.folder / 'labextensions'}",
            *self.options,
        ]
        with (self.folder / "lab.log").open("ab") as log:
            self.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environ, cwd=self.work
            )
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise
        return self

    def _wait(self) -> None:
        assert self.process is not None
        record = self.folder / f"runtime/jpserver-{self.process.pid}.json"
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise TestbedError(f"JupyterLab ended: {self.log()[-3000:]}")
            with contextlib.suppress(OSError, ValueError):
                self.port = int(json.loads(record.read_text())["port"])
                if self.ask("/api/status") == 200:
                    return
            time.sleep(0.1)
        raise TestbedError(f"JupyterLab does not answer: {self.log()[-3000:]}")

    def gateway(self) -> dict[str, str]:
        """Wait for the embedded gateway; return what its ``server.json`` says: ``url`` and ``token_file``."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            for file in (self.folder / "data/server.json", self.folder / ".local/share/science-gateway/server.json"):
                with contextlib.suppress(OSError, ValueError):
                    found = json.loads(file.read_text())
                    return {"url": str(found["url"]), "token_file": str(found["token_file"])}
            time.sleep(0.1)
        raise TestbedError(f"no gateway was started: {self.log()[-3000:]}")

    def ask(self, path: str) -> int:
        """Return the status of a request with the token, 0 where nothing answers."""
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"token {self.token}"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it; SIGKILL after a while."""
        process, self.process = self.process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
