"""A gateway of the test's own, as a process, and its API as a program outside sees it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

ENDED = {"succeeded", "failed", "cancelled", "lost"}


def toml(value: Any) -> str:
    """Write a value as TOML (JSON's forms of text, numbers and lists are TOML's too)."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + "}"
    return json.dumps(value)


def wait_until(condition: Callable[[], Any], seconds: float = 120, what: str = "it") -> Any:
    """Poll until `condition` gives something true, and return that."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what} did not happen within {seconds} s")


class RunningGateway:
    """``gateway serve`` with a configuration of its own."""

    def __init__(self, folder: Path, raw: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.raw = raw
        self.data = folder / "data"
        self.config = folder / "gateway.toml"
        lines = [f'[gateway]\ndata = "{self.data}"\nlisten = "127.0.0.1:0"\n']
        for section in ("targets", "stores", "registries"):
            for name, settings in raw.get(section, {}).items():
                lines.append(f'[{section}."{name}"]')
                lines += [f"{key} = {toml(value)}" for key, value in settings.items()]
        self.config.write_text("\n".join(lines) + "\n")
        tomllib.loads(self.config.read_text())
        self.environ = {**os.environ, **(environ or {})}
        self.program: tuple[str, ...] = ("gateway.cli.main",)
        self.process: subprocess.Popen[bytes] | None = None
        self.http = httpx.Client(timeout=60, trust_env=False)

    def start(self) -> RunningGateway:
        """Start it and wait until it answers."""
        self.spawn()
        return self.ready()

    def spawn(self) -> None:
        """Start it."""
        (self.data / "server.json").unlink(missing_ok=True)
        with (self.folder / "gateway.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *self.program, "--config", str(self.config), "serve"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environ,
            )

    def ready(self) -> RunningGateway:
        """Wait until it answers."""
        server = wait_until(self._server, 120, "the gateway's start")
        self.http.base_url = httpx.URL(server["url"])
        self.http.headers["Authorization"] = "Bearer " + Path(server["token_file"]).read_text().strip()
        return self

    def _server(self) -> dict[str, Any] | None:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError((self.folder / "gateway.log").read_text()[-3000:])
        try:
            server: dict[str, Any] = json.loads((self.data / "server.json").read_text())
            httpx.get(server["url"] + "/healthz", trust_env=False).raise_for_status()
        except (OSError, ValueError, httpx.HTTPError):
            return None
        return server

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, wait, and return the exit status."""
        assert self.process is not None
        self.process.send_signal(number)
        status = self.process.wait(60)
        self.process = None
        return status

    def stop(self) -> None:
        """End it however it is."""
        if self.process is not None and self.process.poll() is None:
            self.end()
        self.http.close()

    # ---- the API

    def submit(self, **body: Any) -> str:
        """Submit a job and return its id."""
        response = self.http.post("/api/v1/jobs", json=body)
        assert response.status_code == 202, response.text
        return str(response.json()["id"])

    def job(self, job_id: str) -> dict[str, Any]:
        """Return a job."""
        response = self.http.get(f"/api/v1/jobs/{job_id}")
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    def wait(self, job_id: str, seconds: float = 180) -> dict[str, Any]:
        """Return a job when it has ended."""

        def ended() -> dict[str, Any] | None:
            job = self.job(job_id)
            return job if job["state"] in ENDED else None

        try:
            found: dict[str, Any] = wait_until(ended, seconds, f"the end of {job_id}")
        except AssertionError as error:
            log = (self.folder / "gateway.log").read_text()[-2000:]
            raise AssertionError(f"{error}\n{json.dumps(self.job(job_id), indent=1)}\n{log}") from None
        return found

    def wait_state(self, job_id: str, *states: str, seconds: float = 120) -> dict[str, Any]:
        """Return a job when it is in one of `states`."""

        def there() -> dict[str, Any] | None:
            job = self.job(job_id)
            assert job["state"] in states or job["state"] not in ENDED, job
            return job if job["state"] in states else None

        found: dict[str, Any] = wait_until(there, seconds, f"{job_id} {states}")
        return found

    def cancel(self, job_id: str) -> None:
        """Ask for a job's end."""
        response = self.http.post(f"/api/v1/jobs/{job_id}/cancel")
        assert response.status_code == 202, response.text

    def files(self, job_id: str, store: str | None = None) -> dict[str, dict[str, Any]]:
        """Return all outputs by path."""
        query = {"store": store} if store else {}
        response = self.http.get(f"/api/v1/jobs/{job_id}/outputs", params=query)
        assert response.status_code == 200, response.text
        return {file["path"]: file for file in response.json()["files"]}

    def read(self, job_id: str, path: str, store: str | None = None) -> bytes:
        """Return the bytes of an output."""
        query = {"store": store} if store else {}
        response = self.http.get(f"/api/v1/jobs/{job_id}/outputs/{path}", params=query)
        assert response.status_code == 200, response.text
        return response.content

    def events(self, job_id: str) -> list[dict[str, Any]]:
        """Return all events of a job."""
        headers = {"Accept": "application/json"}
        response = self.http.get(f"/api/v1/jobs/{job_id}/events", headers=headers, params={"limit": 1000})
        assert response.status_code == 200, response.text
        items: list[dict[str, Any]] = response.json()["items"]
        return items

    def log(self, job_id: str, stream: str = "stdout") -> bytes:
        """Return a log."""
        response = self.http.get(f"/api/v1/jobs/{job_id}/logs/{stream}")
        assert response.status_code == 200, response.text
        return response.content
